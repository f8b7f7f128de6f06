using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.BatchJobs;
using QueueMaaS.Inference.Evaluation;
using QueueMaaS.Inference.Jobs;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Inference.Drift;

/// <summary>Runs one baseline: has rows of a data set computed as serving would, summarises what went in and came out, and opens the version's monitor with it.</summary>
public sealed class BaselineJobExecutor(IModelCatalog models, IDatasetCatalog datasets, Predictor predictor, IModelHost host, EvaluationSources sources, DriftMonitors monitors) : IJobExecutor
{
    /// <inheritdoc/>
    public JobKind Kind => JobKind.Baseline;

    /// <inheritdoc/>
    public async Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(attempt);
        var (job, input) = (attempt.Job, JsonSerializer.Deserialize<BaselineInput>(attempt.Job.Input, QueueMaaSJson.Relaxed)!);
        var version = await models.RequireAsync(job.Tenant, input.Model, cancellationToken);
        var dataset = await datasets.RequireAsync(job.Tenant, BaselineSubmissionCheck.DatasetOf(input, version), cancellationToken);
        var read = BaselineSubmissionCheck.ToEvaluation(input, version, dataset);
        var model = await predictor.ServeAsync(version, cancellationToken);
        var features = DriftFeatures.Of(model);
        var source = await sources.OpenAsync(read, dataset, version, EvaluatedHead.Find($"{version.Name}@{version.Version}", version.Signature, version.Pipeline), cancellationToken);
        var values = features.Select(static _ => new List<double>()).ToArray();
        var size = Math.Max(1, GroupSizes.Choose(model, null) / attempt.BatchDivisor);
        var runner = new GroupRunner(host, model, job.Priority);
        Problem? firstError = null;
        await GroupsInFlight.RunAsync(
            Drawn(source.ReadAsync(model, size, cancellationToken), Math.Max(1, source.Count / input.MaxRows)), group => runner.RunAsync(group.Group, cancellationToken),
            (_, results) =>
            {
                firstError ??= Collect(features, values, results);
                return Task.CompletedTask;
            },
            cancellationToken);
        var rows = values.Length == 0 ? 0 : values[0].Count;
        if (rows == 0)
            throw new ProblemException(firstError ?? Problem.Create(ProblemCodes.DatasetEmpty, $"No item of the split `{read.Split}` of `{dataset.Name}@{dataset.Version}` could be computed by `{version.Name}@{version.Version}`, or it has nothing that is summarised."));
        var bins = features.Zip(values).Select(static pair => pair.First.Categories is { } known ? FeatureBins.OfCategories(pair.First.Name, known, pair.Second) : FeatureBins.OfNumbers(pair.First.Name, pair.Second)).ToArray();
        var watch = await monitors.OpenAsync(job.Tenant, version.Name, version.Version, new(input.Settings, $"{dataset.Name}@{dataset.Version} ({read.Split})", rows, bins), cancellationToken);
        return await monitors.ShowAsync(watch, cancellationToken);
    }

    /// <summary>Every so many-th group: an even draw, since data sets stand in an order that means something.</summary>
    private static async IAsyncEnumerable<EvaluationGroup> Drawn(IAsyncEnumerable<EvaluationGroup> groups, int every)
    {
        var at = 0;
        await foreach (var group in groups)
        {
            if (at++ % every == 0)
                yield return group;
        }
    }

    private static Problem? Collect(IReadOnlyList<DriftFeature> features, List<double>[] values, GroupResults results)
    {
        if (results.Whole is { } whole)
        {
            for (var row = 0; row < results.Group.Items.Count; row++)
                Add(features, values, results.Group.Rows!.Inputs, whole.Outputs, row, row);
            return null;
        }

        Problem? error = null;
        var inRows = 0;
        foreach (var result in results.Items!)
        {
            // Of one tensor for all, the rows are those of the items that could be read, in their order.
            var shared = result.Item is { Request: null, Error: null };
            var row = shared ? inRows++ : 0;
            if (result.Outputs is { } outputs)
                Add(features, values, shared ? results.Group.Rows!.Inputs : result.Item.Request!.Inputs, outputs, row, 0);
            else
                error ??= result.Error;
        }

        return error;
    }

    private static void Add(IReadOnlyList<DriftFeature> features, List<double>[] values, IReadOnlyList<TensorBuffer> inputs, IReadOnlyList<TensorBuffer> outputs, int inputRow, int outputRow)
    {
        for (var i = 0; i < features.Count; i++)
            values[i].Add(features[i].Read(inputs, outputs, features[i].OfAnswer ? outputRow : inputRow));
    }
}
