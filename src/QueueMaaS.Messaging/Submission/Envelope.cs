using System.Runtime.InteropServices;
using System.Text.Json;

namespace QueueMaaS.Messaging.Submission;

/// <summary>What MassTransit's producers put around a message.</summary>
internal static class Envelope
{
    /// <summary>The submission itself: the body, or the <c>message</c> inside MassTransit's envelope.</summary>
    public static byte[] Unwrap(byte[] body)
    {
        // A look for the name costs next to nothing; only what may be an envelope is read twice.
        if (body.AsSpan().IndexOf("\"messageType\""u8) < 0)
            return body;
        try
        {
            using var document = JsonDocument.Parse(body);
            var isEnvelope = document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("messageType", out _) && document.RootElement.TryGetProperty("message", out _);
            return isEnvelope ? JsonMarshal.GetRawUtf8Value(document.RootElement.GetProperty("message")).ToArray() : body;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The reader of submissions says what is wrong with it, and where.
            return body;
        }
    }
}
