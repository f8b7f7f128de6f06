using System.Buffers;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.BatchJobs.Outputs;
using QueueMaaS.Inference.BatchJobs.Sources;
using QueueMaaS.Inference.Jobs;
using QueueMaaS.Inference.Preparation.Answers;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Inference.BatchJobs;

/// <summary>Runs one chunk of a batch job: reads groups of items, computes each, and writes the answers and the errors to two files in input order.</summary>
public sealed class ChunkJobExecutor(IModelCatalog models, Predictor predictor, IModelHost host, BatchSources sources, IArtifactStore artifacts) : IJobExecutor
{
    public JobKind Kind => JobKind.Chunk;

    public async Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken)
    {
        var chunk = JsonSerializer.Deserialize<ChunkInput>(attempt.Job.Input, QueueMaaSJson.Relaxed)!;
        var version = await models.RequireServedAsync(attempt.Job.Tenant, chunk.Batch.Model!, cancellationToken);
        var model = await predictor.ServeAsync(version, cancellationToken);
        var runner = new GroupRunner(host, model, attempt.Job.Priority);
        var selection = chunk.Selection is { } selected ? (await sources.ReadSelectionAsync(selected, cancellationToken)).ToHashSet() : null;
        await using var source = await sources.OpenAsync(chunk.Batch, chunk.DatasetArtifact, model, cancellationToken);
        await using var output = PartJoiner.TemporaryFile();
        await using var errors = PartJoiner.TemporaryFile();
        var results = new ChunkResults(chunk.Batch, model, output, errors);
        // Smaller groups where an attempt before ran out of memory.
        var groups = source.ReadAsync(chunk.First, chunk.Offset, chunk.Count, Math.Max(1, chunk.GroupSize / attempt.BatchDivisor), cancellationToken);
        await GroupsInFlight.RunAsync(
            groups, group => runner.RunAsync(selection is null ? group : group.Only(selection), cancellationToken),
            (_, done) =>
            {
                results.Add(done);
                // Of a group that was given up the model may still be reading: its memory is left to the collector.
                if (done.Group.Lent is { } lent)
                    ArrayPool<byte>.Shared.Return(lent);
                return Task.CompletedTask;
            },
            cancellationToken);
        return await results.FinishAsync(artifacts, cancellationToken);
    }
}

/// <summary>Counts and writes the results of a chunk.</summary>
internal sealed class ChunkResults
{
    private readonly BatchInput _batch;
    private readonly ServedModel _model;
    private readonly FileStream _output;
    private readonly FileStream _errors;
    private readonly PartWriter _writer;
    private readonly JsonLineWriter _errorLines;
    private readonly LabelTally _tally;
    private readonly Dictionary<int, int> _rowsBySize = [];
    private int _succeeded;
    private int _failed;
    private double _computeMs;

    public ChunkResults(BatchInput batch, ServedModel model, FileStream output, FileStream errors)
    {
        _batch = batch;
        _model = model;
        _output = output;
        _errors = errors;
        _writer = PartWriter.Create(batch, model, output);
        _errorLines = new(errors);
        _tally = new(model.Pipeline?.Labels);
    }

    public void Add(GroupResults results)
    {
        // Arrays in, arrays out: nothing has to be looked at row by row.
        if (results.Whole is { } whole && _model.Pipeline is null && _writer is NpyPart array && array.TryAddRows(whole.Outputs[0]))
        {
            var rows = results.Group.Items.Count;
            _succeeded += rows;
            _rowsBySize[whole.Receipt.Size] = _rowsBySize.GetValueOrDefault(whole.Receipt.Size) + rows;
            _computeMs += whole.Receipt.ComputeMs * rows / Math.Max(1, whole.Receipt.Size);
            return;
        }

        foreach (var result in results.Each())
        {
            if (Write(result) is { } error)
            {
                _failed++;
                _writer.Skip();
                WriteError(result.Item, error);
            }
            else
            {
                _succeeded++;
            }
        }
    }

    public async Task<ChunkOutput> FinishAsync(IArtifactStore artifacts, CancellationToken cancellationToken)
    {
        await _writer.FinishAsync(cancellationToken);
        await _errorLines.FlushAsync(cancellationToken);
        _output.Position = _errors.Position = 0;
        return new ChunkOutput
        {
            OutputArtifact = (await artifacts.PutAsync(_output, long.MaxValue, cancellationToken)).Id,
            ErrorArtifact = (await artifacts.PutAsync(_errors, long.MaxValue, cancellationToken)).Id,
            Succeeded = _succeeded,
            Failed = _failed,
            Labelled = _tally.Labelled,
            Correct = _tally.Correct,
            Confusion = _tally.Labelled > 0 ? _tally.Confusion : null,
            LabelCounts = _tally.Counts,
            RowsByBatchSize = _rowsBySize,
            ComputeMs = _computeMs,
            Columns = _writer.Columns,
            Datatype = _writer.Datatype,
            EntryShape = _writer.EntryShape,
        };
    }

    private Problem? Write(in ItemResult result)
    {
        if (result.Error is not null || result.Outputs is null || result.Batch is null)
            return result.Error ?? new Problem(ProblemCodes.InternalError, "The item was not computed.");
        try
        {
            var answers = PipelineAnswers.Read(_model.Pipeline, result.Outputs, _batch.TopK ?? 1, result.Request?.Placement);
            if (_writer.Add(result, answers) is { } refused)
                return refused;
            Count(result, answers);
            return null;
        }
        catch (ProblemException exception)
        {
            return exception.Problem;
        }
    }

    private void Count(in ItemResult result, PipelineAnswers answers)
    {
        if (answers.Labels is [{ Count: > 0 } best, ..])
            _tally.Add(result.Item.Label, best[0].Label);
        var rows = Math.Max(1, result.Request?.Rows is { } own && result.Item.Request is not null ? own : 1);
        _rowsBySize[result.Batch!.Size] = _rowsBySize.GetValueOrDefault(result.Batch.Size) + rows;
        // Each row bears its share of its batch.
        _computeMs += result.Batch.ComputeMs * rows / Math.Max(1, result.Batch.Size);
    }

    private void WriteError(in Item item, Problem error)
    {
        var json = _errorLines.Begin();
        if (_batch.Format == BatchFormat.OpenAi)
        {
            json.WriteString("id"u8, $"batch_req_{item.Number}");
            json.WriteString("custom_id"u8, item.Id);
            json.WriteNull("response"u8);
            json.WritePropertyName("error"u8);
            JsonSerializer.Serialize(json, new { code = error.Code, message = error.Message }, QueueMaaSJson.Relaxed);
        }
        else
        {
            json.WriteString("id"u8, item.Id);
            json.WriteNumber("item"u8, item.Number);
            json.WritePropertyName("error"u8);
            JsonSerializer.Serialize(json, error, QueueMaaSJson.Relaxed);
        }

        _errorLines.End();
    }
}

/// <summary>Counts how labels were predicted.</summary>
internal sealed class LabelTally
{
    private readonly Dictionary<string, int> _places = new(StringComparer.Ordinal);
    private readonly int[][]? _confusion;
    private readonly int[]? _counts;

    public LabelTally(IReadOnlyList<string>? labels)
    {
        foreach (var (place, label) in (labels ?? []).Index())
            _places[label] = place;
        // A matrix of a thousand classes has a million places; of more it would be of no use to anyone.
        _confusion = labels is { Count: <= 1000 } ? [.. labels.Select(_ => new int[labels.Count])] : null;
        _counts = labels is null ? null : new int[labels.Count];
    }

    public int Labelled { get; private set; }
    public int Correct { get; private set; }
    public IReadOnlyList<IReadOnlyList<int>>? Confusion => _confusion;

    /// <summary>How often each label was predicted.</summary>
    public IReadOnlyList<int>? Counts => _counts;

    public void Add(string? truth, string predicted)
    {
        var known = _places.TryGetValue(predicted, out var column);
        if (known)
            _counts![column]++;
        if (truth is null)
            return;
        Labelled++;
        if (truth == predicted)
            Correct++;
        // A true label that the model does not know counts as wrong, but has no row.
        if (known && _confusion is not null && _places.TryGetValue(truth, out var row))
            _confusion[row][column]++;
    }
}
