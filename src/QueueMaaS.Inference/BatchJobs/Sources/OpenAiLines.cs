using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference.BatchJobs.Sources;

/// <summary>Reads requests as OpenAI's batch files have them.</summary>
internal static class OpenAiLines
{
    /// <summary>Our own requests.</summary>
    public const string Inference = "/v1/inference";

    /// <summary>OpenAI's embeddings, for models with a text pipeline.</summary>
    public const string Embeddings = "/v1/embeddings";

    /// <exception cref="ProblemException">What is wrong with the line.</exception>
    public static OpenAiBatchLine Read(byte[]? line, long number)
    {
        try
        {
            var request = JsonSerializer.Deserialize<OpenAiBatchLine>(line ?? throw JsonLinesSource.TooLong(number), Options) ?? throw new JsonException();
            if (!request.Method.Equals("POST", StringComparison.OrdinalIgnoreCase))
                throw Invalid(number, $"`method` is `{request.Method}`; it must be POST");
            if (request.Url is not (Inference or Embeddings))
                throw Invalid(number, $"`url` is `{request.Url}`; it must be {Inference} or {Embeddings}");
            if (request.CustomId.Length is 0 or > 512)
                throw Invalid(number, "`custom_id` must have 1 to 512 characters");
            return request.Body.ValueKind == JsonValueKind.Object ? request : throw Invalid(number, "`body` must be an object");
        }
        catch (JsonException)
        {
            throw Invalid(number, "it is no JSON object with `custom_id`, `method`, `url` and `body`");
        }
    }

    /// <summary>The model that a request names.</summary>
    public static string ModelOf(OpenAiBatchLine request, long number) => Find(request, "model", number) is { ValueKind: JsonValueKind.String } model
        ? Text(model, number)
        : throw Invalid(number, "`body.model` must name the model");

    /// <summary>The request in our own words.</summary>
    /// <exception cref="ProblemException">It is for another model than the job, or cannot be read.</exception>
    public static InferenceInput ToInput(OpenAiBatchLine request, ServedModel model, long number)
    {
        var named = ModelOf(request, number);
        if (!VersionReference.TryParse(named, out var reference) || reference.Name != model.Name)
            throw Invalid(number, $"`body.model` is `{named}`, but the batch is for `{model.Name}`, which its first line names; a batch has one model");
        if (request.Url == Inference)
            return SubmissionReader.ReadInput<InferenceInput>(request.Body);
        if (Find(request, "input", number) is not { } input)
            throw Invalid(number, "`body.input` must give a text or an array of texts");
        return input.ValueKind switch
        {
            JsonValueKind.String => new() { Model = named, Text = Text(input, number) },
            JsonValueKind.Array when input.EnumerateArray().All(static text => text.ValueKind == JsonValueKind.String) => new() { Model = named, Texts = [.. input.EnumerateArray().Select(text => Text(text, number))] },
            _ => throw Invalid(number, "`body.input` must be a text or an array of texts"),
        };
    }

    private static JsonElement? Find(OpenAiBatchLine request, string name, long number) =>
        Read(number, () => request.Body.TryGetProperty(name, out var found) ? found : (JsonElement?)null);

    private static string Text(JsonElement text, long number) => Read(number, () => text.GetString()!);

    /// <summary>System.Text.Json reads a string only when it is asked for, and then says that it is no text.</summary>
    private static T Read<T>(long number, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException)
        {
            throw Invalid(number, "it has a string that is no text: its bytes are not UTF-8, or it has half of a surrogate pair (`\\ud800`) alone");
        }
    }

    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private static ProblemException Invalid(long number, string reason) => new(ProblemCodes.InvalidRequest, $"Line {number}: {reason}.", ("line", number));
}
