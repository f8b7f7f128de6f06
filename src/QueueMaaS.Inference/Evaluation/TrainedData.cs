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
}
