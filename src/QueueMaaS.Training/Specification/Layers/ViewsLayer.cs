using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>Views of an image, one after the other along the batch, for what follows to see each; a <see cref="ViewAverageLayer"/> with the same settings brings their answers together. While training it does nothing.</summary>
/// <param name="Mirror">Each image mirrored left to right, too. Default false.</param>
/// <param name="Shift">Above 0: each image shifted by so many pixels up and left, and down and right, too, its edge reflected. Default 0.</param>
public sealed record ViewsLayer(bool Mirror = false, int Shift = 0) : SingleInputLayer
{
    /// <inheritdoc/>
    public override string Description => $"views({(Mirror ? "mirror, " : "")}shift {Shift})";

    /// <inheritdoc/>
    public override bool TakesHalf => true;

    /// <inheritdoc/>
    protected override TensorShape Infer(TensorShape input)
    {
        if (!input.IsImage)
            throw new LayerShapeException("channels × height × width");
        LayerNeeds.AtLeast(0, Shift, "shift");
        return Shift < Math.Min(input.Sizes[1], input.Sizes[2]) ? input : throw new LayerShapeException($"images larger than 'shift', {Shift} pixels");
    }

    /// <inheritdoc/>
    protected override torch.Tensor Forward(LayerRun run, torch.Tensor input)
    {
        if (!run.AllViews)
            return input;
        List<torch.Tensor> views = [input];
        if (Shift > 0)
        {
            var (height, width) = (input.shape[2], input.shape[3]);
            var padded = functional.pad(input, [Shift, Shift, Shift, Shift], PaddingModes.Reflect);
            views.Add(padded.narrow(2, 0, height).narrow(3, 0, width));
            views.Add(padded.narrow(2, 2 * Shift, height).narrow(3, 2 * Shift, width));
        }

        if (Mirror)
            views.AddRange([.. views.Select(view => view.flip(3))]);
        return torch.cat([.. views], 0);
    }

    /// <inheritdoc/>
    protected override string Write(OnnxGraphWriter graph, string input, TensorShape shape)
    {
        ArgumentNullException.ThrowIfNull(graph);
        List<string> views = [input];
        if (Shift > 0)
        {
            var padded = graph.Node("Pad", [input, graph.Shape("pads", 0, 0, Shift, Shift, 0, 0, Shift, Shift)], OnnxAttribute.Text("mode", "reflect"));
            views.Add(Cut(graph, padded, shape, "first", 0));
            views.Add(Cut(graph, padded, shape, "second", 2 * Shift));
        }

        if (Mirror)
        {
            views.AddRange([.. views.Select(view => graph.Node(
                "Slice", [view, graph.Shape("last", -1), graph.Shape("first", long.MinValue), graph.Shape("across", 3), graph.Shape("back", -1)]))]);
        }

        return views.Count == 1 ? input : graph.Node("Concat", views, OnnxAttribute.Int("axis", 0));
    }

    private static string Cut(OnnxGraphWriter graph, string padded, TensorShape shape, string name, int at) => graph.Node(
        "Slice", [padded, graph.Shape($"{name}.from", at, at), graph.Shape($"{name}.to", at + shape.Sizes[1], at + shape.Sizes[2]), graph.Shape("plane", 2, 3)]);
}
