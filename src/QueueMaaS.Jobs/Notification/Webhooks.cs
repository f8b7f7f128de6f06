using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Notification;

/// <summary>One notification to one address. Written in the transaction of the change it tells about, so neither exists without the other.</summary>
public sealed class WebhookDelivery
{
    /// <summary>The <c>webhook-id</c>, the same for every attempt, so that a receiver can tell repeats.</summary>
    public required string Id { get; set; }
    public required string Tenant { get; set; }
    public required string JobId { get; set; }
    public required string Type { get; set; }
    public required JobKind Kind { get; set; }
    public required JobState JobState { get; set; }
    public required long Sequence { get; set; }
    public required int Attempt { get; set; }
    public string? Error { get; set; }
    public required string Url { get; set; }
    public string? Secret { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    public DeliveryState State { get; set; }
    public int Tries { get; set; }
    public DateTimeOffset NextTryAt { get; set; }
    public DateTimeOffset? DeliveredAt { get; set; }
    public int? LastStatus { get; set; }
    public string? LastError { get; set; }

    /// <summary>The tenant's endpoint it goes to; null for the webhook that the job itself names.</summary>
    public string? EndpointId { get; set; }

    /// <summary>The job's trace, which the delivery goes on with.</summary>
    public string? TraceParent { get; set; }

    /// <summary>The body's <c>data</c> where it is not about a job.</summary>
    public string? Data { get; set; }
}

public enum DeliveryState
{
    Pending,
    /// <summary>A notifier has taken it; due again when its hold is over.</summary>
    Sending,
    Delivered,
    Failed,
}

/// <summary>One try of a delivery: the delivery log.</summary>
public sealed class WebhookTry
{
    public long RowId { get; set; }
    public required string DeliveryId { get; set; }
    public required int Number { get; set; }
    public required DateTimeOffset At { get; set; }
    public int? Status { get; set; }
    public string? Error { get; set; }
    public double Milliseconds { get; set; }

    /// <summary>What was sent: the headers, without the signature, and the body.</summary>
    public string? Request { get; set; }

    /// <summary>The first 4,096 characters of what came back.</summary>
    public string? Response { get; set; }
}

/// <summary>A signing secret, and until when it is used; null for as long as the endpoint lives.</summary>
public sealed record EndpointSecret(string Secret, DateTimeOffset? Until);

/// <summary>Where a tenant wants to hear of all its jobs.</summary>
public sealed class WebhookEndpoint
{
    public required string Id { get; set; }
    public required string Tenant { get; set; }
    public required string Url { get; set; }

    /// <summary>A JSON array of <see cref="EndpointSecret"/>, the newest first; each request is signed with all that hold.</summary>
    public required string Secrets { get; set; }

    /// <summary>Which events it gets, as <c>,job.started,job.completed,</c>.</summary>
    public required string Events { get; set; }

    /// <summary>Which kinds of job it hears of, as <c>,Inference,Training,</c>; null for all.</summary>
    public string? Kinds { get; set; }

    /// <summary>Most deliveries under way at the same time; null for no limit of its own.</summary>
    public int? MaxInFlight { get; set; }

    /// <summary>Put the job's output into the body where it is small enough.</summary>
    public bool IncludeOutput { get; set; }

    public string? Description { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? DisabledAt { get; set; }
    public string? DisabledReason { get; set; }

    /// <summary>Since when every try has failed.</summary>
    public DateTimeOffset? FailingSince { get; set; }
}

/// <summary>Which deliveries a notifier takes.</summary>
/// <param name="Limit">Most of them.</param>
/// <param name="Hold">For how long no other notifier gets them.</param>
/// <param name="PerReceiver">Most of them for one receiver, those that it is being sent included.</param>
/// <param name="PerHost">Most of them for all receivers of one host and port.</param>
/// <param name="Sending">How many each receiver is being sent.</param>
/// <param name="Paused">Receivers that asked to be left alone, and until when; what is due to one of them is put off until then.</param>
public sealed record TakeDeliveries(
    int Limit, TimeSpan Hold, int PerReceiver, int PerHost, IReadOnlyDictionary<ReceiverAddress, int> Sending, IReadOnlyDictionary<ReceiverAddress, DateTimeOffset> Paused)
{
    /// <summary>How many each host is being sent.</summary>
    public Dictionary<string, int> SendingByHost { get; } = Sending.GroupBy(entry => entry.Key.Host, StringComparer.Ordinal).ToDictionary(host => host.Key, host => host.Sum(entry => entry.Value), StringComparer.Ordinal);

    /// <summary>Whether a receiver or a host has as much as it may get.</summary>
    public bool IsAnyFull => Sending.Values.Any(count => count >= PerReceiver) || SendingByHost.Values.Any(count => count >= PerHost);
}

/// <summary>A try that was made, with the delivery as it is after it.</summary>
/// <param name="Delivery">The delivery.</param>
/// <param name="Try">The try.</param>
/// <param name="PausedUntil">Until when the receiver asked to be left alone, if it did.</param>
public sealed record MadeTry(WebhookDelivery Delivery, WebhookTry Try, DateTimeOffset? PausedUntil);

/// <summary>A delivery with its endpoint, where it goes to one.</summary>
public sealed record DueDelivery(WebhookDelivery Delivery, WebhookEndpoint? Endpoint);

/// <summary>The stored deliveries and endpoints.</summary>
public interface IWebhookStore
{
    /// <summary>Takes due deliveries for sending. Of one job only the oldest pending one for each receiver is given, so that order holds; an endpoint never gets more at a time than it asked for.</summary>
    Task<IReadOnlyList<DueDelivery>> TakeDueAsync(TakeDeliveries request, CancellationToken cancellationToken);

    /// <summary>Keeps deliveries that are still being sent from other notifiers until then.</summary>
    Task HoldAsync(IReadOnlyCollection<string> ids, DateTimeOffset until, CancellationToken cancellationToken);

    /// <summary>Writes how a group of tries went, and what follows for their endpoints: failing since when, disabled or well again.</summary>
    Task RecordTriesAsync(IReadOnlyList<MadeTry> tries, TimeSpan disableAfter, CancellationToken cancellationToken);

    Task<IReadOnlyList<(WebhookDelivery Delivery, IReadOnlyList<WebhookTry> Tries)>> OfJobAsync(string tenant, string jobId, CancellationToken cancellationToken);

    /// <summary>An endpoint's deliveries, newest first.</summary>
    Task<IReadOnlyList<(WebhookDelivery Delivery, IReadOnlyList<WebhookTry> Tries)>> OfEndpointAsync(string tenant, string endpointId, int limit, CancellationToken cancellationToken);

    /// <summary>Has one delivery sent again; false where there is none.</summary>
    Task<bool> ReplayAsync(string tenant, string deliveryId, CancellationToken cancellationToken);

    /// <summary>Has an endpoint's ended deliveries sent again.</summary>
    Task<int> ReplaySinceAsync(string tenant, string endpointId, DateTimeOffset since, bool onlyFailed, CancellationToken cancellationToken);

    /// <summary>Adds a delivery that is not about a change of a job.</summary>
    Task AddAsync(WebhookDelivery delivery, CancellationToken cancellationToken);

    Task<IReadOnlyList<WebhookEndpoint>> EndpointsAsync(string tenant, CancellationToken cancellationToken);

    Task<WebhookEndpoint?> FindEndpointAsync(string tenant, string id, CancellationToken cancellationToken);

    Task PutEndpointAsync(WebhookEndpoint endpoint, CancellationToken cancellationToken);

    Task<bool> DeleteEndpointAsync(string tenant, string id, CancellationToken cancellationToken);
}
