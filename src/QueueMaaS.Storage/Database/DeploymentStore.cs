using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Storage.Database;

/// <summary>Decisions about versions, by EF Core.</summary>
internal sealed class DeploymentStore(DatabaseSession database, IModelCatalog models, IJobSignals signals, TimeProvider time) : IDeploymentStore
{
    public async Task<ModelDecision?> DecideAsync(string tenant, NewDecision decision, CancellationToken cancellationToken)
    {
        var (made, isNew) = await database.WriteAsync(context => DecideAsync(context, tenant, decision, cancellationToken), cancellationToken);
        models.Forget(tenant, decision.Model);
        if (isNew)
            await signals.PublishAsync([new JobChange($"model:{decision.Model}", JobState.Succeeded, made!.At.UtcTicks)], cancellationToken);
        return made;
    }

    public Task<IReadOnlyList<ModelDecision>> DecisionsAsync(string tenant, string model, string? before, int limit, CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<ModelDecision>>(
        async context => [.. (await context.Decisions.Where(row => row.Tenant == tenant && row.Name == model && (before == null || string.Compare(row.Id, before) < 0))
            .OrderByDescending(row => row.Id).Take(limit).ToListAsync(cancellationToken)).Select(static row => row.ToDecision())],
        cancellationToken);

    private async Task<(ModelDecision? Made, bool IsNew)> DecideAsync(QueueMaaSDbContext context, string tenant, NewDecision decision, CancellationToken cancellationToken)
    {
        // Whoever waited here sees what the one before has decided.
        await RowLocks.TakeAliasesAsync(context, tenant, decision.Model, cancellationToken);
        if (await context.Decisions.AsNoTracking().SingleOrDefaultAsync(row => row.Tenant == tenant && row.Cause == decision.Cause, cancellationToken) is { } before)
            return (before.ToDecision(), false);
        var aliases = await context.Aliases.Where(alias => alias.Tenant == tenant && alias.Name == decision.Model).ToListAsync(cancellationToken);
        var pointsAt = aliases.FirstOrDefault(alias => alias.Alias == decision.Alias)?.Version;
        if (!decision.Unconditional && pointsAt != decision.Expected)
            return (null, false);
        if (decision.Watch is { } watch && !(decision.AddsWatch ? await WatchStore.AddAsync(context, watch, cancellationToken) : await WatchStore.ChangeAsync(context, watch, time.GetUtcNow(), cancellationToken) > 0))
            return (null, false);
        var moved = new List<ModelAlias>();
        foreach (var move in decision.Moves)
        {
            if (await MoveAsync(context, aliases, tenant, decision.Model, move, cancellationToken) is { } alias)
                moved.Add(alias);
        }

        // Once all have moved: a canary that becomes production goes with the same decision.
        foreach (var alias in moved)
            await AliasMoves.CheckAsync(context, tenant, alias, cancellationToken);
        return (await AddAsync(context, tenant, decision, pointsAt, cancellationToken), true);
    }

    private static async Task<ModelAlias?> MoveAsync(QueueMaaSDbContext context, List<ModelAliasRow> aliases, string tenant, string name, AliasMove move, CancellationToken cancellationToken)
    {
        var row = aliases.FirstOrDefault(alias => alias.Alias == move.Alias);
        if (move.OnlyFrom is { } from && row?.Version != from)
            return null;
        if (move.Version is { } version)
        {
            var moved = new ModelAlias(name, move.Alias, version) { Share = move.Share };
            return await AliasMoves.PointAsync(context, tenant, moved, cancellationToken) ? moved : null;
        }

        if (row is not null)
            context.Aliases.Remove(row);
        return null;
    }

    private async Task<ModelDecision> AddAsync(QueueMaaSDbContext context, string tenant, NewDecision decision, int? before, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var made = new ModelDecision
        {
            Id = Ulid.NewUlid(now).ToString(),
            At = now,
            Model = decision.Model,
            Version = decision.Version,
            Alias = decision.Alias,
            Outcome = decision.Outcome,
            Before = before,
            By = decision.By,
            Reason = decision.Reason,
            Conditions = decision.Conditions,
        };
        var data = Json.Write(made);
        context.Decisions.Add(new ModelDecisionRow { Id = made.Id, Tenant = tenant, Name = made.Model, Cause = decision.Cause, At = now, Decision = data });
        context.Audit.Add(new AuditEntry(Ulid.NewUlid(now).ToString(), now, tenant, made.By, $"model.{Verb(made.Outcome)}", $"{made.Model}/{made.Alias}/{made.Version}", made.Outcome == DecisionOutcome.Refused ? "gate_not_held" : "done"));
        await ModelEvents.AddAsync(context, tenant, made.Model, ModelEvents.TypeOf(made.Outcome), data, now, cancellationToken);
        return made;
    }

    private static string Verb(DecisionOutcome outcome) => outcome switch
    {
        DecisionOutcome.Started => "rollout.start",
        DecisionOutcome.Advanced => "rollout.advance",
        DecisionOutcome.RolledBack => "rollback",
        _ => "promote",
    };
}

/// <summary>Events about models: in the history, on the bus, and to the endpoints of the tenant that want them.</summary>
internal static class ModelEvents
{
    public static string TypeOf(DecisionOutcome outcome) => outcome switch
    {
        DecisionOutcome.Promoted => WebhookTypes.ModelPromoted,
        DecisionOutcome.Refused => WebhookTypes.ModelRefused,
        DecisionOutcome.RolledBack => WebhookTypes.ModelRolledBack,
        _ => WebhookTypes.ModelRollout,
    };

    public static async Task AddAsync(QueueMaaSDbContext context, string tenant, string model, string type, string data, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var subject = $"model:{model}";
        context.Events.Add(new JobEventRow { JobId = subject, Sequence = now.UtcTicks, Type = type, At = now, Attempt = 0, By = "service", Data = data });
        foreach (var endpoint in await context.Endpoints.AsNoTracking().Where(row => row.Tenant == tenant && row.DisabledAt == null).ToListAsync(cancellationToken))
        {
            if (endpoint.Wants(type, kind: null))
                context.Deliveries.Add(EndpointDeliveries.About(endpoint, type, subject, data, now));
        }
    }
}
