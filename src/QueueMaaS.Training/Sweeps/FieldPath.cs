using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Recipes;

namespace QueueMaaS.Training.Sweeps;

/// <summary>A field of a training by its path: <c>learningRate</c>, <c>optimization.weightDecay</c>, <c>network[0].out</c>, <c>data.columns["a.b"].scaling</c>.</summary>
internal sealed class FieldPath
{
    private readonly IReadOnlyList<object> _steps;

    private FieldPath(string text, IReadOnlyList<object> steps)
    {
        Text = text;
        _steps = steps;
    }

    /// <summary>As it was given.</summary>
    public string Text { get; }

    /// <summary>The member of the training that it lies in.</summary>
    public string Root => (string)_steps[0];

    /// <exception cref="ProblemException"><c>search_invalid</c>.</exception>
    public static FieldPath Parse(string text)
    {
        var steps = new List<object>();
        var rest = text.AsSpan();
        while (!rest.IsEmpty)
        {
            if (rest[0] == '[')
                rest = Index(text, rest, steps);
            else
                rest = Member(text, rest, steps);
        }

        return steps is [string, ..] ? new(text, steps) : throw Malformed(text);
    }

    /// <summary>The path as the contract writes it, where this one parts from it in upper and lower case; null where it does not.</summary>
    public string? Misspelt()
    {
        var written = ContractNames.Of(_steps);
        if (written.SequenceEqual(_steps))
            return null;
        var text = new System.Text.StringBuilder();
        foreach (var step in written)
        {
            text.Append(step switch
            {
                int index => $"[{index}]",
                string name when name.AsSpan().ContainsAny('.', '[') => $"[\"{name}\"]",
                _ => $"{(text.Length > 0 ? "." : "")}{step}",
            });
        }

        return text.ToString();
    }

    /// <summary>Whether one of the two lies within the other, or both are the same.</summary>
    public bool Overlaps(FieldPath other) => _steps.Zip(other._steps).All(static pair => pair.First.Equals(pair.Second));

    /// <summary>Puts a value into a training; objects on the way that are missing are made.</summary>
    /// <exception cref="ProblemException"><c>search_invalid</c>: the path leads through something that has no fields, or beyond the end of a list.</exception>
    public void Set(JsonObject training, JsonElement value)
    {
        JsonNode at = training;
        for (var i = 0; i < _steps.Count - 1; i++)
            at = Step(at, _steps[i]) ?? Make(at, i);
        var node = JsonSerializer.SerializeToNode(value);
        switch (at, _steps[^1])
        {
            case (JsonObject members, string name):
                members[name] = node;
                break;
            case (JsonArray list, int index) when index < list.Count:
                list[index] = node;
                break;
            default:
                throw Nowhere();
        }
    }

    private static JsonNode? Step(JsonNode at, object step) => (at, step) switch
    {
        (JsonObject members, string name) => members[name],
        (JsonArray list, int index) when index < list.Count => list[index],
        _ => null,
    };

    private JsonObject Make(JsonNode at, int i)
    {
        if (at is not JsonObject members || _steps[i] is not string name || _steps[i + 1] is not string)
            throw Nowhere();
        var made = new JsonObject();
        members[name] = made;
        return made;
    }

    private static ReadOnlySpan<char> Index(string text, ReadOnlySpan<char> rest, List<object> steps)
    {
        var quoted = rest.Length > 1 && rest[1] == '"';
        var end = rest.IndexOf(quoted ? "\"]" : "]", StringComparison.Ordinal);
        if (end < 2)
            throw Malformed(text);
        if (quoted)
            steps.Add(rest[2..end].ToString());
        else if (int.TryParse(rest[1..end], System.Globalization.NumberStyles.None, null, out var index))
            steps.Add(index);
        else
            throw Malformed(text);
        return After(text, rest[(end + (quoted ? 2 : 1))..]);
    }

    private static ReadOnlySpan<char> Member(string text, ReadOnlySpan<char> rest, List<object> steps)
    {
        var end = rest.IndexOfAny('.', '[');
        var name = end < 0 ? rest : rest[..end];
        if (name.IsEmpty)
            throw Malformed(text);
        steps.Add(name.ToString());
        return end < 0 ? [] : After(text, rest[end..]);
    }

    private static ReadOnlySpan<char> After(string text, ReadOnlySpan<char> rest)
    {
        if (rest.IsEmpty || rest[0] == '[')
            return rest;
        return rest is ['.', not ('.' or '['), ..] ? rest[1..] : throw Malformed(text);
    }

    private static ProblemException Malformed(string text) => new(
        ProblemCodes.SearchInvalid, $"`search.space` has the field `{text}`, which is no path. Write it as `learningRate`, `optimization.weightDecay`, `network[0].out` or `data.columns[\"a.b\"].scaling`.", ("field", text));

    private ProblemException Nowhere() => new(
        ProblemCodes.SearchInvalid, $"`search.space` has the field `{Text}`, but the training has nothing there to vary: a list that it leads through is missing or shorter, or is no list. Give it in `training` first.", ("field", Text));
}
