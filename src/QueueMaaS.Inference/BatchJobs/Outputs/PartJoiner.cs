using System.Text;
using Parquet;
using Parquet.Schema;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;
using QueueMaaS.Data.Tables;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Inference.BatchJobs.Outputs;

/// <summary>Joins the files of a job's chunks to one, in their order. Nothing but a buffer is held in memory.</summary>
internal sealed class PartJoiner(IArtifactStore artifacts)
{
    /// <summary>Joins the output files.</summary>
    public Task<Artifact> JoinOutputsAsync(BatchOutputFormat format, IReadOnlyList<ChunkOutput> parts, CancellationToken cancellationToken) => StoreAsync(
        target => format switch
        {
            BatchOutputFormat.Csv => CsvAsync(parts, target, cancellationToken),
            BatchOutputFormat.Parquet => ParquetAsync(parts, target, cancellationToken),
            BatchOutputFormat.Npy => NpyAsync(parts, target, cancellationToken),
            _ => CopyAsync(parts.Select(static part => part.OutputArtifact), target, cancellationToken),
        },
        cancellationToken);

    /// <summary>Joins the error files.</summary>
    public Task<Artifact> JoinErrorsAsync(IReadOnlyList<ChunkOutput> parts, CancellationToken cancellationToken) =>
        StoreAsync(target => CopyAsync(parts.Select(static part => part.ErrorArtifact), target, cancellationToken), cancellationToken);

    private async Task<Artifact> StoreAsync(Func<Stream, Task> write, CancellationToken cancellationToken)
    {
        await using var file = TemporaryFile();
        await write(file);
        file.Position = 0;
        return await artifacts.PutAsync(file, long.MaxValue, cancellationToken);
    }

    /// <summary>A file that is gone when it is closed.</summary>
    public static FileStream TemporaryFile() =>
        new(Path.Combine(Path.GetTempPath(), $"queuemaas-{Guid.NewGuid():n}"), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 17, FileOptions.Asynchronous | FileOptions.DeleteOnClose);

    private async Task CopyAsync(IEnumerable<string> parts, Stream target, CancellationToken cancellationToken)
    {
        foreach (var part in parts)
        {
            await using var file = await artifacts.OpenAsync(part, cancellationToken);
            await file.CopyToAsync(target, cancellationToken);
        }
    }

    private async Task CsvAsync(IReadOnlyList<ChunkOutput> parts, Stream target, CancellationToken cancellationToken)
    {
        var columns = ColumnsOf(parts) ?? ["id"];
        await target.WriteAsync(Encoding.UTF8.GetBytes(string.Join(',', columns.Select(CsvPart.Quoted)) + "\n"), cancellationToken);
        await CopyAsync(parts.Select(static part => part.OutputArtifact), target, cancellationToken);
    }

    private async Task NpyAsync(IReadOnlyList<ChunkOutput> parts, Stream target, CancellationToken cancellationToken)
    {
        var entries = parts.Sum(static part => (long)part.Succeeded + part.Failed);
        var known = parts.FirstOrDefault(static part => part.EntryShape is not null);
        var (datatype, shape) = (known?.Datatype ?? Datatypes.Fp32, known?.EntryShape ?? []);
        if (parts.FirstOrDefault(part => part.EntryShape is { } other && (part.Datatype != datatype || !other.SequenceEqual(shape))) is { } different)
        {
            throw new ProblemException(
                ProblemCodes.BatchFailed,
                $"Items gave outputs of the shapes [{string.Join(", ", shape)}] and [{string.Join(", ", different.EntryShape!)}], which have no place in one array. Ask for the output `jsonl`.");
        }

        await target.WriteAsync(NpyHeader.Write(datatype, [entries, .. shape]), cancellationToken);
        var elements = shape.Aggregate(1L, static (product, size) => product * size);
        foreach (var part in parts)
        {
            // A chunk without a single success does not know how much room its items need.
            if (part.EntryShape is not null)
                await CopyAsync([part.OutputArtifact], target, cancellationToken);
            else
                await target.WriteAsync(NpyPart.Empty(datatype, elements * (part.Succeeded + part.Failed)), cancellationToken);
        }
    }

    private async Task ParquetAsync(IReadOnlyList<ChunkOutput> parts, Stream target, CancellationToken cancellationToken)
    {
        var full = parts.Where(static part => part.Columns is not null).ToArray();
        var columns = ColumnsOf(parts);
        if (columns is null)
        {
            await (await ParquetWriter.CreateAsync(new ParquetSchema(new DataField<string>("id")), target, cancellationToken: cancellationToken)).DisposeAsync();
            return;
        }

        var types = await TypesAsync(full[0], cancellationToken);
        var fields = types.Select(static (column, i) => column.Type == ColumnType.Text ? new DataField<string>(column.Name, i > 0) : (DataField)new DataField<double>(column.Name)).ToArray();
        await using var writer = await ParquetWriter.CreateAsync(new ParquetSchema(fields), target, cancellationToken: cancellationToken);
        foreach (var part in full)
        {
            await using var table = await ParquetTable.OpenAsync(await artifacts.GetFileAsync(part.OutputArtifact, cancellationToken), cancellationToken);
            using var group = writer.CreateRowGroup();
            foreach (var field in fields)
            {
                if (field.ClrType == typeof(double))
                    await group.WriteAsync<double>(field, await table.ReadNumbersAsync(0, field.Name, cancellationToken), cancellationToken: cancellationToken);
                else
                    await group.WriteAsync(field, (await table.ReadTextsAsync(0, field.Name, cancellationToken))!);
            }
        }
    }

    private async Task<IReadOnlyList<(string Name, ColumnType Type)>> TypesAsync(ChunkOutput part, CancellationToken cancellationToken)
    {
        await using var table = await ParquetTable.OpenAsync(await artifacts.GetFileAsync(part.OutputArtifact, cancellationToken), cancellationToken);
        return table.Columns;
    }

    private static IReadOnlyList<string>? ColumnsOf(IReadOnlyList<ChunkOutput> parts)
    {
        var columns = parts.FirstOrDefault(static part => part.Columns is not null)?.Columns;
        return columns is null || parts.All(part => part.Columns is null || part.Columns.SequenceEqual(columns, StringComparer.Ordinal))
            ? columns
            : throw new ProblemException(ProblemCodes.BatchFailed, "Items gave different numbers of numbers, which have no place in one table. Ask for the output `jsonl`.");
    }
}
