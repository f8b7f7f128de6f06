using QueueMaaS.Training.Export;
using TorchSharp;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>The weighted mean of what was computed for the views of a <see cref="ViewsLayer"/>: the two shifted ones weigh as much as the unshifted one (arXiv 2404.00498, section 3.5). While training it does nothing.</summary>
/// <param name="Mirror">As in the <see cref="ViewsLayer"/>.</param>
/// <param name="Shift">As in the <see cref="ViewsLayer"/>.</param>
public sealed record ViewAverageLayer(bool Mirror = false, int Shift = 0) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"viewAverage({(Mirror ? "mirror, " : "")}shift {Shift})";

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input) => input;

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input)
    {
        if (!run.AllViews)
            return input;
        var shares = Shares();
        long[] ones = [.. input.shape.Select(_ => 1L)];
        var weights = torch.tensor(shares, [shares.Length, .. ones], device: input.device);
        return input.reshape([shares.Length, -1, .. input.shape[1..]]).mul(weights).sum([0L]);
    }

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape)
    {
        ArgumentNullException.ThrowIfNull(graph);
        ArgumentNullException.ThrowIfNull(shape);
        var shares = Shares();
        long[] sizes = [.. shape.Sizes];
        var apart = graph.Node("Reshape", [input, graph.Shape("apart", [shares.Length, -1, .. sizes])]);
        var weighed = graph.Node("Mul", [apart, graph.Constant("shares", shares, [shares.Length, 1, .. sizes.Select(_ => 1L)])]);
        return graph.Node("ReduceSum", [weighed, graph.Shape("views", 0)], OnnxAttribute.Int("keepdims", 0));
    }

    private float[] Shares()
    {
        float[] shifts = Shift > 0 ? [0.5f, 0.25f, 0.25f] : [1];
        return Mirror ? [.. shifts.Concat(shifts).Select(s => s / 2)] : shifts;
    }
}
