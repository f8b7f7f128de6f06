using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>Reads what a model's card says of the data that it was trained with.</summary>
internal static class TrainedData
{
    /// <summary>A setting that is a text; null where there is none.</summary>
    public static string? Text(ModelCard? card, string setting) =>
        card?.Parameters is { ValueKind: JsonValueKind.Object } parameters && parameters.TryGetProperty("data", out var data) && data.ValueKind == JsonValueKind.Object
        && data.TryGetProperty(setting, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    /// <summary>Whether a training on the data set validates on its split <c>test</c>: where there is no <c>val</c>, and the settings ask for no other division.</summary>
    public static bool IsTestValidation(ModelCard? card, DatasetCard dataset)
    {
        if (dataset.Splits.GetValueOrDefault("train") == 0 || dataset.Splits.GetValueOrDefault("test") == 0 || dataset.Splits.GetValueOrDefault("val") > 0)
            return false;
        if (card?.Parameters is not { ValueKind: JsonValueKind.Object } parameters)
            return false;
        return Member(Member(Member(parameters, "data"), "split"), "kind") is not { ValueKind: JsonValueKind.String } kind || kind.GetString() == "own";
    }

    private static JsonElement? Member(JsonElement? container, string name) =>
        container is { ValueKind: JsonValueKind.Object } given && given.TryGetProperty(name, out var value) ? value : null;
}
