using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification.Presets;

namespace QueueMaaS.Training.Specification;

/// <summary>The models that can be asked for by name.</summary>
public static class ModelPresets
{
    /// <summary>The preset used when none is named, for images.</summary>
    public const string Default = "cnn-small";

    private static readonly Dictionary<string, Func<IReadOnlyList<GraphNode>>> Presets = new(StringComparer.Ordinal)
    {
        ["cnn-small"] = ImagePresets.SmallCnn,
        ["resnet-18"] = ImagePresets.ResNet18,
        ["mobilenet-small"] = ImagePresets.SmallMobileNet,
        ["airbench"] = ImagePresets.Airbench,
        ["logistic"] = RowPresets.Logistic,
        ["mlp"] = RowPresets.Perceptron,
        ["text-cnn"] = TextPresets.TextCnn,
        ["transformer-small"] = TextPresets.SmallTransformer,
        ["lstm"] = TextPresets.Lstm,
    };

    /// <summary>The presets' names.</summary>
    public static IReadOnlyList<string> Known { get; } = [.. Presets.Keys];

    /// <summary>The specification of a preset, its number of outputs open.</summary>
    /// <exception cref="ProblemException"><c>specification_invalid</c>: there is no such preset.</exception>
    public static ModelSpecification Create(string name) => new(name, Presets.TryGetValue(name, out var create) ? create() : throw Unknown(name));

    /// <summary>The specification of a preset for a number of outputs.</summary>
    /// <exception cref="ProblemException"><c>specification_invalid</c>: there is no such preset.</exception>
    public static ModelSpecification Create(string name, int outputs, int? tokens = null) => Create(name).For(outputs, tokens);

    internal static ProblemException Unknown(string name) => new(
        ProblemCodes.SpecificationInvalid, $"There is no preset '{name}'. Known are: {string.Join(", ", Known)}.", ("preset", name), ("known", Known));
}
