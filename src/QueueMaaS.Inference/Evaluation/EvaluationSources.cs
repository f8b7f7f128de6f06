using QueueMaaS.Contracts;
using QueueMaaS.Data;
using QueueMaaS.Inference.BatchJobs;
using QueueMaaS.Inference.Preparation.Texts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>Opens what an evaluation reads.</summary>
public sealed class EvaluationSources(IArtifactStore artifacts, OpenArchives archives, TokenizerCache tokenizers)
{
    /// <summary>The split that is evaluated on where the job names none.</summary>
    internal static string SplitOf(EvaluationInput input, DatasetCard card) =>
        input.Split ?? (card.Splits.GetValueOrDefault("test") > 0 ? "test" : card.Splits.GetValueOrDefault("val") > 0 ? "val" : "all");

    /// <summary>By what the items are divided.</summary>
    internal static IReadOnlyList<string> SlicesOf(EvaluationInput input, DatasetCard card) => input.Slices ?? (card.Width > 0 ? [ImageEvaluationSource.Brightness, ImageEvaluationSource.Size] : []);

    /// <param name="input">What is read.</param>
    /// <param name="dataset">Of what.</param>
    /// <param name="model">For which model.</param>
    /// <param name="head">What the model gives; null where it is neither labels nor a number, and the truth is of no use.</param>
    /// <param name="cancellationToken">Stops.</param>
    internal async Task<IEvaluationSource> OpenAsync(EvaluationInput input, Dataset dataset, ModelVersion model, EvaluatedHead? head, CancellationToken cancellationToken)
    {
        var split = SplitOf(input, dataset.Card);
        var several = head?.Task == EvaluationTask.MultiLabel;
        if (dataset.Card.Width > 0)
            return new ImageEvaluationSource(archives, dataset.Artifact, split, await archives.CountAsync(dataset.Artifact, split, cancellationToken), several);
        var path = await artifacts.GetFileAsync(dataset.Artifact, cancellationToken);
        if (dataset.Card.Columns is not { } columns)
            return new ArrayEvaluationSource(DatasetFile.ReadArrays(path), several ? head!.Names : null);
        var table = DatasetFile.ReadTable(path);
        var truth = new TableTruth(table, TableTruth.ColumnsOf([.. columns.Select(static c => c.Name)], input, model, head), several);
        return new TableEvaluationSource(table, split, truth, SlicesOf(input, dataset.Card), input.Columns, tokenizers);
    }
}
