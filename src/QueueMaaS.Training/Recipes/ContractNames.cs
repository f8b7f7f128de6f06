using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using QueueMaaS.Contracts;

namespace QueueMaaS.Training.Recipes;

/// <summary>
/// The names of a training's fields as the contract writes them. Who reads a training as JSON takes them in any case; who works on the document by its names must not take <c>Gate</c> for another field than <c>gate</c>.
/// Names that users choose (columns of a table) and what has no contract (the layers of a network) are left as they are.
/// </summary>
internal static class ContractNames
{
    private static readonly JsonTypeInfo Training = QueueMaaSJson.Strict.GetTypeInfo(typeof(TrainingInput));

    /// <summary>The same document with the contract's names.</summary>
    /// <param name="training">The document.</param>
    /// <param name="path">Where it lies, for the error.</param>
    /// <exception cref="ProblemException"><c>invalid_request</c>: a field is given twice, in different cases.</exception>
    public static JsonObject Of(JsonElement training, string path) => Write(training, Training, path);

    /// <summary>The path with the contract's names.</summary>
    public static IReadOnlyList<object> Of(IReadOnlyList<object> steps)
    {
        var type = Training;
        var written = new object[steps.Count];
        for (var i = 0; i < written.Length; i++)
        {
            written[i] = steps[i] is string name ? Find(type, name)?.Name ?? name : steps[i];
            type = Below(type, written[i]);
        }

        return written;
    }

    private static JsonNode? Rewrite(JsonElement element, JsonTypeInfo? type, string path) => (element.ValueKind, type?.Kind) switch
    {
        (JsonValueKind.Object, JsonTypeInfoKind.Object or JsonTypeInfoKind.Dictionary) => Write(element, type!, path),
        (JsonValueKind.Array, JsonTypeInfoKind.Enumerable) => new JsonArray([.. element.EnumerateArray().Select((item, i) => Rewrite(item, Below(type, i), $"{path}[{i}]"))]),
        _ => JsonSerializer.SerializeToNode(element),
    };

    private static JsonObject Write(JsonElement element, JsonTypeInfo type, string path)
    {
        var written = new JsonObject();
        foreach (var member in element.EnumerateObject())
        {
            var name = Find(type, member.Name)?.Name ?? member.Name;
            if (!written.TryAdd(name, Rewrite(member.Value, Below(type, name), $"{path}.{name}")))
                throw new ProblemException(ProblemCodes.InvalidRequest, $"`{path}` has the field `{name}` twice. Upper and lower case make no difference; give it once.", ("field", name), ("path", $"{path}.{name}"));
        }

        return written;
    }

    private static JsonPropertyInfo? Find(JsonTypeInfo? type, string name) =>
        type?.Kind == JsonTypeInfoKind.Object ? type.Properties.FirstOrDefault(property => string.Equals(property.Name, name, StringComparison.OrdinalIgnoreCase)) : null;

    /// <summary>What lies at a step; null where the contract does not say.</summary>
    private static JsonTypeInfo? Below(JsonTypeInfo? type, object step)
    {
        var below = (type?.Kind, step) switch
        {
            (JsonTypeInfoKind.Object, string name) => Find(type, name)?.PropertyType,
            (JsonTypeInfoKind.Dictionary, string) or (JsonTypeInfoKind.Enumerable, int) => type!.ElementType,
            _ => null,
        };
        return below is null ? null : QueueMaaSJson.Strict.GetTypeInfo(below);
    }
}
