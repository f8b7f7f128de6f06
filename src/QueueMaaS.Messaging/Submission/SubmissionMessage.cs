using System.Runtime.InteropServices;
using System.Text.Json;

namespace QueueMaaS.Messaging.Submission;

/// <summary>A message from a producer, as it came.</summary>
/// <param name="Body">All of it, with the envelope where it has one.</param>
/// <param name="Headers">The producer's headers, as text.</param>
internal sealed record SubmissionMessage(ReadOnlyMemory<byte> Body, IReadOnlyDictionary<string, string> Headers)
{
    /// <summary>The submission itself: the body, or the <c>message</c> inside MassTransit's envelope.</summary>
    public ReadOnlyMemory<byte> Submission { get; private init; }

    public string? ContentType { get; init; }

    /// <summary>The message's own id, by the transport or the envelope.</summary>
    public string? MessageId { get; private init; }

    /// <summary>For a MassTransit client's request: its id, which the reply names.</summary>
    public string? RequestId { get; private init; }

    /// <summary>For a MassTransit client's request: where the reply goes.</summary>
    public Uri? ResponseAddress { get; private init; }

    /// <summary>True where the message came in MassTransit's envelope, so that a reply goes in one too.</summary>
    public bool IsEnveloped { get; private init; }

    /// <summary>A header, as the transport or the envelope has it.</summary>
    public string? Header(string name) => Headers.GetValueOrDefault(name);

    /// <summary>Reads what is around a submission; the submission itself stays unread.</summary>
    /// <param name="body">The message's body.</param>
    /// <param name="headers">The transport's headers.</param>
    /// <param name="messageId">The transport's message id.</param>
    /// <param name="contentType">The transport's content type.</param>
    public static SubmissionMessage From(ReadOnlyMemory<byte> body, IReadOnlyDictionary<string, string> headers, string? messageId, string? contentType)
    {
        var plain = new SubmissionMessage(body, headers)
        {
            Submission = body,
            ContentType = contentType,
            MessageId = messageId ?? headers.GetValueOrDefault("MessageId"),
            RequestId = headers.GetValueOrDefault("RequestId"),
            ResponseAddress = Address(headers.GetValueOrDefault("MT-Response-Address")),
        };
        // A look for the name costs next to nothing; only what may be an envelope is read twice.
        if (body.Span.IndexOf("\"messageType\""u8) < 0)
            return plain;
        try
        {
            using var document = JsonDocument.Parse(body);
            var envelope = document.RootElement;
            if (envelope.ValueKind != JsonValueKind.Object || !envelope.TryGetProperty("messageType", out _) || !envelope.TryGetProperty("message", out var message))
                return plain;
            return plain with
            {
                Submission = JsonMarshal.GetRawUtf8Value(message).ToArray(),
                Headers = Merge(headers, envelope),
                MessageId = Text(envelope, "messageId") ?? plain.MessageId,
                RequestId = Text(envelope, "requestId") ?? plain.RequestId,
                ResponseAddress = Address(Text(envelope, "responseAddress")) ?? plain.ResponseAddress,
                IsEnveloped = true,
            };
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The reader of submissions says what is wrong with it, and where.
            return plain;
        }
    }

    private static IReadOnlyDictionary<string, string> Merge(IReadOnlyDictionary<string, string> headers, JsonElement envelope)
    {
        if (!envelope.TryGetProperty("headers", out var more) || more.ValueKind != JsonValueKind.Object)
            return headers;
        var all = new Dictionary<string, string>(headers, StringComparer.Ordinal);
        foreach (var header in more.EnumerateObject().Where(header => header.Value.ValueKind == JsonValueKind.String))
            all.TryAdd(header.Name, header.Value.GetString()!);
        return all;
    }

    private static string? Text(JsonElement envelope, string name) => envelope.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static Uri? Address(string? text) => Uri.TryCreate(text, UriKind.Absolute, out var address) ? address : null;
}
