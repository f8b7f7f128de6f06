using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>The same numbers on other axes.</summary>
/// <param name="Shape">The new sizes without the batch axis, one to three; one of them may be −1 and is computed.</param>
public sealed record ReshapeLayer(IReadOnlyList<int> Shape) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"reshape([{string.Join(", ", Shape)}])";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input)
    {
        var known = Shape.Where(s => s > 0).Aggregate(1L, (a, b) => a * b);
        if (Shape.Count is 0 or > 3 || Shape.Any(s => s is 0 or < -1) || Shape.Count(s => s == -1) > 1)
            throw new LayerShapeException("a 'shape' of one to three sizes, one of which may be -1");
        var open = Shape.Contains(-1);
        if (open ? input.Count % known != 0 : input.Count != known)
            throw new LayerShapeException($"{(open ? $"a multiple of {known}" : $"{known}")} numbers, not {input.Count}");
        return new([.. Shape.Select(s => s == -1 ? (int)(input.Count / known) : s)]);
    }

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input) => input.reshape([input.shape[0], .. Shape.Select(s => (long)s)]);

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape) => graph.Node("Reshape", [input, graph.Shape("shape", [0, .. Infer(shape).Sizes.Select(s => (long)s)])]);
}
