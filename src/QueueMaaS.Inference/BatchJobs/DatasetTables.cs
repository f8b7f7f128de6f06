using System.Text;
using QueueMaaS.Contracts;
using QueueMaaS.Data;
using QueueMaaS.Data.Tables;
using QueueMaaS.Inference.BatchJobs.Outputs;
using QueueMaaS.Inference.Evaluation;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Inference.BatchJobs;

/// <summary>Makes of a data set that is no images a file that batch jobs read: the split's rows as CSV, or the inputs of its arrays.</summary>
public sealed class DatasetTables(IArtifactStore artifacts, BatchSources sources)
{
    /// <summary>The batch's input with the file in place of the data set.</summary>
    /// <exception cref="ProblemException"><c>dataset_empty</c>: the split has no rows; <c>invalid_value</c>: arrays have no splits.</exception>
    internal async Task<BatchInput> OpenAsync(BatchInput input, Dataset dataset, ModelVersion model, CancellationToken cancellationToken)
    {
        var path = await artifacts.GetFileAsync(dataset.Artifact, cancellationToken);
        var split = input.Split ?? "all";
        if (dataset.Card.Columns is not { } columns)
        {
            if (split != "all")
                throw new ProblemException(ProblemCodes.InvalidValue, $"`{dataset.Name}` holds arrays, which have no splits: leave `split` out.", ("path", "input.split"));
            await using var content = await artifacts.OpenAsync(dataset.Artifact, cancellationToken);
            return await BatchSources.DetectAsync(content, cancellationToken) == BatchFormat.Npz
                ? input with { Dataset = null, Split = null, Artifact = await sources.UnpackAsync(dataset.Artifact, input.Array ?? DatasetFile.InputsName(path), cancellationToken), Format = BatchFormat.Npy }
                : input with { Dataset = null, Split = null, Artifact = dataset.Artifact, Format = BatchFormat.Npy };
        }

        string[] header = [.. columns.Select(static column => column.Name)];
        var named = input with
        {
            Dataset = null,
            Split = null,
            Format = BatchFormat.Csv,
            LabelColumn = input.LabelColumn ?? TableTruth.Find(header, model),
            TextColumn = input.TextColumn ?? (model.Pipeline?.Text is null ? null : TableTruth.TextColumn(model.Card, header)),
        };
        await using var file = PartJoiner.TemporaryFile();
        await WriteAsync(DatasetFile.ReadTable(path), split, file, cancellationToken);
        file.Position = 0;
        return named with { Artifact = (await artifacts.PutAsync(file, long.MaxValue, cancellationToken)).Id };
    }

    private static async Task WriteAsync(TableData table, string split, Stream target, CancellationToken cancellationToken)
    {
        await using var file = new StreamWriter(target, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 1 << 16, leaveOpen: true);
        await file.WriteAsync(string.Join(',', table.Columns.Select(static column => CsvPart.Quoted(column.Name))) + "\n");
        var rows = 0;
        for (var row = 0; row < table.Rows; row++)
        {
            if (split != "all" && table.Splits[row] != split)
                continue;
            cancellationToken.ThrowIfCancellationRequested();
            await file.WriteAsync(string.Join(',', table.Columns.Select(column => CsvPart.Quoted(column.Values[row] ?? ""))) + "\n");
            rows++;
        }

        if (rows == 0)
            throw new ProblemException(ProblemCodes.DatasetEmpty, $"The data set has no rows in the split `{split}`. Leave `split` out to take all of it.", ("path", "input.split"));
    }
}
