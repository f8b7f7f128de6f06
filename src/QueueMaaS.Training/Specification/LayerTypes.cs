using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Submission;
using QueueMaaS.Training.Specification.Layers;

namespace QueueMaaS.Training.Specification;

/// <summary>The layers by the name that <c>type</c> gives them in JSON.</summary>
public static class LayerTypes
{
    private static readonly Dictionary<string, Func<JsonElement, LayerSpecification>> Readers = new(StringComparer.Ordinal)
    {
        ["linear"] = SubmissionReader.ReadInput<LinearLayer>,
        ["conv1d"] = SubmissionReader.ReadInput<Conv1dLayer>,
        ["conv2d"] = SubmissionReader.ReadInput<Conv2dLayer>,
        ["convTranspose2d"] = SubmissionReader.ReadInput<ConvTranspose2dLayer>,
        ["maxPool1d"] = SubmissionReader.ReadInput<MaxPool1dLayer>,
        ["maxPool2d"] = SubmissionReader.ReadInput<MaxPool2dLayer>,
        ["avgPool2d"] = SubmissionReader.ReadInput<AvgPool2dLayer>,
        ["adaptivePool2d"] = SubmissionReader.ReadInput<AdaptivePool2dLayer>,
        ["batchNorm"] = SubmissionReader.ReadInput<BatchNormLayer>,
        ["layerNorm"] = SubmissionReader.ReadInput<LayerNormLayer>,
        ["groupNorm"] = SubmissionReader.ReadInput<GroupNormLayer>,
        ["dropout"] = SubmissionReader.ReadInput<DropoutLayer>,
        ["embedding"] = SubmissionReader.ReadInput<EmbeddingLayer>,
        ["position"] = SubmissionReader.ReadInput<PositionLayer>,
        ["tokenMask"] = SubmissionReader.ReadInput<TokenMaskLayer>,
        ["sequencePool"] = SubmissionReader.ReadInput<SequencePoolLayer>,
        ["lstm"] = SubmissionReader.ReadInput<LstmLayer>,
        ["gru"] = SubmissionReader.ReadInput<GruLayer>,
        ["attention"] = SubmissionReader.ReadInput<AttentionLayer>,
        ["transformerEncoder"] = SubmissionReader.ReadInput<TransformerEncoderLayer>,
        ["add"] = SubmissionReader.ReadInput<AddLayer>,
        ["multiply"] = SubmissionReader.ReadInput<MultiplyLayer>,
        ["concat"] = SubmissionReader.ReadInput<ConcatLayer>,
        ["flatten"] = SubmissionReader.ReadInput<FlattenLayer>,
        ["reshape"] = SubmissionReader.ReadInput<ReshapeLayer>,
        ["transpose"] = SubmissionReader.ReadInput<TransposeLayer>,
        ["scale"] = SubmissionReader.ReadInput<ScaleLayer>,
        ["views"] = SubmissionReader.ReadInput<ViewsLayer>,
        ["viewAverage"] = SubmissionReader.ReadInput<ViewAverageLayer>,
        ["softmax"] = SubmissionReader.ReadInput<SoftmaxLayer>,
    };

    private static readonly Dictionary<string, Activation> Activations = Enum.GetValues<Activation>().ToDictionary(ActivationFunctions.NameOf, a => a, StringComparer.Ordinal);

    private static readonly Dictionary<string, string> Names = Readers.ToDictionary(r => r.Value.Method.ReturnType.Name, r => r.Key, StringComparer.Ordinal);

    /// <summary>All names, activations included.</summary>
    public static IReadOnlyList<string> Known { get; } = [.. Readers.Keys.Concat(Activations.Keys).Order(StringComparer.Ordinal)];

    /// <summary>Reads a layer from its settings; null where there is no layer of this name.</summary>
    /// <exception cref="ProblemException">A setting is unknown, missing or of the wrong type.</exception>
    public static LayerSpecification? Read(string type, JsonObject settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        if (Activations.TryGetValue(type, out var function))
            settings["function"] = JsonSerializer.SerializeToNode(function, QueueMaaSJson.Strict);
        else if (!Readers.ContainsKey(type))
            return null;
        var element = JsonSerializer.SerializeToElement(settings);
        return Activations.ContainsKey(type) ? SubmissionReader.ReadInput<ActivationLayer>(element) : Readers[type](element);
    }

    /// <summary>A layer's name and settings.</summary>
    public static (string Type, JsonObject Settings) Write(LayerSpecification layer)
    {
        ArgumentNullException.ThrowIfNull(layer);
        var settings = (JsonObject)JsonSerializer.SerializeToNode(layer, layer.GetType(), QueueMaaSJson.Relaxed)!;
        if (layer is not ActivationLayer activation)
            return (Names[layer.GetType().Name], settings);
        settings.Remove("function");
        return (ActivationFunctions.NameOf(activation.Function), settings);
    }
}
