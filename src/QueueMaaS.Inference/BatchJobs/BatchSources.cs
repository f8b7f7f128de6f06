using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;
using QueueMaaS.Inference.BatchJobs.Sources;
using QueueMaaS.Inference.Jobs;
using QueueMaaS.Inference.Preparation.Texts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Inference.BatchJobs;

/// <summary>Opens what a batch job reads from.</summary>
public sealed class BatchSources(IArtifactStore artifacts, Predictor predictor, TokenizerCache tokenizers, OpenArchives archives)
{
    /// <summary>The format of a file by its first bytes.</summary>
    /// <exception cref="ProblemException"><c>dataset_empty</c>.</exception>
    public static async Task<BatchFormat> DetectAsync(Stream file, CancellationToken cancellationToken)
    {
        var head = new byte[512];
        var read = await file.ReadAtLeastAsync(head, head.Length, throwOnEndOfStream: false, cancellationToken);
        return head.AsSpan(0, read).StartsWith("PK"u8) ? await IsNpzAsync(file, cancellationToken) ? BatchFormat.Npz : BatchFormat.Images : Detect(head.AsSpan(0, read));
    }

    private static BatchFormat Detect(Span<byte> head)
    {
        if (NpyHeader.IsNpy(head))
            return BatchFormat.Npy;
        if (head.StartsWith("PAR1"u8))
            return BatchFormat.Parquet;
        if (head.StartsWith("\uFEFF"u8))
            head = head[3..];
        head = head.TrimStart(" \t\r\n"u8);
        if (head.IsEmpty)
            throw new ProblemException(ProblemCodes.DatasetEmpty, "The batch job's file is empty.");
        if (head[0] != (byte)'{')
            return BatchFormat.Csv;
        // Our own items have neither a method nor an address.
        return head.IndexOf("\"method\""u8) >= 0 && head.IndexOf("\"url\""u8) >= 0 ? BatchFormat.OpenAi : BatchFormat.Jsonl;
    }

    /// <summary>The model that the requests of an OpenAI batch file name, and the address that they are for: those of its first line.</summary>
    /// <exception cref="ProblemException"><c>dataset_empty</c>, or what is wrong with the first line.</exception>
    public static Task<(string Model, string Url)> ReadOpenAiHeadAsync(Stream file, CancellationToken cancellationToken) => JsonLinesSource.HeadAsync(file, cancellationToken);

    /// <summary>Opens the source of a batch whose file and format are known.</summary>
    internal async Task<IItemSource> OpenAsync(BatchInput input, string? datasetArtifact, ServedModel model, CancellationToken cancellationToken)
    {
        if (datasetArtifact is not null)
            return new DatasetItemSource(archives, datasetArtifact, input.Split ?? "all", model);
        if (input.Format is null or BatchFormat.Jsonl or BatchFormat.OpenAi)
            return new JsonLinesSource(token => artifacts.OpenAsync(input.Artifact!, token), model, predictor, input.Format == BatchFormat.OpenAi);
        var path = await artifacts.GetFileAsync(input.Artifact!, cancellationToken);
        var tokenizer = model.Pipeline?.Text is { } text && input.Format is BatchFormat.Csv or BatchFormat.Parquet ? await tokenizers.GetAsync(text, cancellationToken) : null;
        return input.Format switch
        {
            BatchFormat.Csv => await CsvSource.OpenAsync(path, model, tokenizer, input, cancellationToken),
            BatchFormat.Parquet => await ParquetSource.OpenAsync(path, model, tokenizer, input, cancellationToken),
            BatchFormat.Npy => NpySource.Open(path, model.Signature),
            _ => new ImageZipSource(path, model),
        };
    }

    /// <summary>An array of an archive as a file of its own, so that rows can be read from anywhere.</summary>
    internal async Task<string> UnpackAsync(string artifact, string? array, CancellationToken cancellationToken)
    {
        var target = Path.GetTempFileName();
        try
        {
            NpyFile.Unpack(await artifacts.GetFileAsync(artifact, cancellationToken), array, target);
            await using var file = File.OpenRead(target);
            return (await artifacts.PutAsync(file, long.MaxValue, cancellationToken)).Id;
        }
        finally
        {
            File.Delete(target);
        }
    }

    /// <summary>Keeps the numbers of the items that are wanted.</summary>
    internal async Task<string> StoreSelectionAsync(IReadOnlyList<long> numbers, CancellationToken cancellationToken)
    {
        using var bytes = new MemoryStream(MemoryMarshal.AsBytes<long>(numbers.ToArray()).ToArray());
        return (await artifacts.PutAsync(bytes, long.MaxValue, cancellationToken)).Id;
    }

    /// <summary>The numbers of the items that are wanted, ascending.</summary>
    internal async Task<long[]> ReadSelectionAsync(string artifact, CancellationToken cancellationToken) =>
        MemoryMarshal.Cast<byte, long>(await File.ReadAllBytesAsync(await artifacts.GetFileAsync(artifact, cancellationToken), cancellationToken)).ToArray();

    private static async Task<bool> IsNpzAsync(Stream file, CancellationToken cancellationToken)
    {
        try
        {
            await using var zip = await System.IO.Compression.ZipArchive.CreateAsync(file, System.IO.Compression.ZipArchiveMode.Read, leaveOpen: true, entryNameEncoding: null, cancellationToken);
            return zip.Entries.Count > 0 && zip.Entries.All(static entry => entry.FullName.EndsWith(".npy", StringComparison.Ordinal));
        }
        catch (InvalidDataException)
        {
            // Whoever opens it says what is wrong with it.
            return false;
        }
    }
}
