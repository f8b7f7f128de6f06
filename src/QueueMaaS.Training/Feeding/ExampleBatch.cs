using System.Runtime.InteropServices;
using TorchSharp;

namespace QueueMaaS.Training.Feeding;

/// <summary>The items of one step. Its buffers are used again once the next batch is asked for.</summary>
internal sealed class ExampleBatch(int size, int width, int outputs)
{
    /// <summary>The prepared numbers, one item after the other.</summary>
    public float[] Inputs { get; } = new float[checked(size * width)];

    /// <summary>Classification without mixing: the class of each item.</summary>
    public long[] Classes { get; } = new long[size];

    /// <summary>Numbers to come out; for mixed classes the share of each.</summary>
    public float[] Rows { get; } = new float[checked(size * outputs)];

    /// <summary>True where <see cref="Rows"/> holds the target.</summary>
    public bool InRows { get; set; }

    /// <summary>Items in it.</summary>
    public int Count { get; set; }

    /// <summary>The classes as a new tensor.</summary>
    public torch.Tensor ClassTensor(torch.Device device)
    {
        var tensor = torch.empty([Count], torch.int64);
        Classes.AsSpan(0, Count).CopyTo(MemoryMarshal.Cast<byte, long>(tensor.bytes));
        return tensor.to(device);
    }

    /// <summary>The rows as a new tensor.</summary>
    public torch.Tensor RowTensor(int outputs, torch.Device device)
    {
        var tensor = torch.empty([Count, outputs]);
        MemoryMarshal.AsBytes(Rows.AsSpan(0, Count * outputs)).CopyTo(tensor.bytes);
        return tensor.to(device);
    }
}
