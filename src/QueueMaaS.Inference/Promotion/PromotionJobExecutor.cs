using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Evaluation;
using QueueMaaS.Inference.Jobs;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Inference.Promotion;

/// <summary>Runs one promotion: measures what the gate asks for, and points the alias at the version where all of it holds. Either way the job succeeds, and its output is the decision.</summary>
public sealed class PromotionJobExecutor(
    IModelCatalog models, IDeploymentStore deployments, Evaluator evaluator, Predictor predictor, IModelHost host, IInferenceDemand demand, TimeProvider time) : IJobExecutor
{
    // Whoever moves an alias at every try would keep a promotion from ever ending.
    private const int MostTries = 5;

    /// <inheritdoc/>
    public JobKind Kind => JobKind.Promotion;

    /// <inheritdoc/>
    public async Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(attempt);
        var (job, input) = (attempt.Job, JsonSerializer.Deserialize<PromotionInput>(attempt.Job.Input, QueueMaaSJson.Relaxed)!);
        var version = await models.RequireAsync(job.Tenant, input.Model, cancellationToken);
        var latency = input.Gate.Latency is { } condition ? await MeasureAsync(attempt, version, condition, cancellationToken) : null;
        for (var tries = 0; tries < MostTries; tries++)
        {
            var before = (await models.FindAsync(job.Tenant, new VersionReference(version.Name, null, input.Alias), cancellationToken))?.Version;
            var conditions = await JudgeAsync(attempt, input, version, before, cancellationToken);
            if (latency is not null)
                conditions.Add(latency);
            if (await DecideAsync(job, input, version, before, conditions, cancellationToken) is { } decided)
            {
                await attempt.LogAsync(decided.Outcome == DecisionOutcome.Promoted ? "info" : "warning", decided.Reason, cancellationToken);
                return decided;
            }

            await attempt.LogAsync("info", $"`{input.Alias}` was pointed elsewhere meanwhile: the comparison is made anew.", cancellationToken);
        }

        throw new ProblemException(ProblemCodes.Unavailable, $"`{version.Name}@{input.Alias}` was pointed elsewhere {MostTries} times while it was compared with. Nothing was decided.", ("alias", input.Alias)) { IsTransient = true };
    }

    /// <summary>That nobody's requests come to fail by it is a condition that every gate has.</summary>
    private async Task<ModelDecision?> DecideAsync(JobRecord job, PromotionInput input, ModelVersion version, int? before, List<JudgedCondition> conditions, CancellationToken cancellationToken)
    {
        try
        {
            return await deployments.DecideAsync(job.Tenant, Decision(job, input, version, before, conditions), cancellationToken);
        }
        catch (ProblemException exception) when (exception.Problem.Code == ProblemCodes.CanaryConflict)
        {
            conditions.Add(new($"aliases with a share take the inputs of {version.Name}@{version.Version}", false, exception.Problem.Message));
            return await deployments.DecideAsync(job.Tenant, Decision(job, input, version, before, conditions), cancellationToken);
        }
    }

    private static NewDecision Decision(JobRecord job, PromotionInput input, ModelVersion version, int? before, List<JudgedCondition> conditions)
    {
        var missed = conditions.FindAll(static condition => !condition.Held);
        return new()
        {
            // Once a job is deleted its id may be another job's, which decides for itself.
            Cause = $"job {job.Id} of {job.CreatedAt.ToUnixTimeMilliseconds()}",
            Model = version.Name,
            Version = version.Version,
            Alias = input.Alias,
            Outcome = missed.Count == 0 ? DecisionOutcome.Promoted : DecisionOutcome.Refused,
            By = $"job {job.Id}",
            Reason = missed.Count == 0
                ? $"All {conditions.Count} conditions hold: `{input.Alias}` points to {version.Name}@{version.Version}."
                : $"{missed.Count} of {conditions.Count} conditions did not hold, so `{input.Alias}` stays {(before is { } at ? $"at version {at}" : "as it is")}. {missed[0].Condition}: {missed[0].Reason}",
            Conditions = conditions,
            Moves = missed.Count == 0 ? [new AliasMove(input.Alias, version.Version)] : [],
            Expected = before,
        };
    }

    private async Task<List<JudgedCondition>> JudgeAsync(JobAttempt attempt, PromotionInput input, ModelVersion version, int? before, CancellationToken cancellationToken)
    {
        var name = $"{version.Name}@{version.Version}";
        var evaluations = new List<GateEvaluation>();
        foreach (var evaluation in GateEvaluations.Of(input.Gate, name, before is { } at ? $"{version.Name}@{at}" : null))
            evaluations.Add(await EvaluateAsync(attempt, evaluation, cancellationToken));
        var judged = (input.Gate.Metrics ?? []).Select(condition => GateJudge.Metric(condition, version, condition.Dataset is null ? null : Find(evaluations, condition.Dataset, condition.Split, condition.Target))).ToList();
        if (input.Gate.NotWorse is { } notWorse)
            judged.Add(GateJudge.NotWorse(notWorse, input.Alias, version.Version, before, Find(evaluations, notWorse.Dataset, notWorse.Split, notWorse.Target)));
        return judged;
    }

    private static GateEvaluation? Find(List<GateEvaluation> evaluations, string dataset, string? split, string? target) =>
        evaluations.Find(evaluation => evaluation.Input.Dataset == dataset && evaluation.Input.Split == split && evaluation.Input.Target == target);

    /// <summary>Where the data and the model do not go together, the conditions that rest on it do not hold. What another try may mend is tried again.</summary>
    private async Task<GateEvaluation> EvaluateAsync(JobAttempt attempt, EvaluationInput input, CancellationToken cancellationToken)
    {
        try
        {
            return new(input, await evaluator.RunAsync(attempt, input, cancellationToken), null);
        }
        catch (ProblemException exception) when (IsLasting(exception))
        {
            return new(input, null, exception.Problem);
        }
    }

    private static bool IsLasting(ProblemException exception) => !exception.IsTransient && exception.Problem.Code is not (ProblemCodes.OutOfMemory or ProblemCodes.AttemptTimeout);

    private async Task<JudgedCondition> MeasureAsync(JobAttempt attempt, ModelVersion version, LatencyCondition condition, CancellationToken cancellationToken)
    {
        var model = await predictor.ServeAsync(version, cancellationToken);
        // Answers that are kept would be timed in place of the model.
        model = model with { Batching = model.Batching with { CacheSeconds = 0, ShareIdentical = false } };
        var worker = attempt.Job.LeaseOwner ?? "this worker";
        var others = demand.Requests;
        try
        {
            await host.LoadAsync(model, cancellationToken);
            return GateJudge.Latency(condition, await new LatencyMeasurement(host, time).RunAsync(model, condition, attempt.Job.Priority, cancellationToken), null, worker, others);
        }
        catch (ProblemException exception) when (IsLasting(exception))
        {
            return GateJudge.Latency(condition, null, exception.Problem, worker, others);
        }
    }
}
