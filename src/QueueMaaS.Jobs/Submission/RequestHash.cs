using System.Buffers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Submission;

/// <summary>Tells whether a repeat is the same submission: SHA-256 over its JSON as the service writes it, without white space, in lower-case hex.</summary>
internal static class RequestHash
{
    private static readonly JsonElement Placeholder = JsonElement.Parse("null");

    /// <summary>The id is left out, so that a repeat under one idempotency key matches whether or not it names an id.</summary>
    public static string Of(JobSubmission submission)
    {
        var input = JsonMarshal.GetRawUtf8Value(submission.Input);
        if (!IsWrittenAsItIs(input))
            return Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(submission with { Id = null }, QueueMaaSJson.Relaxed)));
        // A long input is not written once more, number by number.
        var around = JsonSerializer.SerializeToUtf8Bytes(submission with { Id = null, Input = Placeholder }, QueueMaaSJson.Relaxed).AsSpan();
        var before = around.IndexOf("\"input\":null"u8) + "\"input\":"u8.Length;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(around[..before]);
        hash.AppendData(input);
        hash.AppendData(around[(before + "null"u8.Length)..]);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Whether the writer would change nothing: no white space between values, and nothing in texts that can be written in two ways.</summary>
    private static bool IsWrittenAsItIs(ReadOnlySpan<byte> json) => !json.ContainsAnyExcept(Plain);

    private static readonly SearchValues<byte> Plain = SearchValues.Create([.. Enumerable.Range(0x21, 0x5E).Select(static code => (byte)code).Where(static code => code != '\\')]);
}
