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
    public static BatchFormat Detect(string path)
    {
        Span<byte> head = stackalloc byte[512];
        int read;
        using (var file = File.OpenRead(path))
            read = file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        head = head[..read];
        if (head.StartsWith("PK"u8))
            return IsNpz(path) ? BatchFormat.Npz : BatchFormat.Images;
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
    public static Task<(string Model, string Url)> ReadOpenAiHeadAsync(string path, CancellationToken cancellationToken) => JsonLinesSource.HeadAsync(path, cancellationToken);

    /// <summary>Opens the source of a batch whose file and format are known.</summary>
    internal async Task<IItemSource> OpenAsync(BatchInput input, string? datasetArtifact, ServedModel model, CancellationToken cancellationToken)
    {
        if (datasetArtifact is not null)
            return new DatasetItemSource(archives, datasetArtifact, input.Split ?? "all", model);
        var path = await artifacts.GetFileAsync(input.Artifact!, cancellationToken);
        var tokenizer = model.Pipeline?.Text is { } text && input.Format is BatchFormat.Csv or BatchFormat.Parquet ? await tokenizers.GetAsync(text, cancellationToken) : null;
        return input.Format switch
        {
            BatchFormat.Csv => await CsvSource.OpenAsync(path, model, tokenizer, input, cancellationToken),
            BatchFormat.Parquet => await ParquetSource.OpenAsync(path, model, tokenizer, input, cancellationToken),
            BatchFormat.Npy => NpySource.Open(path, model.Signature),
            BatchFormat.Images => new ImageZipSource(path, model),
            _ => new JsonLinesSource(path, model, predictor, input.Format == BatchFormat.OpenAi),
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

    private static bool IsNpz(string path)
    {
        try
        {
            using var zip = System.IO.Compression.ZipFile.OpenRead(path);
            return zip.Entries.Count > 0 && zip.Entries.All(static entry => entry.FullName.EndsWith(".npy", StringComparison.Ordinal));
        }
        catch (InvalidDataException)
        {
            // Whoever opens it says what is wrong with it.
            return false;
        }
    }
}
