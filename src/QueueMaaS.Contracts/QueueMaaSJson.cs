using System.Text.Json;
using System.Text.Json.Serialization;

namespace QueueMaaS.Contracts;

/// <summary>The JSON dialect of every message, request and response: camelCase names, enums as camelCase strings, nulls left out.</summary>
public static class QueueMaaSJson
{
    /// <summary>For what comes from a producer: a member that the contract does not know is an error, not a silent typo.</summary>
    public static JsonSerializerOptions Strict { get; } = Create(JsonUnmappedMemberHandling.Disallow);

    /// <summary>For what we write, and for clients reading answers: unknown members are skipped, so that a newer server can add some.</summary>
    public static JsonSerializerOptions Relaxed { get; } = Create(JsonUnmappedMemberHandling.Skip);

    private static JsonSerializerOptions Create(JsonUnmappedMemberHandling unmapped)
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web);
        Apply(options);
        options.UnmappedMemberHandling = unmapped;
        // What we write leaves nulls out, so only what producers write can be held to naming every parameter.
        options.RespectRequiredConstructorParameters = unmapped == JsonUnmappedMemberHandling.Disallow;
        // Of two values for one name the first would be dropped in silence.
        options.AllowDuplicateProperties = unmapped != JsonUnmappedMemberHandling.Disallow;
        options.MakeReadOnly(populateMissingResolver: true);
        return options;
    }

    /// <summary>Gives <paramref name="options"/> this dialect (used for ASP.NET Core's own serializer).</summary>
    public static void Apply(JsonSerializerOptions options)
    {
        options.PropertyNamingPolicy = JsonNamingPolicy.CamelCase;
        options.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        options.NumberHandling = JsonNumberHandling.Strict;
        options.Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        options.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false));
    }
}
