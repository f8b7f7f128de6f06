using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Pools an image of any size to a fixed size.</summary>
/// <param name="Size">Height and width that come out. Default 1: one number per channel.</param>
/// <param name="Mode"><c>average</c> or <c>max</c>. Default <c>average</c>. <c>max</c> needs sizes that <paramref name="Size"/> divides.</param>
public sealed record AdaptivePool2dLayer(int Size = 1, PoolMode Mode = PoolMode.Average) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"adaptivePool2d({Size}{(Mode == PoolMode.Average ? "" : ", max")})";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input)
    {
        LayerNeeds.AtLeast(1, Size, "size");
        if (Mode is not (PoolMode.Average or PoolMode.Max))
            throw new LayerShapeException("'mode' to be average or max");
        if (!input.IsImage)
            throw new LayerShapeException("channels × height × width");
        if (Mode == PoolMode.Max && (input.Sizes[1] % Size != 0 || input.Sizes[2] % Size != 0))
            throw new LayerShapeException($"a height and width that {Size} divides; the average takes any");
        return TensorShape.Image(input.Sizes[0], Size, Size);
    }

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) =>
        Mode == PoolMode.Average ? functional.adaptive_avg_pool2d(input, Size) : functional.adaptive_max_pool2d(input, [Size, Size]);

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape)
    {
        var (height, width) = (shape.Sizes[1], shape.Sizes[2]);
        if (height % Size == 0 && width % Size == 0)
        {
            long[] kernel = [height / Size, width / Size];
            return graph.Node(Mode == PoolMode.Average ? "AveragePool" : "MaxPool", [input], [.. new OnnxAttributes().Ints("kernel_shape", kernel).Ints("strides", kernel)]);
        }

        // ONNX has no adaptive pooling: the windows' weights as two matrices, rows · image · columns.
        var columns = graph.Node("MatMul", [input, graph.Constant("columns", Windows(width, transposed: true), [width, Size])]);
        return graph.Node("MatMul", [graph.Constant("rows", Windows(height, transposed: false), [Size, height]), columns]);
    }

    private float[] Windows(int size, bool transposed)
    {
        var matrix = new float[Size * size];
        for (var o = 0; o < Size; o++)
        {
            var (from, to) = (o * size / Size, ((o + 1) * size + Size - 1) / Size);
            for (var i = from; i < to; i++)
                matrix[transposed ? i * Size + o : o * size + i] = 1f / (to - from);
        }

        return matrix;
    }
}

/// <summary>How many numbers become one.</summary>
public enum PoolMode
{
    /// <summary>Their mean.</summary>
    Average,
    /// <summary>The greatest.</summary>
    Max,
    /// <summary>The first (sequences).</summary>
    First,
    /// <summary>The last (sequences).</summary>
    Last,
}
