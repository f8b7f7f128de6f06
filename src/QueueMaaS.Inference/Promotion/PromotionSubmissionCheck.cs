using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Evaluation;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference.Promotion;

/// <summary>Refuses promotions that cannot be judged.</summary>
public sealed class PromotionSubmissionCheck(IModelCatalog models, GateCheck gates, EvaluationSubmissionCheck evaluations) : ISubmissionCheck
{
    /// <inheritdoc/>
    public JobKind Kind => JobKind.Promotion;

    /// <inheritdoc/>
    public async Task<CheckedInput> CheckAsync(string tenant, JsonElement input, CancellationToken cancellationToken)
    {
        var promotion = SubmissionReader.ReadInput<PromotionInput>(input);
        if (!Identifiers.IsAlias(promotion.Alias))
            throw new ProblemException(ProblemCodes.InvalidValue, $"`alias` must be an alias such as `production`: {Identifiers.AliasRule}.", ("path", "input.alias"));
        var version = await models.RequireAsync(tenant, promotion.Model, cancellationToken);
        await gates.CheckAsync(tenant, promotion.Gate, SubjectOf(version), cancellationToken);
        if (promotion.Gate.Latency is { BatchSize: > 1 and var rows } && !version.Signature.Inputs.All(static tensor => tensor.Shape is [< 0, ..]))
            throw new ProblemException(ProblemCodes.GateInvalid, $"`gate.latency.batchSize` is {rows}, but `{version.Name}@{version.Version}` takes no batches: its first axis is fixed. Measure it at 1.", ("path", "input.gate.latency.batchSize"));
        var before = await models.FindAsync(tenant, new VersionReference(version.Name, null, promotion.Alias), cancellationToken);
        foreach (var evaluation in GateEvaluations.Of(promotion.Gate, $"{version.Name}@{version.Version}", before is null ? null : $"{before.Name}@{before.Version}"))
            await evaluations.CheckAsync(tenant, JsonSerializer.SerializeToElement(evaluation, QueueMaaSJson.Relaxed), cancellationToken);
        return new(promotion.Model);
    }

    private static GateSubject SubjectOf(ModelVersion version)
    {
        // A regression's accuracy is written for old readers and says nothing.
        string[] metrics = [.. (version.Metrics?.Keys ?? []).Where(name => name != "validationAccuracy" || version.Metrics?.ContainsKey("validationR2") != true)];
        // One without an evaluation has figures of its own and a latency.
        var head = EvaluatedHead.Find($"{version.Name}@{version.Version}", version.Signature, version.Pipeline);
        return new(head?.Task, head?.Names, metrics);
    }
}
