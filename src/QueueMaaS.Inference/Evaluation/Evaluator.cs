using System.Text;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.BatchJobs;
using QueueMaaS.Inference.Evaluation.Pages;
using QueueMaaS.Inference.Evaluation.Statistics;
using QueueMaaS.Inference.Jobs;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>Runs an evaluation: has every item computed as serving would, a few groups under way at a time, keeps the answers and the truths, and makes figures of them.</summary>
public sealed class Evaluator(IModelCatalog models, IDatasetCatalog datasets, Predictor predictor, IModelHost host, EvaluationSources sources, EvaluatedTrainings trainings, IArtifactStore artifacts, TimeProvider time)
{
    private static readonly TimeSpan BetweenReports = TimeSpan.FromSeconds(1);

    /// <summary>Evaluates within an attempt at a job, which is told of the progress.</summary>
    public async Task<EvaluationOutput> RunAsync(JobAttempt attempt, EvaluationInput input, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(attempt);
        ArgumentNullException.ThrowIfNull(input);
        var dataset = await datasets.RequireAsync(attempt.Job.Tenant, input.Dataset, cancellationToken);
        var versions = new List<ModelVersion>();
        foreach (var name in new[] { input.Model, input.CompareWith }.OfType<string>())
            versions.Add(await models.RequireAsync(attempt.Job.Tenant, name, cancellationToken));
        var heads = versions.ConvertAll(version => EvaluatedHead.Of($"{version.Name}@{version.Version}", version.Signature, version.Pipeline, input));
        if (versions.Count > 1)
            EvaluationSubmissionCheck.RequireSame(versions[0], heads[0], versions[1], heads[1]);
        var source = await sources.OpenAsync(input, dataset, versions[0], heads[0], cancellationToken);
        if (source.Count == 0)
            throw new ProblemException(ProblemCodes.DatasetEmpty, $"The split `{EvaluationSources.SplitOf(input, dataset.Card)}` of data set `{dataset.Name}@{dataset.Version}` has no items.");
        var progress = new Progress(attempt, time, (long)source.Count * versions.Count);
        var answers = new List<ModelAnswers>();
        foreach (var (version, head) in versions.Zip(heads))
            answers.Add(await ComputeAsync(attempt, version, head, source, progress, cancellationToken));
        int[] items = [.. Enumerable.Range(0, source.Count).Where(item => answers.TrueForAll(a => a.Answered[item]))];
        if (items.Length == 0)
            throw new ProblemException(FirstErrorOf(answers) ?? Problem.Create(ProblemCodes.DatasetEmpty, "No item of the split was answered by every model."));
        var evaluated = versions.Select((version, i) => heads[i].Task switch
        {
            EvaluationTask.Classification => new EvaluatedModel(version, heads[i], answers[i].Labels(items), null, null),
            EvaluationTask.MultiLabel => new EvaluatedModel(version, heads[i], null, answers[i].LabelSets(items), null),
            _ => new EvaluatedModel(version, heads[i], null, null, answers[i].Numbers(items)),
        }).ToArray();
        return await ReportAsync(attempt.Job.Tenant, input, dataset, source, items, answers, evaluated, cancellationToken);
    }

    private static Problem? FirstErrorOf(List<ModelAnswers> answers) => answers.Select(static a => a.FirstError).FirstOrDefault(static e => e is not null);

    private async Task<ModelAnswers> ComputeAsync(JobAttempt attempt, ModelVersion version, EvaluatedHead head, IEvaluationSource source, Progress progress, CancellationToken cancellationToken)
    {
        var model = await predictor.ServeAsync(version, cancellationToken);
        var runner = new GroupRunner(host, model, attempt.Job.Priority);
        var answers = new ModelAnswers(model, head, source.Count);
        // Smaller groups where an attempt before ran out of memory.
        var groups = source.ReadAsync(model, Math.Max(1, GroupSizes.Choose(model, null) / attempt.BatchDivisor), cancellationToken);
        await GroupsInFlight.RunAsync(
            groups, group => runner.RunAsync(group.Group, cancellationToken),
            (group, done) =>
            {
                answers.Add(group, done);
                return progress.AddAsync(group.Group.Items.Count, cancellationToken);
            },
            cancellationToken);
        return answers;
    }

    private async Task<EvaluationOutput> ReportAsync(
        string tenant, EvaluationInput input, Dataset dataset, IEvaluationSource source, int[] items, List<ModelAnswers> answers, EvaluatedModel[] evaluated, CancellationToken cancellationToken)
    {
        var sliced = EvaluationSources.SlicesOf(input, dataset.Card);
        var data = new EvaluatedData($"{dataset.Name}@{dataset.Version}", dataset.Artifact, EvaluationSources.SplitOf(input, dataset.Card), source.Target);
        var pictures = new Dictionary<int, string>();
        var figures = new List<ModelEvaluation>();
        foreach (var (model, answered) in evaluated.Zip(answers))
        {
            figures.Add(await ModelReport.MakeAsync(model, items, source, input, data, sliced, pictures, cancellationToken) with
            {
                Uncomputed = answered.Uncomputed,
                FirstUncomputed = answered.FirstUncomputed,
                Training = await trainings.FindAsync(tenant, model.Version, cancellationToken),
            });
        }

        var output = new EvaluationOutput
        {
            Task = evaluated[0].Head.Task,
            Items = items.Length,
            Failed = source.Count - items.Length,
            Unreadable = answers[0].Unreadable.Count(static unreadable => unreadable),
            FirstError = FirstErrorOf(answers),
            Dataset = data,
            Model = figures[0],
            Compared = figures.ElementAtOrDefault(1),
            Comparison = evaluated.Length > 1 ? Compare(evaluated[0], evaluated[1], input, cancellationToken) : null,
            EmptySlices = [.. figures[0].Slices.Where(static s => s.Items == 0).Select(static s => $"{s.Column}: {s.Slice}")],
            Notes = Notes(input, dataset, figures, evaluated),
            Seed = input.Seed,
            Bootstrap = input.Bootstrap,
        };
        var page = EvaluationPage.Write(output, evaluated, pictures, time.GetUtcNow());
        using var bytes = new MemoryStream(Encoding.UTF8.GetBytes(page));
        return output with { ReportArtifact = (await artifacts.PutAsync(bytes, long.MaxValue, cancellationToken)).Id };
    }

    private static ModelComparison Compare(EvaluatedModel model, EvaluatedModel other, EvaluationInput input, CancellationToken cancellationToken) => model switch
    {
        { Labels: { } labels } => Comparison.OfLabels(labels, other.Labels!, model.Name, other.Name, input.Bootstrap, input.Seed, cancellationToken),
        { LabelSets: { } sets } => Comparison.OfLabelSets(sets, other.LabelSets!, model.Name, other.Name, input.Bootstrap, input.Seed, cancellationToken),
        _ => Comparison.OfNumbers(model.Numbers!, other.Numbers!, model.Name, other.Name, input.Bootstrap, input.Seed, cancellationToken),
    };

    private static List<string> Notes(EvaluationInput input, Dataset dataset, List<ModelEvaluation> models, EvaluatedModel[] evaluated)
    {
        var split = EvaluationSources.SplitOf(input, dataset.Card);
        var notes = new List<string>();
        foreach (var (model, version) in models.Zip(evaluated.Select(static e => e.Version)))
        {
            if (model.TrainedOn != dataset.Name && model.TrainedOn?.StartsWith($"{dataset.Name}@", StringComparison.Ordinal) != true)
                continue;
            if (split == "test" && TrainedData.IsTestValidation(version.Card, dataset.Card))
                notes.Add($"{model.Name} was trained on data set {model.TrainedOn}, which has no split `val`: the training chose its epoch by these items, so its figures may be better than on new ones.");
            if (split is "train" or "all")
                notes.Add($"{model.Name} was trained on data set {model.TrainedOn}, so items of the split `{split}` may be among those that it has learned from; its figures may be better than on new ones.");
        }

        if (models[0].MultiLabel?.Labels.Where(static label => label.Support == 0).Select(static label => $"'{label.Name}'").ToArray() is { Length: > 0 } absent)
            notes.Add($"No item has {(absent.Length == 1 ? "the label" : "the labels")} {string.Join(", ", absent.Take(20))}{(absent.Length > 20 ? ", …" : "")}: there is no recall, no curve and no best threshold of it, and the macro means leave it out unless it was said.");
        return notes;
    }

    /// <summary>Reports now and then.</summary>
    private sealed class Progress(JobAttempt attempt, TimeProvider time, long total)
    {
        private long _done;
        private long _reported = time.GetTimestamp();

        public async Task AddAsync(int items, CancellationToken cancellationToken)
        {
            _done += items;
            if (time.GetElapsedTime(_reported) < BetweenReports)
                return;
            _reported = time.GetTimestamp();
            await attempt.ReportAsync(new EvaluationProgress(_done, total), cancellationToken);
        }
    }
}
