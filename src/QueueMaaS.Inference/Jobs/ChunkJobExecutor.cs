using System.Collections.Concurrent;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Preparation.Images;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference.Jobs;

/// <summary>Runs one chunk of a batch job: every item through the batcher on its own, so that a bad one fails alone, and the answers to two files in input order.</summary>
public sealed class ChunkJobExecutor(IModelCatalog models, Predictor predictor, OpenArchives archives, IArtifactStore artifacts) : IJobExecutor
{
    public JobKind Kind => JobKind.Chunk;

    public async Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken)
    {
        var chunk = JsonSerializer.Deserialize<ChunkInput>(attempt.Job.Input, QueueMaaSJson.Relaxed)!;
        var version = await models.RequireServedAsync(attempt.Job.Tenant, chunk.Model, cancellationToken);
        var model = await predictor.ServeAsync(version, cancellationToken);
        var items = chunk.DatasetArtifact is not null
            ? await ReadDatasetAsync(model, chunk, cancellationToken)
            : await ReadLinesAsync(model, chunk, cancellationToken);
        // Interactive jobs go first in the batcher: a batch job has no priority above theirs.
        var call = new InferenceCall { Priority = Math.Min(attempt.Job.Priority, 4), TopK = chunk.TopK };
        return await WriteAsync(version, await RunAsync(model, items, call, cancellationToken), cancellationToken);
    }

    private async Task<IReadOnlyList<Item>> ReadDatasetAsync(ServedModel model, ChunkInput chunk, CancellationToken cancellationToken)
    {
        var preparation = model.Pipeline?.Image
            ?? throw new ProblemException(ProblemCodes.ImageInputUnsupported, $"Model `{chunk.Model}` has no image pipeline, so it cannot read a data set of images.");
        var pixels = ImagePixels.For(model.Signature, model.Pipeline);
        var decoded = await archives.ReadAsync(chunk.DatasetArtifact!, chunk.Split!, chunk.Start, chunk.Count, preparation, pixels, cancellationToken);
        return [.. decoded.Select(item => new Item(
            item.Name, item.LabelName, item.Error, () => ValueTask.FromResult(predictor.PrepareImage(model, item.Value!))))];
    }

    private async Task<IReadOnlyList<Item>> ReadLinesAsync(ServedModel model, ChunkInput chunk, CancellationToken cancellationToken)
    {
        var items = new List<Item>(chunk.Count);
        await foreach (var (index, _, line) in JsonLines.ReadAsync(await artifacts.GetFileAsync(chunk.Artifact!, cancellationToken), chunk.Offset, cancellationToken))
        {
            if (index >= chunk.Count)
                break;
            items.Add(ReadLine(model, chunk.Model, line, chunk.Start + index + 1, cancellationToken));
        }

        return items;
    }

    private Item ReadLine(ServedModel model, string reference, byte[]? line, int number, CancellationToken cancellationToken)
    {
        BatchItem? item = null;
        try
        {
            if (line is null)
                throw new ProblemException(ProblemCodes.TooLarge, $"Line {number} is longer than 16 MiB.", ("line", number));
            item = SubmissionReader.ReadBody<BatchItem>(line);
            var input = new InferenceInput { Model = reference, Inputs = item.Inputs, Image = item.Image, Row = item.Row, Rows = item.Rows, Text = item.Text, Texts = item.Texts };
            return new Item(item.Id ?? $"{number}", item.Label, null, async () => await PrepareLineAsync(model, input, number, cancellationToken));
        }
        catch (ProblemException exception)
        {
            return new Item(item?.Id ?? $"{number}", item?.Label, OfLine(exception, number), null);
        }
    }

    private async Task<PreparedRequest> PrepareLineAsync(ServedModel model, InferenceInput input, int number, CancellationToken cancellationToken)
    {
        try
        {
            return await predictor.PrepareAsync(model, input, cancellationToken);
        }
        catch (ProblemException exception)
        {
            throw new ProblemException(OfLine(exception, number), exception);
        }
    }

    private static Problem OfLine(ProblemException exception, int number) => exception.Problem with { Message = $"Line {number}: {exception.Problem.Message}" };

    /// <summary>Runs each item by itself, a few batches ahead: enough to keep the model busy, no more tensors in memory than that.</summary>
    private async Task<IReadOnlyList<Result>> RunAsync(ServedModel model, IReadOnlyList<Item> items, InferenceCall call, CancellationToken cancellationToken)
    {
        var results = new Result[items.Count];
        using var ahead = new SemaphoreSlim(Math.Max(64, 4 * model.Batching.MaxBatchSize));
        var running = new List<Task>(items.Count);
        for (var i = 0; i < items.Count; i++)
        {
            await ahead.WaitAsync(CancellationToken.None);
            running.Add(RunOneAsync(i));
        }

        await Task.WhenAll(running);
        return results;

        async Task RunOneAsync(int index)
        {
            try
            {
                results[index] = await RunAsync(model, items[index], call, cancellationToken);
            }
            finally
            {
                ahead.Release();
            }
        }
    }

    private async Task<Result> RunAsync(ServedModel model, Item item, InferenceCall call, CancellationToken cancellationToken)
    {
        if (item.Prepare is null || item.Error is not null)
            return new Result(item, null, item.Error);
        try
        {
            return new Result(item, await predictor.RunAsync(model, await item.Prepare(), call, cancellationToken), null);
        }
        catch (ProblemException exception) when (!exception.IsTransient)
        {
            return new Result(item, null, exception.Problem);
        }
    }

    private async Task<ChunkOutput> WriteAsync(ModelVersion version, IReadOnlyList<Result> results, CancellationToken cancellationToken)
    {
        using var output = new MemoryStream();
        using var errors = new MemoryStream();
        var tally = new LabelTally(version.Pipeline?.Labels);
        var rowsBySize = new ConcurrentDictionary<int, int>();
        foreach (var (item, prediction, error) in results)
        {
            if (prediction is null)
            {
                WriteLine(errors, new BatchItemError(item.Id, error!));
                continue;
            }

            tally.Add(item.Label, prediction.Labels is [{ Count: > 0 } row, ..] ? row[0].Label : null);
            rowsBySize.AddOrUpdate(prediction.Batch.Size, 1, (_, count) => count + 1);
            WriteLine(output, new BatchItemResult(item.Id, item.Label, prediction.Labels, prediction.Outputs)
            {
                Detections = prediction.Detections,
                Values = prediction.Values,
                Embeddings = prediction.Embeddings,
            });
        }

        output.Position = errors.Position = 0;
        return new ChunkOutput
        {
            OutputArtifact = (await artifacts.PutAsync(output, long.MaxValue, cancellationToken)).Id,
            ErrorArtifact = (await artifacts.PutAsync(errors, long.MaxValue, cancellationToken)).Id,
            Succeeded = results.Count(result => result.Prediction is not null),
            Failed = results.Count(result => result.Prediction is null),
            Labelled = tally.Labelled,
            Correct = tally.Correct,
            Confusion = tally.Confusion,
            RowsByBatchSize = rowsBySize,
        };
    }

    private static void WriteLine<T>(MemoryStream to, T line)
    {
        JsonSerializer.Serialize(to, line, QueueMaaSJson.Relaxed);
        to.WriteByte((byte)'\n');
    }

    /// <summary>An item of the chunk. <paramref name="Prepare"/> makes its tensors when its turn comes; null where it cannot be read.</summary>
    private sealed record Item(string Id, string? Label, Problem? Error, Func<ValueTask<PreparedRequest>>? Prepare);

    private sealed record Result(Item Item, InferenceOutput? Prediction, Problem? Error);
}

/// <summary>Counts how labels were predicted.</summary>
internal sealed class LabelTally(IReadOnlyList<string>? labels)
{
    private readonly int[][]? _confusion = labels is null ? null : [.. labels.Select(_ => new int[labels!.Count])];

    public int Labelled { get; private set; }
    public int Correct { get; private set; }
    public IReadOnlyList<IReadOnlyList<int>>? Confusion => _confusion;

    public void Add(string? truth, string? predicted)
    {
        if (truth is null || predicted is null || labels is null)
            return;
        Labelled++;
        if (truth == predicted)
            Correct++;
        var (row, column) = (IndexOf(truth), IndexOf(predicted));
        // A true label that the model does not know counts as wrong, but has no row.
        if (row >= 0 && column >= 0)
            _confusion![row][column]++;
    }

    private int IndexOf(string label)
    {
        for (var i = 0; i < labels!.Count; i++)
        {
            if (labels[i] == label)
                return i;
        }

        return -1;
    }
}
