using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Submission;

/// <summary><c>{"$output":"JOB_ID","path":"/a/0"}</c> within an input: another job's output, or the part of it that a JSON pointer (RFC 6901) names.</summary>
public static class OutputReferences
{
    private const string Marker = "$output";

    /// <summary>What an input may grow to.</summary>
    private const int MaxChars = 16 * 1024 * 1024;

    /// <summary>The jobs that an input refers to.</summary>
    public static IReadOnlyList<string> Find(JsonElement input)
    {
        // Almost no input has any, so the text is searched before the tree is walked.
        if (JsonMarshal.GetRawUtf8Value(input).IndexOf("\"$output\""u8) < 0)
            return [];
        var found = new List<string>();
        Collect(input, found);
        return found;
    }

    /// <summary>The input with every reference replaced.</summary>
    /// <exception cref="ProblemException"><c>reference_invalid</c>: there is nothing at the path, or the input becomes too large.</exception>
    public static string Resolve(string input, Func<string, string?> outputOf)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(outputOf);
        if (!input.Contains($"\"{Marker}\"", StringComparison.Ordinal))
            return input;
        var resolved = Replace(JsonNode.Parse(input), outputOf)?.ToJsonString(QueueMaaSJson.Relaxed) ?? "null";
        return resolved.Length <= MaxChars
            ? resolved
            : throw new ProblemException(ProblemCodes.ReferenceInvalid, $"With the outputs of the jobs before it the input has {resolved.Length} characters; at most {MaxChars} are allowed. Refer to a part of the output by `path`.", ("limit", MaxChars));
    }

    private static void Collect(JsonElement element, List<string> found)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object when element.TryGetProperty(Marker, out var id):
                found.Add(id.ValueKind == JsonValueKind.String && Identifiers.IsJobId(id.GetString())
                    ? id.GetString()!
                    : throw new ProblemException(ProblemCodes.InvalidValue, $"`{Marker}` must be the id of a job.", ("path", $"input.{Marker}")));
                break;
            case JsonValueKind.Object:
                foreach (var property in element.EnumerateObject())
                    Collect(property.Value, found);
                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray())
                    Collect(item, found);
                break;
        }
    }

    private static JsonNode? Replace(JsonNode? node, Func<string, string?> outputOf)
    {
        switch (node)
        {
            case JsonObject reference when reference.TryGetPropertyValue(Marker, out var id):
                return Take(id!.GetValue<string>(), reference["path"]?.GetValue<string>() ?? "", outputOf);
            case JsonObject container:
                foreach (var (name, value) in container.ToArray())
                {
                    if (Replace(value, outputOf) is var replaced && !ReferenceEquals(replaced, value))
                        container[name] = replaced;
                }

                return container;
            case JsonArray list:
                for (var i = 0; i < list.Count; i++)
                {
                    if (Replace(list[i], outputOf) is var replaced && !ReferenceEquals(replaced, list[i]))
                        list[i] = replaced;
                }

                return list;
            default:
                return node;
        }
    }

    private static JsonNode? Take(string id, string pointer, Func<string, string?> outputOf)
    {
        var part = JsonNode.Parse(outputOf(id) ?? "null");
        foreach (var token in pointer.Split('/').Skip(1).Select(token => token.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal)))
        {
            part = part switch
            {
                JsonObject container when container.TryGetPropertyValue(token, out var value) => value,
                JsonArray list when int.TryParse(token, out var index) && index >= 0 && index < list.Count => list[index],
                _ => throw new ProblemException(ProblemCodes.ReferenceInvalid, $"The output of job `{id}` has nothing at `{pointer}`.", ("jobId", id), ("path", pointer)),
            };
        }

        return part?.DeepClone();
    }
}
