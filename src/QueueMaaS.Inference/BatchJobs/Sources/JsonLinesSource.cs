using System.Runtime.CompilerServices;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Jobs;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference.BatchJobs.Sources;

/// <summary>The lines of a JSONL file: our own items, or requests as OpenAI's batch files have them. A chunk reads its own part of the file and no more, wherever that lies.</summary>
internal sealed class JsonLinesSource(Func<CancellationToken, Task<Stream>> open, ServedModel model, Predictor predictor, bool openAi) : IItemSource
{
    public async Task<SourceScan> ScanAsync(int stride, long limit, CancellationToken cancellationToken)
    {
        var (count, offsets, ids) = (0L, new List<long>(), new SeenIds());
        await using var file = await open(cancellationToken);
        await foreach (var line in JsonLines.ReadAsync(file, cancellationToken))
        {
            if (count >= limit)
                break;
            if (count % stride == 0)
                offsets.Add(line.Offset);
            count++;
            if (line.Bytes is not null && IdOf(line.Bytes) is { } id)
                ids.Add(id, count, "Line");
        }

        return new(count, offsets);
    }

    public async IAsyncEnumerable<ItemGroup> ReadAsync(long first, long offset, int count, int size, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var lines = new List<JsonLine>(size);
        var at = first;
        await using var file = await open(cancellationToken);
        file.Position = offset;
        await foreach (var line in JsonLines.ReadAsync(file, cancellationToken))
        {
            lines.Add(line);
            if (lines.Count < size && at + lines.Count < first + count)
                continue;
            yield return await GroupAsync(lines, at, cancellationToken);
            at += lines.Count;
            lines.Clear();
            if (at >= first + count)
                yield break;
        }

        if (lines.Count > 0)
            yield return await GroupAsync(lines, at, cancellationToken);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>The model that the requests of an OpenAI batch file name, and the address that they are for: those of its first line.</summary>
    /// <exception cref="ProblemException"><c>dataset_empty</c>, or what is wrong with the first line.</exception>
    public static async Task<(string Model, string Url)> HeadAsync(Stream file, CancellationToken cancellationToken)
    {
        await foreach (var line in JsonLines.ReadAsync(file, cancellationToken))
        {
            var first = OpenAiLines.Read(line.Bytes, 1);
            return (OpenAiLines.ModelOf(first, 1), first.Url);
        }

        throw new ProblemException(ProblemCodes.DatasetEmpty, "The batch file is empty.");
    }

    private async Task<ItemGroup> GroupAsync(List<JsonLine> lines, long first, CancellationToken cancellationToken)
    {
        var items = new Item[lines.Count];
        await Parallel.ForAsync(0, items.Length, cancellationToken, async (i, token) => items[i] = await ReadAsync(lines[i].Bytes, first + i + 1, token));
        return new(items, null);
    }

    private async ValueTask<Item> ReadAsync(byte[]? line, long number, CancellationToken cancellationToken)
    {
        var (id, label) = ($"{number}", (string?)null);
        try
        {
            InferenceInput input;
            if (openAi)
            {
                var request = OpenAiLines.Read(line, number);
                id = request.CustomId;
                input = OpenAiLines.ToInput(request, model, number);
            }
            else
            {
                var item = SubmissionReader.ReadBody<BatchItem>(line ?? throw TooLong(number));
                (id, label) = (item.Id ?? item.CustomId ?? id, item.Label);
                input = new() { Model = model.Name, Inputs = item.Inputs, Image = item.Image, Row = item.Row, Rows = item.Rows, Text = item.Text, Texts = item.Texts };
            }

            return new(number, id, label, await predictor.PrepareAsync(model, input, cancellationToken), null);
        }
        catch (ProblemException exception) when (!exception.IsTransient)
        {
            var message = exception.Problem.Message.StartsWith("Line ", StringComparison.Ordinal) ? exception.Problem.Message : $"Line {number}: {exception.Problem.Message}";
            // A line that cannot be read as a whole may still tell its id.
            return new(number, line is not null && id == $"{number}" ? IdOf(line) ?? id : id, label, null, exception.Problem with { Message = message });
        }
    }

    internal static ProblemException TooLong(long number) => new(ProblemCodes.TooLarge, $"Line {number} is longer than {JsonLines.MaxLineBytes >> 20} MiB.", ("line", number));

    /// <summary>The id that a line gives itself, without reading more of it than needed; null where it gives none or is no JSON.</summary>
    private static string? IdOf(ReadOnlySpan<byte> line)
    {
        try
        {
            var reader = new Utf8JsonReader(line);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                return null;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isId = reader.ValueTextEquals("id"u8) || reader.ValueTextEquals("custom_id"u8);
                if (!reader.Read())
                    return null;
                if (isId && reader.TokenType == JsonTokenType.String)
                    return reader.GetString();
                reader.Skip();
            }

            return null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}
