using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification.Layers;

namespace QueueMaaS.Training.Specification;

/// <summary>A model as a list of layers; one list builds the TorchSharp module and the ONNX graph.</summary>
/// <param name="Name">Its name, such as a preset's.</param>
/// <param name="Layers">In the order of computation.</param>
public sealed record ModelSpecification(string Name, IReadOnlyList<LayerSpecification> Layers)
{
    /// <summary>The shape after each layer.</summary>
    /// <exception cref="ProblemException"><c>specification_invalid</c>, naming the layer, what goes into it and what it needs.</exception>
    public IReadOnlyList<TensorShape> InferShapes(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var shapes = new List<TensorShape>(Layers.Count);
        var current = input;
        for (var i = 0; i < Layers.Count; i++)
        {
            try
            {
                current = Layers[i].Infer(current);
            }
            catch (LayerShapeException e)
            {
                throw new ProblemException(
                    Problem.Create(
                        ProblemCodes.SpecificationInvalid,
                        $"The model '{Name}' does not fit images of shape {input} (channels, height, width): layer {i + 1}, {Layers[i].Description}, gets {current} and needs {e.Message}. Use larger images or another model.",
                        ("model", Name), ("layer", i + 1), ("layerType", Layers[i].Description), ("layerInput", current.Sizes), ("input", input.Sizes)),
                    e);
            }

            shapes.Add(current);
        }

        return shapes;
    }
}

/// <summary>The models that can be asked for by name.</summary>
public static class ModelPresets
{
    /// <summary>The preset used when none is named.</summary>
    public const string Default = "cnn-small";

    /// <summary>The presets' names.</summary>
    public static IReadOnlyList<string> Known { get; } = ["cnn-small"];

    /// <summary>The specification of a preset for a number of classes.</summary>
    /// <exception cref="ProblemException"><c>specification_invalid</c>: there is no such preset.</exception>
    public static ModelSpecification Create(string name, int classes) => name switch
    {
        // The CNN of the Keras tutorial: about 122,000 parameters on 32 × 32 × 3, without padding.
        "cnn-small" => new(name,
        [
            new Conv2dLayer(32, 3), new ReluLayer(), new MaxPool2dLayer(2),
            new Conv2dLayer(64, 3), new ReluLayer(), new MaxPool2dLayer(2),
            new Conv2dLayer(64, 3), new ReluLayer(),
            new FlattenLayer(), new LinearLayer(64), new ReluLayer(), new LinearLayer(classes),
        ]),
        _ => throw Unknown(name),
    };

    internal static ProblemException Unknown(string name) => new(
        ProblemCodes.SpecificationInvalid, $"There is no preset '{name}'. Known are: {string.Join(", ", Known)}.", ("preset", name), ("known", Known));
}
