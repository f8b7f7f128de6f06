using System.Buffers;
using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Life;

/// <summary>Writes a job as the API shows it, byte for byte what serialising <see cref="JobRecord.ToJob"/> gives, without reading the documents in it first.</summary>
public static class JobJson
{
    private static readonly JsonWriterOptions Options = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    public static byte[] Write(JobRecord job)
    {
        ArgumentNullException.ThrowIfNull(job);
        var buffer = new ArrayBufferWriter<byte>(512 + job.Input.Length + (job.Output?.Length ?? 0));
        using (var json = new Utf8JsonWriter(buffer, Options))
            Write(json, job);
        return buffer.WrittenSpan.ToArray();
    }

    private static void Write(Utf8JsonWriter json, JobRecord job)
    {
        json.WriteStartObject();
        json.WriteString("id", job.Id);
        json.WriteString("kind", Name(job.Kind));
        json.WriteString("state", Name(job.State));
        json.WriteNumber("sequence", job.Sequence);
        json.WriteNumber("attempt", job.Attempt);
        json.WriteNumber("maxAttempts", job.MaxAttempts);
        json.WriteNumber("priority", job.Priority);
        if (job.Model is not null)
            json.WriteString("model", job.Model);
        Raw(json, "input", job.Input);
        json.WriteString("createdAt", job.CreatedAt);
        Time(json, "startedAt", job.StartedAt);
        Time(json, "finishedAt", job.FinishedAt);
        Time(json, "deadline", job.Deadline);
        Time(json, "runAt", job.RunAt);
        Raw(json, "progress", job.Progress);
        Raw(json, "output", job.Output);
        Raw(json, "error", job.Error);
        Raw(json, "tags", job.Tags);
        if (job.Rules is not null || job.GroupId is not null)
            Write(json, job.GetRules(), job.GroupId);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, JobRules rules, string? group)
    {
        if (rules.After is { } after)
        {
            json.WritePropertyName("after");
            JsonSerializer.Serialize(json, after, QueueMaaSJson.Relaxed);
        }

        if (group is not null)
            json.WriteString("group", group);
        if (rules.Schedule is not null)
            json.WriteString("schedule", rules.Schedule);
        if (rules.ReplayOf is not null)
            json.WriteString("replayOf", rules.ReplayOf);
    }

    private static void Raw(Utf8JsonWriter json, string name, string? value)
    {
        if (value is null)
            return;
        json.WritePropertyName(name);
        json.WriteRawValue(value, skipInputValidation: true);
    }

    private static void Time(Utf8JsonWriter json, string name, DateTimeOffset? value)
    {
        if (value is { } moment)
            json.WriteString(name, moment);
    }

    private static string Name<T>(T value) where T : struct, Enum => JsonNamingPolicy.CamelCase.ConvertName(value.ToString());
}
