namespace QueueMaaS.Jobs.DeadLetters;

/// <summary>Messages from the bus that could not become jobs, kept as they came.</summary>
public interface IUnprocessableStore
{
    Task AddAsync(UnprocessableMessage message, CancellationToken cancellationToken);

    Task<UnprocessableMessage?> FindAsync(string tenant, string id, CancellationToken cancellationToken);

    /// <summary>Newest first.</summary>
    Task<IReadOnlyList<UnprocessableMessage>> ListAsync(UnprocessableQuery query, CancellationToken cancellationToken);

    Task MarkReplayedAsync(string tenant, string id, string jobId, CancellationToken cancellationToken);

    Task<bool> DeleteAsync(string tenant, string id, CancellationToken cancellationToken);
}

/// <summary>Which messages to list.</summary>
public sealed record UnprocessableQuery(string Tenant)
{
    public string? Code { get; init; }
    public DateTimeOffset? From { get; init; }
    public DateTimeOffset? Until { get; init; }

    /// <summary>Only those that no job replays yet.</summary>
    public bool OnlyOpen { get; init; }

    /// <summary>Only messages after this one in the order.</summary>
    public string? After { get; init; }

    public int Limit { get; init; } = 50;
}

/// <summary>A message as it came, and why it could not become a job.</summary>
public sealed record UnprocessableMessage(string Id, string Tenant, DateTimeOffset ReceivedAt, string Code, string Reason, byte[] Body)
{
    public string? ContentType { get; init; }
    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();
    public string? ReplayedAs { get; init; }
}
