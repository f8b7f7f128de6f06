using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>Begins, shows, decides and ends rollouts. Of several processes that decide about one at the same time, one does: the watch's sequence is compared and set with the decision.</summary>
public sealed class Rollouts(IDeploymentStore deployments, IWatchStore watches, IModelCatalog models, TimeProvider time)
{
    private const string Production = "production";

    /// <summary>Begins a rollout: the version takes the first step's share at once.</summary>
    /// <exception cref="ProblemException"><c>rollout_conflict</c>: the model has one already, or its aliases were changed meanwhile.</exception>
    public async Task<Rollout> StartAsync(string tenant, string model, RolloutRequest request, int production, string by, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var now = time.GetUtcNow();
        var standing = new RolloutStanding { State = RolloutState.Running, Step = 0, StepStartedAt = now, Production = production };
        var watch = ModelWatch.Open(WatchKind.Rollout, tenant, model, request.Version, RolloutStanding.OpenKeyOf(model), JsonSerializer.Serialize(request, QueueMaaSJson.Relaxed), standing.ToJson(), now);
        var decision = new NewDecision
        {
            Cause = $"rollout {watch.Id} start",
            Model = model,
            Version = request.Version,
            Alias = Production,
            Outcome = DecisionOutcome.Started,
            By = by,
            Reason = $"Rollout {watch.Id} begins: `{model}@{request.Version}` takes {request.Steps[0]:P0} of the requests, `{model}@{production}` the rest.",
            Moves = [new AliasMove(request.Alias, request.Version, request.Steps[0])],
            Expected = production,
            Watch = watch,
            AddsWatch = true,
        };
        _ = await deployments.DecideAsync(tenant, decision, cancellationToken)
            ?? throw new ProblemException(ProblemCodes.RolloutConflict, $"Model `{model}` has a rollout that has not ended, or its aliases were changed just now. GET /v1/models/{model}/rollouts lists its rollouts; stop the one that runs first.", ("model", model));
        return Show(watch, [], detailed: true);
    }

    /// <exception cref="ProblemException"><c>rollout_not_found</c>.</exception>
    public async Task<Rollout> GetAsync(string tenant, string model, string id, CancellationToken cancellationToken)
    {
        var watch = await RequireAsync(tenant, model, id, cancellationToken);
        return Show(watch, watch.EndedAt is null ? await watches.SummariesAsync(id, cancellationToken) : [], detailed: true);
    }

    public async Task<IReadOnlyList<Rollout>> ListAsync(string tenant, string model, string? before, int limit, CancellationToken cancellationToken) =>
        [.. (await watches.ListAsync(tenant, WatchKind.Rollout, model, before, limit, cancellationToken)).Select(watch => Show(watch, [], detailed: false))];

    /// <summary>Ends a rollout by request, one way or the other.</summary>
    /// <exception cref="ProblemException"><c>canary_conflict</c>: see <see cref="TrafficShares"/>.</exception>
    /// <exception cref="ProblemException"><c>rollout_not_found</c>, or <c>rollout_conflict</c> where it has ended already.</exception>
    public async Task<Rollout> EndAsync(string tenant, string model, string id, bool promote, string by, CancellationToken cancellationToken)
    {
        while (true)
        {
            var watch = await RequireAsync(tenant, model, id, cancellationToken);
            var standing = RolloutStanding.Of(watch);
            if (watch.EndedAt is not null)
                throw new ProblemException(ProblemCodes.RolloutConflict, $"Rollout `{id}` has ended already: {standing.Reason}", ("state", standing.State));
            var (canary, production) = await CountsAsync(watch, standing, cancellationToken);
            var (_, _, conditions) = RolloutJudge.Judge(RolloutStanding.RequestOf(watch), canary, production, time.GetUtcNow() - standing.StepStartedAt);
            if (await EndAsync(watch, standing, promote, promote ? "It was promoted by request." : "It was stopped by request.", by, canary, production, conditions, cancellationToken))
                return await GetAsync(tenant, model, id, cancellationToken);
            if (promote && await ProductionAsync(watch, cancellationToken) is var now && now != standing.Production)
                throw new ProblemException(ProblemCodes.RolloutConflict, $"`production` points to version {now} now, not to version {standing.Production} that the rollout was compared with. Stop the rollout.", ("production", now));
        }
    }

    /// <summary>Decides what is to be decided about an open rollout now; false where nothing is, or somebody else was faster.</summary>
    public async Task<bool> DecideAsync(ModelWatch watch, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(watch);
        var (standing, request) = (RolloutStanding.Of(watch), RolloutStanding.RequestOf(watch));
        var (canary, served) = await CountsAsync(watch, standing, cancellationToken);
        var lasted = time.GetUtcNow() - standing.StepStartedAt;
        var (verdict, reason, conditions) = RolloutJudge.Judge(request, canary, served, lasted);
        var by = $"rollout {watch.Id}";
        if (await WasTouchedAsync(watch, standing, request, cancellationToken) is { } touched)
            return await EndAsync(watch, standing, promote: false, touched, by, canary, served, conditions, cancellationToken);
        if (verdict == RolloutVerdict.Fail)
            return await EndAsync(watch, standing, promote: false, reason, by, canary, served, conditions, cancellationToken);
        if (verdict == RolloutVerdict.Wait)
            return false;
        try
        {
            return standing.Step + 1 < request.Steps.Count
                ? await AdvanceAsync(watch, standing, request, reason, conditions, cancellationToken)
                : await EndAsync(watch, standing, promote: true, reason, by, canary, served, conditions, cancellationToken);
        }
        catch (ProblemException exception) when (!exception.IsTransient)
        {
            // Other aliases have been given shares meanwhile that leave no room for the next one.
            return await EndAsync(watch, standing, promote: false, exception.Problem.Message, by, canary, served, conditions, cancellationToken);
        }
    }

    private async Task<bool> AdvanceAsync(ModelWatch watch, RolloutStanding standing, RolloutRequest request, string reason, IReadOnlyList<JudgedCondition> conditions, CancellationToken cancellationToken)
    {
        var share = request.Steps[standing.Step + 1];
        watch.Standing = (standing with { Step = standing.Step + 1, StepStartedAt = time.GetUtcNow(), Reason = reason }).ToJson();
        return await deployments.DecideAsync(watch.Tenant, Decision(watch, standing, DecisionOutcome.Advanced, $"rollout {watch.Id}", $"{reason} Version {watch.Version} takes {share:P0} of the requests now.", conditions) with
        {
            Moves = [new AliasMove(request.Alias, watch.Version, share)],
        }, cancellationToken) is not null;
    }

    private async Task<bool> EndAsync(
        ModelWatch watch, RolloutStanding standing, bool promote, string reason, string by, ServedCounts canary, ServedCounts served, IReadOnlyList<JudgedCondition> conditions, CancellationToken cancellationToken)
    {
        var request = RolloutStanding.RequestOf(watch);
        watch.Standing = (standing with
        {
            State = promote ? RolloutState.Promoted : RolloutState.RolledBack,
            Reason = reason,
            Served = canary.ToFigures(watch.Version),
            ServedByProduction = served.ToFigures(standing.Production),
            Conditions = conditions,
        }).ToJson();
        (watch.OpenKey, watch.EndedAt) = (null, time.GetUtcNow());
        var away = new AliasMove(request.Alias, null) { OnlyFrom = watch.Version };
        var decision = Decision(watch, standing, promote ? DecisionOutcome.Promoted : DecisionOutcome.RolledBack, by, reason, conditions) with
        {
            Moves = promote ? [new AliasMove(Production, watch.Version), away] : [away],
            // Whatever production points to now, the version takes no share any more.
            Unconditional = !promote,
        };
        return await deployments.DecideAsync(watch.Tenant, decision, cancellationToken) is not null;
    }

    private static NewDecision Decision(ModelWatch watch, RolloutStanding standing, DecisionOutcome outcome, string by, string reason, IReadOnlyList<JudgedCondition> conditions) => new()
    {
        Cause = $"rollout {watch.Id} {watch.Sequence}",
        Model = watch.Name,
        Version = watch.Version,
        Alias = Production,
        Outcome = outcome,
        By = by,
        Reason = reason,
        Conditions = conditions,
        Expected = standing.Production,
        Watch = watch,
    };

    /// <summary>Where somebody moves the aliases under a rollout, what it counts means nothing any more.</summary>
    private async Task<string?> WasTouchedAsync(ModelWatch watch, RolloutStanding standing, RolloutRequest request, CancellationToken cancellationToken)
    {
        var aliases = await models.AliasesAsync(watch.Tenant, watch.Name, cancellationToken);
        var production = ProductionOf(aliases);
        if (production != standing.Production)
            return $"`production` was pointed at version {production} meanwhile, so there is nothing left to compare with.";
        var canary = aliases.FirstOrDefault(alias => alias.Alias == request.Alias);
        return canary?.Version == watch.Version && canary.Share == request.Steps[standing.Step] ? null : $"The alias `{request.Alias}` was changed or taken away meanwhile.";
    }

    private async Task<int?> ProductionAsync(ModelWatch watch, CancellationToken cancellationToken) =>
        ProductionOf(await models.AliasesAsync(watch.Tenant, watch.Name, cancellationToken));

    private static int? ProductionOf(IReadOnlyList<ModelAlias> aliases) => aliases.FirstOrDefault(static alias => alias.Alias == Production)?.Version;

    private async Task<(ServedCounts Canary, ServedCounts Production)> CountsAsync(ModelWatch watch, RolloutStanding standing, CancellationToken cancellationToken)
    {
        var summaries = await watches.SummariesAsync(watch.Id, cancellationToken);
        return (RolloutStanding.Sum(summaries, standing.Step, watch.Version), RolloutStanding.Sum(summaries, standing.Step, standing.Production));
    }

    private async Task<ModelWatch> RequireAsync(string tenant, string model, string id, CancellationToken cancellationToken) =>
        await watches.FindAsync(tenant, id, cancellationToken) is { Kind: WatchKind.Rollout } watch && watch.Name == model
            ? watch
            : throw new ProblemException(ProblemCodes.RolloutNotFound, $"Model `{model}` has no rollout `{id}`. GET /v1/models/{model}/rollouts lists what there is.", ("rollout", id));

    private Rollout Show(ModelWatch watch, IReadOnlyList<TrafficSummary> summaries, bool detailed)
    {
        var (standing, request) = (RolloutStanding.Of(watch), RolloutStanding.RequestOf(watch));
        var rollout = new Rollout
        {
            Id = watch.Id,
            Model = watch.Name,
            Request = request,
            Production = standing.Production,
            State = standing.State,
            Step = standing.Step + 1,
            Share = request.Steps[standing.Step],
            StepStartedAt = standing.StepStartedAt,
            CreatedAt = watch.CreatedAt,
            EndedAt = watch.EndedAt,
            Reason = standing.Reason,
        };
        if (!detailed)
            return rollout;
        if (watch.EndedAt is not null)
            return rollout with { Served = standing.Served, ServedByProduction = standing.ServedByProduction, Conditions = standing.Conditions };
        var (canary, production) = (RolloutStanding.Sum(summaries, standing.Step, watch.Version), RolloutStanding.Sum(summaries, standing.Step, standing.Production));
        var (_, reason, conditions) = RolloutJudge.Judge(request, canary, production, time.GetUtcNow() - standing.StepStartedAt);
        return rollout with { Reason = reason, Served = canary.ToFigures(watch.Version), ServedByProduction = production.ToFigures(standing.Production), Conditions = conditions };
    }
}
