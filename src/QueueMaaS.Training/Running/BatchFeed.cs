using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using QueueMaaS.Data.Loading;
using TorchSharp;

namespace QueueMaaS.Training.Running;

/// <summary>The images of one step: batch × channels × height × width numbers in [0, 1], and their labels. The buffers are used again once the next batch is asked for.</summary>
internal sealed record ImageBatch(float[] Pixels, long[] Labels, int Count)
{
    /// <summary>The pixels as a new tensor.</summary>
    public torch.Tensor Input(LabelledImages data, torch.Device device) => BatchFeed.ToTensor(Pixels.AsSpan(0, Count * data.ImageBytes), [Count, data.Channels, data.Height, data.Width]).to(device);

    /// <summary>The labels as a new tensor.</summary>
    public torch.Tensor Target(torch.Device device)
    {
        var tensor = torch.empty([Count], torch.int64);
        Labels.AsSpan(0, Count).CopyTo(MemoryMarshal.Cast<byte, long>(tensor.bytes));
        return tensor.to(device);
    }
}

/// <summary>Gathers batches on a thread of its own while the trainer computes, a few ahead, in a few buffers used again and again: a training makes no garbage that grows with its length.</summary>
internal static class BatchFeed
{
    private const int Buffers = 4;
    private const float Scale = 1f / 255f;

    public static IEnumerable<ImageBatch> Read(LabelledImages data, int[] order, int batchSize, CancellationToken cancellationToken)
    {
        batchSize = Math.Min(batchSize, Math.Max(1, order.Length));
        using var free = new BlockingCollection<ImageBatch>();
        using var ready = new BlockingCollection<ImageBatch>();
        for (var i = 0; i < Buffers; i++)
            free.Add(new(new float[checked(batchSize * data.ImageBytes)], new long[batchSize], 0), CancellationToken.None);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var filling = Task.Factory.StartNew(() => Fill(free, ready, data, order, batchSize, stop.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            foreach (var batch in ready.GetConsumingEnumerable(cancellationToken))
            {
                yield return batch;
                free.Add(batch, CancellationToken.None);
            }

            filling.GetAwaiter().GetResult();
        }
        finally
        {
            // The reader may leave early; the filler must be gone before the queues are disposed.
            stop.Cancel();
            ((IAsyncResult)filling).AsyncWaitHandle.WaitOne();
        }
    }

    /// <summary>Copies the images at <paramref name="indexes"/> into <paramref name="pixels"/>, scaled to [0, 1].</summary>
    public static void Gather(LabelledImages data, ReadOnlySpan<int> indexes, Span<float> pixels)
    {
        var size = data.ImageBytes;
        for (var i = 0; i < indexes.Length; i++)
        {
            var source = data[indexes[i]];
            var target = pixels.Slice(i * size, size);
            for (var p = 0; p < source.Length; p++)
                target[p] = source[p] * Scale;
        }
    }

    /// <summary>Copies numbers straight into libtorch's memory; <c>torch.tensor(array)</c> would first copy them into a large managed array for the collector.</summary>
    public static torch.Tensor ToTensor(ReadOnlySpan<float> values, long[] shape)
    {
        var tensor = torch.empty(shape);
        MemoryMarshal.AsBytes(values).CopyTo(tensor.bytes);
        return tensor;
    }

    private static void Fill(BlockingCollection<ImageBatch> free, BlockingCollection<ImageBatch> ready, LabelledImages data, int[] order, int batchSize, CancellationToken stop)
    {
        try
        {
            for (var start = 0; start < order.Length; start += batchSize)
            {
                var indexes = order.AsSpan(start, Math.Min(batchSize, order.Length - start));
                var batch = free.Take(stop) with { Count = indexes.Length };
                Gather(data, indexes, batch.Pixels);
                for (var i = 0; i < indexes.Length; i++)
                    batch.Labels[i] = data.Labels[indexes[i]];
                ready.Add(batch, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The reader has left.
        }
        finally
        {
            ready.CompleteAdding();
        }
    }
}
