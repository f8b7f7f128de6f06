using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Unicode;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Submission;

/// <summary>Turns JSON from a producer into contract types, with errors that name the place. One reader for HTTP and the bus.</summary>
public static class SubmissionReader
{
    // From how many bytes on the way around the input is the shorter one.
    private const int LongSubmission = 2048;

    // What System.Text.Json takes without a setting.
    private const int MaxDepth = 64;

    /// <summary>Reads a submission; throws <c>invalid_request</c>, <c>unknown_field</c> or <c>too_large</c>.</summary>
    public static JobSubmission Read(ReadOnlySpan<byte> json, int maxBytes)
    {
        if (json.IsEmpty)
            throw new ProblemException(ProblemCodes.InvalidRequest, "The submission is empty. Send a JSON object with `kind` and `input`.");
        if (json.Length > maxBytes)
        {
            throw new ProblemException(
                ProblemCodes.TooLarge,
                $"The submission has {json.Length} bytes; at most {maxBytes} are accepted. Upload large inputs as artifacts and refer to them.",
                ("bytes", json.Length), ("limit", maxBytes));
        }

        RequireText(json, "the submission");
        return (json.Length >= LongSubmission ? ReadOnce(json) : null)
            ?? Guard(json, static (ReadOnlySpan<byte> bytes) => JsonSerializer.Deserialize<JobSubmission>(bytes, QueueMaaSJson.Strict), "the submission");
    }

    /// <summary>
    /// The same with one pass over a long input, where the serializer takes three to make a document of it: the document is made first, and the serializer reads what is around the input.
    /// Null where something is wrong; the serializer then says what, and where.
    /// </summary>
    private static JobSubmission? ReadOnce(ReadOnlySpan<byte> json)
    {
        try
        {
            var root = JsonElement.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false });
            if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("input"u8, out var input))
                return null;
            var all = JsonMarshal.GetRawUtf8Value(root);
            var inner = JsonMarshal.GetRawUtf8Value(input);
            if (!all.Overlaps(inner, out var at))
                return null;
            byte[] around = [.. all[..at], .. "null"u8, .. all[(at + inner.Length)..]];
            return JsonSerializer.Deserialize<JobSubmission>(around, QueueMaaSJson.Strict) is { } read ? read with { Input = input } : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Reads the input of a job of a known kind.</summary>
    public static T ReadInput<T>(JsonElement input) where T : class
    {
        if (input.ValueKind != JsonValueKind.Object)
            throw new ProblemException(ProblemCodes.InvalidRequest, $"`input` must be a JSON object, not {Describe(input.ValueKind)}.", ("path", "input"));
        return Guard(input, static element => element.Deserialize<T>(QueueMaaSJson.Strict), "input");
    }

    /// <summary>Reads any request body of a known type.</summary>
    public static T ReadBody<T>(ReadOnlySpan<byte> json) where T : class
    {
        RequireText(json, "the body");
        return Guard(json, static (ReadOnlySpan<byte> bytes) => JsonSerializer.Deserialize<T>(bytes, QueueMaaSJson.Strict), "the body");
    }

    /// <summary>Refuses JSON with a string that is no text. System.Text.Json finds out only when the string is asked for, which may be after the job was accepted.</summary>
    private static void RequireText(ReadOnlySpan<byte> json, string what)
    {
        if (!Utf8.IsValid(json))
            throw NoText(what);
        // Only an escape can write half of a surrogate pair.
        if (json.IndexOf("\\ud"u8) < 0 && json.IndexOf("\\uD"u8) < 0)
            return;
        var reader = new Utf8JsonReader(json);
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped)
                    _ = reader.GetString();
            }
        }
        catch (InvalidOperationException)
        {
            throw NoText(what);
        }
        catch (JsonException)
        {
            // Whoever reads it says what is wrong with it.
        }
    }

    private static ProblemException NoText(string what) =>
        new(ProblemCodes.InvalidRequest, $"{Capital(what)} has a string that is no text: its bytes are not UTF-8, or it has half of a surrogate pair (`\\ud800`) alone.");

    private delegate T? SpanReader<T>(ReadOnlySpan<byte> bytes);

    private static T Guard<T>(ReadOnlySpan<byte> json, SpanReader<T> read, string what) where T : class
    {
        try
        {
            return read(json) ?? throw Null(what);
        }
        catch (JsonException exception)
        {
            throw Explain(exception, what);
        }
    }

    private static T Guard<T>(JsonElement element, Func<JsonElement, T?> read, string what) where T : class
    {
        try
        {
            return read(element) ?? throw Null(what);
        }
        catch (JsonException exception)
        {
            throw Explain(exception, what);
        }
    }

    private static ProblemException Null(string what) => new(ProblemCodes.InvalidRequest, $"Expected {what} to be a JSON object, but it is null.");

    private static ProblemException Explain(JsonException exception, string what)
    {
        // System.Text.Json appends " Path: … | LineNumber: … | BytePositionInLine: …"; the path is given on its own.
        var cut = exception.Message.IndexOf(" Path: ", StringComparison.Ordinal);
        var reason = cut < 0 ? exception.Message : exception.Message[..cut];
        var path = exception.Path is null or "$" ? what : exception.Path.StartsWith("$.", StringComparison.Ordinal) ? exception.Path[2..] : exception.Path;
        if (reason.Contains("could not be mapped to any .NET member", StringComparison.Ordinal))
        {
            var member = reason.Split('\'')[1];
            return new(
                ProblemCodes.UnknownField,
                $"{Capital(what)} has a field `{member}` that is not part of the contract. Remove it or correct its spelling.",
                ("field", member), ("path", path));
        }

        if (reason.StartsWith("Duplicate property", StringComparison.Ordinal))
        {
            var member = reason.Split('\'') is [_, var quoted, ..] ? quoted : path;
            // Within what has no type of its own the place ends at the object.
            if (!path.EndsWith(member, StringComparison.OrdinalIgnoreCase))
                path = exception.Path is null or "$" ? member : $"{path}.{member}";
            return new(
                ProblemCodes.InvalidRequest,
                $"{Capital(what)} has a field twice: `{member}`. Upper and lower case make no difference in the contract's names; give it once.",
                ("field", member), ("path", path));
        }

        if (reason.Contains("maximum configured depth", StringComparison.Ordinal))
            return new(ProblemCodes.InvalidRequest, $"{Capital(what)} is nested more than {MaxDepth} levels deep. Send deep data as text or as an artifact.", ("limit", MaxDepth), ("path", path));

        if (reason.Contains("missing required properties", StringComparison.Ordinal))
        {
            var missing = reason[(reason.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim().TrimEnd('.').Replace("'", "`", StringComparison.Ordinal);
            return new(ProblemCodes.InvalidRequest, $"{Capital(what)} lacks {missing}, which must be given.", ("missing", missing.Replace("`", "", StringComparison.Ordinal)), ("path", path));
        }

        if (reason.Contains("could not be converted to", StringComparison.Ordinal) && (exception.Path is null or "$"))
            return new(ProblemCodes.InvalidRequest, $"Expected {what} to be a JSON object, but it is something else (an array, a string, a number …).");

        if (reason.Contains("could not be converted to", StringComparison.Ordinal))
            return new(ProblemCodes.InvalidValue, $"`{path}` has a value of the wrong type or outside its choices{(Wanted(reason) is { } wanted ? $": it must be {wanted}" : "")}.", ("path", path));

        return new(
            ProblemCodes.InvalidRequest,
            $"{Capital(what)} is not valid JSON at line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}.",
            ("line", exception.LineNumber + 1), ("byte", exception.BytePositionInLine + 1));
    }

    /// <summary>What a value must be, by the type that the reader names; null where nothing simple can be said.</summary>
    private static string? Wanted(string reason)
    {
        const string To = "could not be converted to ";
        var type = reason[(reason.IndexOf(To, StringComparison.Ordinal) + To.Length)..].TrimEnd('.');
        const string Nullable = "System.Nullable`1[";
        if (type.StartsWith(Nullable, StringComparison.Ordinal))
            type = type[Nullable.Length..^1];
        if (typeof(QueueMaaSJson).Assembly.GetType(type) is { IsEnum: true } choices)
            return $"one of {string.Join(", ", Enum.GetNames(choices).Where(name => choices != typeof(JobKind) || name != nameof(JobKind.Chunk)).Select(static name => $"`{JsonNamingPolicy.CamelCase.ConvertName(name)}`"))}";
        return type switch
        {
            "System.Int32" or "System.Int64" => "a whole number",
            "System.Double" or "System.Single" or "System.Decimal" => "a number",
            "System.Boolean" => "true or false",
            "System.String" => "a text",
            "System.DateTimeOffset" => "a time such as 2026-03-01T12:00:00Z",
            _ when type.Contains("Dictionary`", StringComparison.Ordinal) || type.StartsWith("QueueMaaS.", StringComparison.Ordinal) => "an object",
            _ when type.StartsWith("System.Collections.", StringComparison.Ordinal) || type.EndsWith("[]", StringComparison.Ordinal) => "a list",
            _ => null,
        };
    }

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    private static string Describe(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        JsonValueKind.Undefined => "missing",
        _ => "a boolean",
    };
}
