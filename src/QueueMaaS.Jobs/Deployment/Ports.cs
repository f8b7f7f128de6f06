using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>A decision before it is carried out.</summary>
public sealed record NewDecision
{
    /// <summary>What is decided once only: a repeat with the same cause gives the decision that was made before and changes nothing.</summary>
    public required string Cause { get; init; }
    public required string Model { get; init; }
    public required int Version { get; init; }
    public required string Alias { get; init; }
    public required DecisionOutcome Outcome { get; init; }
    public required string By { get; init; }
    public required string Reason { get; init; }
    public IReadOnlyList<JudgedCondition> Conditions { get; init; } = [];
    /// <summary>What happens to the aliases, in the same transaction.</summary>
    public IReadOnlyList<AliasMove> Moves { get; init; } = [];
    /// <summary>Where <see cref="Alias"/> must point for the decision to hold; null: nowhere.</summary>
    public int? Expected { get; init; }
    /// <summary>True: it holds wherever <see cref="Alias"/> points. Default false.</summary>
    public bool Unconditional { get; init; }
    /// <summary>The watch as it stands after the decision, where it is about one. <see cref="ModelWatch.Sequence"/> is the one that it was read with.</summary>
    public ModelWatch? Watch { get; init; }
    /// <summary>True: the watch is a new one. Default false.</summary>
    public bool AddsWatch { get; init; }
}

/// <summary>What happens to an alias.</summary>
/// <param name="Alias">The alias.</param>
/// <param name="Version">The version it points at then; null: it is taken away.</param>
/// <param name="Share">Its share of the traffic to the bare name.</param>
public sealed record AliasMove(string Alias, int? Version, double? Share = null)
{
    /// <summary>It is moved only where it points to this version. Default: wherever it points.</summary>
    public int? OnlyFrom { get; init; }
}

/// <summary>Decisions about versions of models. Made once, never changed.</summary>
public interface IDeploymentStore
{
    /// <summary>In one transaction: the decision, what comes of it for the aliases and the watch, its line in the audit trail, its event, and a webhook delivery to each endpoint of the tenant that wants it.</summary>
    /// <exception cref="ProblemException">As <see cref="Catalog.TrafficShares.CheckAsync"/>: nothing is decided.</exception>
    /// <returns>The decision, or the one that was made of the same cause before; null where the alias points elsewhere than expected, or the watch has changed since it was read.</returns>
    Task<ModelDecision?> DecideAsync(string tenant, NewDecision decision, CancellationToken cancellationToken);

    /// <summary>The decisions about a model, the newest first, before an id.</summary>
    Task<IReadOnlyList<ModelDecision>> DecisionsAsync(string tenant, string model, string? before, int limit, CancellationToken cancellationToken);
}

/// <summary>Something that follows what a model serves: a rollout, a shadow, a drift monitor.</summary>
public sealed class ModelWatch
{
    public required string Id { get; set; }
    public required string Tenant { get; set; }
    public required WatchKind Kind { get; set; }
    public required string Name { get; set; }
    public required int Version { get; set; }
    /// <summary>Unique in the tenant while the watch is open: of some kinds a model has one at a time.</summary>
    public string? OpenKey { get; set; }
    /// <summary>What was asked for, JSON.</summary>
    public required string Definition { get; set; }
    /// <summary>How it stands, JSON.</summary>
    public required string Standing { get; set; }
    /// <summary>Goes up with every change: of several that change it at the same time one does.</summary>
    public long Sequence { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    public required DateTimeOffset ChangedAt { get; set; }
    public DateTimeOffset? EndedAt { get; set; }

    /// <summary>A new one.</summary>
    public static ModelWatch Open(WatchKind kind, string tenant, string name, int version, string openKey, string definition, string standing, DateTimeOffset now) => new()
    {
        Id = Ulid.NewUlid(now).ToString(),
        Tenant = tenant,
        Kind = kind,
        Name = name,
        Version = version,
        OpenKey = openKey,
        Definition = definition,
        Standing = standing,
        CreatedAt = now,
        ChangedAt = now,
    };
}

/// <summary>Kinds of watches.</summary>
public enum WatchKind
{
    Rollout,
    Shadow,
    Drift,
}

/// <summary>What one worker has counted for one part of a watch, since it began to. The counts of all workers are added up by who reads them.</summary>
public sealed class TrafficSummary
{
    public required string WatchId { get; set; }
    /// <summary>Such as a step and a version.</summary>
    public required string Part { get; set; }
    public required string Worker { get; set; }
    /// <summary>JSON.</summary>
    public required string Data { get; set; }
    public required DateTimeOffset ChangedAt { get; set; }
}

/// <summary>An event about a model: in the history, on the bus, and to the webhook endpoints that want it.</summary>
/// <param name="Type">Such as <c>model.drift</c>.</param>
/// <param name="Data">JSON.</param>
public sealed record WatchEvent(string Type, string Data);

/// <summary>Watches and what workers count for them.</summary>
public interface IWatchStore
{
    /// <summary>Stores a new watch; false where one with its <see cref="ModelWatch.OpenKey"/> is open.</summary>
    Task<bool> AddAsync(ModelWatch watch, CancellationToken cancellationToken);

    /// <summary>Stores a changed watch, with an event that tells of it where one is given; false where it has changed since it was read, or is gone.</summary>
    Task<bool> ChangeAsync(ModelWatch watch, CancellationToken cancellationToken, WatchEvent? news = null);

    /// <summary>Null where the tenant has none of this id.</summary>
    Task<ModelWatch?> FindAsync(string tenant, string id, CancellationToken cancellationToken);

    /// <summary>The one that is open under an <see cref="ModelWatch.OpenKey"/>; null where none is.</summary>
    Task<ModelWatch?> FindOpenAsync(string tenant, string openKey, CancellationToken cancellationToken);

    /// <summary>Those that have not ended, of all tenants.</summary>
    Task<IReadOnlyList<ModelWatch>> OpenAsync(CancellationToken cancellationToken);

    /// <summary>Of a model and kind, the newest first, before an id.</summary>
    Task<IReadOnlyList<ModelWatch>> ListAsync(string tenant, WatchKind kind, string name, string? before, int limit, CancellationToken cancellationToken);

    /// <summary>Puts counts in the place of those that the same worker has stored for the same part before.</summary>
    Task PutAsync(IReadOnlyList<TrafficSummary> summaries, CancellationToken cancellationToken);

    /// <summary>What all workers have counted for a watch.</summary>
    Task<IReadOnlyList<TrafficSummary>> SummariesAsync(string watchId, CancellationToken cancellationToken);

    /// <summary>Removes the counts of a watch that have not changed since.</summary>
    Task<int> RemoveOldAsync(string watchId, DateTimeOffset before, CancellationToken cancellationToken);

    /// <summary>Removes the counts of watches that have ended or are gone.</summary>
    Task<int> RemoveOrphansAsync(DateTimeOffset before, CancellationToken cancellationToken);
}
