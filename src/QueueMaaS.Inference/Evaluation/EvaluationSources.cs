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

    internal async Task<IEvaluationSource> OpenAsync(EvaluationInput input, Dataset dataset, ModelVersion model, CancellationToken cancellationToken)
    {
        var split = SplitOf(input, dataset.Card);
        if (dataset.Card.Width > 0)
            return new ImageEvaluationSource(archives, dataset.Artifact, split, await archives.CountAsync(dataset.Artifact, split, cancellationToken));
        var path = await artifacts.GetFileAsync(dataset.Artifact, cancellationToken);
        if (dataset.Card.Columns is not { } columns)
            return new ArrayEvaluationSource(DatasetFile.ReadArrays(path));
        return new TableEvaluationSource(
            DatasetFile.ReadTable(path), split, TableEvaluationSource.TargetOf([.. columns.Select(static c => c.Name)], input.Target, model), SlicesOf(input, dataset.Card), tokenizers);
    }
}
