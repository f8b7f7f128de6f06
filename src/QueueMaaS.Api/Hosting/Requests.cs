using System.Buffers;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using QueueMaaS.Contracts;

namespace QueueMaaS.Api.Hosting;

/// <summary>Reads what routes have in common from a request.</summary>
internal static class Requests
{
    /// <summary>The whole body, up to a limit.</summary>
    public static async Task<byte[]> ReadBodyAsync(HttpRequest request, int maxBytes, CancellationToken cancellationToken)
    {
        var tooLarge = new ProblemException(
            ProblemCodes.TooLarge, $"The body is larger than {maxBytes} bytes, the configured limit. Upload large inputs as artifacts (POST /v1/artifacts) and refer to them.", ("limit", maxBytes));
        if (request.ContentLength > maxBytes)
            throw tooLarge;
        var body = new ArrayBufferWriter<byte>((int)(request.ContentLength ?? 4096) + 1);
        int read;
        while ((read = await request.Body.ReadAsync(body.GetMemory(4096), cancellationToken)) > 0)
        {
            body.Advance(read);
            if (body.WrittenCount > maxBytes)
                throw tooLarge;
        }

        return body.WrittenSpan.ToArray();
    }

    /// <summary>A form with files, up to a limit.</summary>
    /// <exception cref="ProblemException"><c>too_large</c>, or <c>invalid_request</c> where the form is damaged.</exception>
    public static async Task<IFormCollection> ReadFormAsync(HttpRequest request, long maxBytes, int maxFieldBytes, CancellationToken cancellationToken)
    {
        try
        {
            return await request.ReadFormAsync(new FormOptions { MultipartBodyLengthLimit = maxBytes, ValueLengthLimit = maxFieldBytes }, cancellationToken);
        }
        catch (Exception e) when (e is InvalidDataException || (e is IOException and not BadHttpRequestException && !cancellationToken.IsCancellationRequested))
        {
            throw new ProblemException(
                e.Message.Contains("limit", StringComparison.OrdinalIgnoreCase)
                    ? Problem.Create(ProblemCodes.TooLarge, $"The form is larger than the {maxBytes} bytes that are accepted, or a field of it than {maxFieldBytes}.", ("limit", maxBytes), ("fieldLimit", maxFieldBytes))
                    : Problem.Create(ProblemCodes.InvalidRequest, "The form (multipart/form-data) is damaged: a boundary is missing or a part was cut short."),
                e);
        }
    }

    /// <summary><c>N</c> of <c>Prefer: wait=N</c> (RFC 7240) or of <c>?wait=N</c>, in seconds.</summary>
    public static TimeSpan? Wait(HttpRequest request, TimeSpan max)
    {
        var text = request.Query["wait"].FirstOrDefault()
            ?? request.Headers["Prefer"].SelectMany(value => (value ?? "").Split(',')).Select(part => part.Trim())
                .FirstOrDefault(part => part.StartsWith("wait=", StringComparison.OrdinalIgnoreCase))?[5..];
        if (text is null)
            return null;
        if (!double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds))
            throw new ProblemException(ProblemCodes.InvalidValue, "`wait` must be a number of seconds.", ("path", "wait"));
        return TimeSpan.FromSeconds(Math.Min(seconds, max.TotalSeconds));
    }

    public static int Limit(int? limit) => limit switch
    {
        null => 50,
        >= 1 and <= 200 => limit.Value,
        _ => throw new ProblemException(ProblemCodes.InvalidValue, "`limit` must be a whole number from 1 to 200.", ("path", "limit")),
    };

    /// <summary>A page of what was found where one more than fits was asked for.</summary>
    /// <param name="found">In order, at most one more than <paramref name="size"/>.</param>
    /// <param name="size">What a page holds.</param>
    /// <param name="place">Where one stands in the order, for the cursor.</param>
    /// <param name="show">How one is shown.</param>
    public static Page<TShown> ToPage<T, TShown>(IReadOnlyList<T> found, int size, Func<T, string> place, Func<T, TShown> show) =>
        new([.. found.Take(size).Select(show)], found.Count > size ? WriteCursor(place(found[size - 1])) : null);

    public static Page<T> ToPage<T>(IReadOnlyList<T> found, int size, Func<T, string> place) => ToPage(found, size, place, static one => one);

    private static string WriteCursor(string place) => Convert.ToBase64String(Encoding.UTF8.GetBytes(place)).TrimEnd('=').Replace('+', '-').Replace('/', '_');

    public static string? ReadCursor(string? cursor)
    {
        if (cursor is null)
            return null;
        var base64 = cursor.Replace('-', '+').Replace('_', '/');
        var buffer = new byte[cursor.Length];
        return Convert.TryFromBase64String(base64 + new string('=', (4 - (base64.Length % 4)) % 4), buffer, out var written)
            ? Encoding.UTF8.GetString(buffer, 0, written)
            : throw BadCursor();
    }

    public static ProblemException BadCursor() => new(ProblemCodes.InvalidValue, "`cursor` is not one that this service gave. Use the `nextCursor` of the page before.", ("path", "cursor"));
}
