using QueueMaaS.Contracts;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Auto;

/// <summary>The networks that auto chooses among for images, and which of them take images of a size.</summary>
internal static class AutoNetworks
{
    /// <summary>Below this the strides of the networks for images leave nothing to look at.</summary>
    private const int LeastSide = 8;

    /// <summary>With fewer items a network with hidden layers would learn them by heart.</summary>
    public const int FewItems = 200;

    private static readonly string[] Convolutional = ["resnet-18", "mobilenet-small", "cnn-small"];

    /// <summary>Those that fit, the largest first, and those that need larger images.</summary>
    /// <exception cref="ProblemException"><c>specification_invalid</c>: none fits.</exception>
    public static (IReadOnlyList<string> Fitting, IReadOnlyList<string> TooLarge) ForImages(TensorShape shape, ExampleTargets targets, int train, ViewSettings? views)
    {
        var faults = new List<Problem>();
        var fitting = Convolutional.Where(preset => Math.Min(shape.Sizes[1], shape.Sizes[2]) >= LeastSide && Fits(preset, shape, targets, views, faults)).ToList();
        var tooLarge = Convolutional.Except(fitting, StringComparer.Ordinal).ToList();
        // Where the quickest of them is no choice, rows of pixels are.
        if (tooLarge.Contains(Convolutional[^1], StringComparer.Ordinal))
            fitting.AddRange(((string[])[train < FewItems ? "logistic" : "mlp"]).Where(preset => Fits(preset, shape, targets, views, faults)));
        if (fitting.Count > 0)
            return (fitting, tooLarge);
        throw new ProblemException(
            ProblemCodes.SpecificationInvalid,
            $"None of the networks that `auto` knows takes the data set's images, which are {shape.Sizes[2]} × {shape.Sizes[1]} pixels with {shape.Sizes[0]} channel{(shape.Sizes[0] == 1 ? "" : "s")}. Make them larger by `data.image` (`width`, `height`), or say yourself what fits them by `network`. The last that was tried: {faults[^1].Message}",
            ("width", shape.Sizes[2]), ("height", shape.Sizes[1]), ("channels", shape.Sizes[0]), ("cause", faults[^1]));
    }

    private static bool Fits(string preset, TensorShape shape, ExampleTargets targets, ViewSettings? views, List<Problem> faults)
    {
        try
        {
            var network = ModelPresets.Create(preset).For(targets.Outputs);
            OutputCheck.Require(views is null ? network : network.With(views), shape, targets);
            return true;
        }
        catch (ProblemException e) when (e.Problem.Code == ProblemCodes.SpecificationInvalid)
        {
            faults.Add(e.Problem);
            return false;
        }
    }
}
