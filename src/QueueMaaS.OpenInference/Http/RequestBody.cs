using System.Buffers;
using System.IO.Compression;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using QueueMaaS.Contracts;

namespace QueueMaaS.OpenInference.Http;

/// <summary>Reads a body to its end, decompressed where it is compressed, and never more than allowed.</summary>
internal static class RequestBody
{
    /// <exception cref="ProblemException"><c>too_large</c>, <c>unsupported_encoding</c> or <c>invalid_request</c>.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpRequest request, int maxBytes, CancellationToken cancellationToken)
    {
        if (request.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = maxBytes;
        if (request.ContentLength > maxBytes)
            throw TooLarge(maxBytes);
        var encoding = request.Headers.ContentEncoding.ToString();
        if (encoding is "" or "identity")
            return request.ContentLength is { } length ? await ReadExactlyAsync(request.Body, (int)length, cancellationToken) : await ReadToEndAsync(request.Body, maxBytes, cancellationToken);
        RequireKnown(encoding);
        // All of it first: only with its head at hand can be told what is no such stream from one that was cut short.
        var compressed = await ReadToEndAsync(request.Body, maxBytes, cancellationToken);
        await using var decompressed = Decompress(compressed, encoding);
        try
        {
            return await ReadToEndAsync(decompressed, maxBytes, cancellationToken);
        }
        catch (InvalidDataException)
        {
            throw new ProblemException(
                ProblemCodes.InvalidRequest,
                Begins(compressed.Span, encoding)
                    ? $"The body begins as {encoding}, but was cut short or damaged: its {compressed.Length} bytes are no whole stream. Send all of it, and close the compressor before the body is taken from it."
                    : $"The body is not {encoding}, although `Content-Encoding` says so.",
                ("encoding", encoding), ("bytes", compressed.Length));
        }
    }

    private static async Task<ReadOnlyMemory<byte>> ReadExactlyAsync(Stream body, int length, CancellationToken cancellationToken)
    {
        // Requests keep their inputs in these bytes until they are computed, so nothing is pooled and nothing is copied.
        var bytes = GC.AllocateUninitializedArray<byte>(length);
        await body.ReadExactlyAsync(bytes, cancellationToken);
        return bytes;
    }

    private static async Task<ReadOnlyMemory<byte>> ReadToEndAsync(Stream body, int maxBytes, CancellationToken cancellationToken)
    {
        var bytes = new ArrayBufferWriter<byte>(16 << 10);
        int read;
        while ((read = await body.ReadAsync(bytes.GetMemory(4096), cancellationToken)) > 0)
        {
            bytes.Advance(read);
            // A small body may grow to anything: it is stopped here, not when the memory is gone.
            if (bytes.WrittenCount > maxBytes)
                throw TooLarge(maxBytes);
        }

        return bytes.WrittenMemory;
    }

    private static void RequireKnown(string encoding)
    {
        if (!IsGzip(encoding) && !encoding.Equals("deflate", StringComparison.OrdinalIgnoreCase))
            throw new ProblemException(ProblemCodes.UnsupportedEncoding, $"`Content-Encoding: {encoding}` is not known here. Send gzip, deflate, or the body as it is.", ("encoding", encoding));
    }

    private static Stream Decompress(ReadOnlyMemory<byte> body, string encoding)
    {
        MemoryMarshal.TryGetArray(body, out var array);
        var stream = new MemoryStream(array.Array ?? [], array.Offset, array.Count, writable: false);
        return IsGzip(encoding) ? new GZipStream(stream, CompressionMode.Decompress) : new ZLibStream(stream, CompressionMode.Decompress);
    }

    private static bool IsGzip(string encoding) => encoding.Equals("gzip", StringComparison.OrdinalIgnoreCase);

    /// <summary>By the heads that RFC 1952 and RFC 1950 give them.</summary>
    private static bool Begins(ReadOnlySpan<byte> body, string encoding) =>
        body.Length >= 2 && (IsGzip(encoding) ? body[0] == 0x1F && body[1] == 0x8B : (body[0] & 0x0F) == 8 && ((body[0] << 8) | body[1]) % 31 == 0);

    private static ProblemException TooLarge(int maxBytes) => new(
        ProblemCodes.TooLarge, $"The request is larger than {maxBytes} bytes, the configured limit (`OpenInference:MaxRequestBytes`, decompressed). Send fewer rows at a time, or a batch job.", ("limit", maxBytes));
}
