using Microsoft.EntityFrameworkCore;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Storage.Database;

/// <summary>The stored webhook deliveries and endpoints, by EF Core.</summary>
public sealed class WebhookStore(DatabaseSession database, TimeProvider time) : IWebhookStore
{
    // How many due deliveries are looked at for each that is taken: some may belong to receivers that have enough.
    private const int LookedAt = 4;

    public async Task<IReadOnlyList<DueDelivery>> TakeDueAsync(TakeDeliveries request, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        // A look first: mostly there is nothing, and then no transaction is begun.
        if (!await database.ReadAsync(context => Due(context, now, request).AnyAsync(cancellationToken), cancellationToken))
            return [];
        return await database.WriteAsync<IReadOnlyList<DueDelivery>>(async context =>
        {
            var full = await FullEndpointsAsync(context, now, cancellationToken);
            var due = await Due(context, now, request).Where(d => d.EndpointId == null || !full.Contains(d.EndpointId)).OrderBy(d => d.NextTryAt).Take(request.Limit * LookedAt).ToListAsync(cancellationToken);
            var putOff = due.Where(delivery => request.Paused.ContainsKey(ReceiverAddress.Of(delivery))).ToArray();
            due.RemoveAll(putOff.Contains);
            var ids = due.Select(d => d.EndpointId).OfType<string>().Distinct().ToArray();
            var endpoints = await context.Endpoints.AsNoTracking().Where(e => ids.Contains(e.Id)).ToDictionaryAsync(e => e.Id, cancellationToken);
            var chosen = await ChooseAsync(context, due, endpoints, request, now, cancellationToken);
            var free = await RowLocks.TakeDeliveriesAsync(context, [.. chosen.Concat(putOff).Select(d => d.Id)], now, cancellationToken);
            // What is due to a receiver that asked to be left alone waits as long; whoever looks at the delivery sees until when.
            foreach (var delivery in putOff.Where(d => free.Contains(d.Id)))
                (delivery.State, delivery.NextTryAt) = (DeliveryState.Pending, request.Paused[ReceiverAddress.Of(delivery)]);
            var until = now + request.Hold;
            var taken = new List<DueDelivery>(chosen.Count);
            foreach (var delivery in chosen.Where(d => free.Contains(d.Id)))
            {
                delivery.State = DeliveryState.Sending;
                delivery.NextTryAt = until;
                taken.Add(new DueDelivery(delivery, delivery.EndpointId is { } id ? endpoints.GetValueOrDefault(id) : null));
            }

            return taken;
        }, cancellationToken);
    }

    public Task HoldAsync(IReadOnlyCollection<string> ids, DateTimeOffset until, CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        // What is locked is being written by whoever has sent it, and needs no hold any more.
        var free = await RowLocks.TakeDeliveriesAsync(context, [.. ids], until, cancellationToken);
        return await context.Deliveries.Where(d => free.Contains(d.Id) && d.State == DeliveryState.Sending).ExecuteUpdateAsync(set => set.SetProperty(d => d.NextTryAt, until), cancellationToken);
    }, cancellationToken);

    public Task RecordTriesAsync(IReadOnlyList<MadeTry> tries, TimeSpan disableAfter, CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        var ids = tries.Select(made => made.Delivery.EndpointId).OfType<string>().Distinct().ToArray();
        var endpoints = ids.Length == 0 ? [] : await context.Endpoints.Where(e => ids.Contains(e.Id)).ToDictionaryAsync(e => e.Id, cancellationToken);
        foreach (var (delivery, attempt, pausedUntil) in tries)
        {
            attempt.RowId = 0;
            context.Deliveries.Update(delivery);
            context.Tries.Add(attempt);
            if (attempt.Status == 410)
            {
                // The receiver is gone for good: what else waits for it goes with it.
                await context.Deliveries.Where(d => d.Id != delivery.Id && d.Url == delivery.Url && d.JobId == delivery.JobId && (d.State == DeliveryState.Pending || d.State == DeliveryState.Sending))
                    .ExecuteUpdateAsync(set => set.SetProperty(d => d.State, DeliveryState.Failed).SetProperty(d => d.LastError, "The receiver answered 410 (gone) before."), cancellationToken);
            }

            if (pausedUntil is { } until)
                await PutOffAsync(context, delivery, until, cancellationToken);
            if (delivery.EndpointId is { } id && endpoints.GetValueOrDefault(id) is { } endpoint)
                await JudgeAsync(context, endpoint, attempt, disableAfter, cancellationToken);
        }

        return 0;
    }, cancellationToken);

    public Task<IReadOnlyList<(WebhookDelivery Delivery, IReadOnlyList<WebhookTry> Tries)>> OfJobAsync(string tenant, string jobId, CancellationToken cancellationToken) => database.ReadAsync(
        context => WithTriesAsync(context, context.Deliveries.Where(d => d.Tenant == tenant && d.JobId == jobId).OrderBy(d => d.Sequence), cancellationToken), cancellationToken);

    public Task<IReadOnlyList<(WebhookDelivery Delivery, IReadOnlyList<WebhookTry> Tries)>> OfEndpointAsync(string tenant, string endpointId, int limit, CancellationToken cancellationToken) => database.ReadAsync(
        context => WithTriesAsync(context, context.Deliveries.Where(d => d.Tenant == tenant && d.EndpointId == endpointId).OrderByDescending(d => d.CreatedAt).Take(limit), cancellationToken), cancellationToken);

    public Task<bool> ReplayAsync(string tenant, string deliveryId, CancellationToken cancellationToken) => database.WriteAsync(
        async context => await AgainAsync(context.Deliveries.Where(d => d.Tenant == tenant && d.Id == deliveryId), cancellationToken) > 0, cancellationToken);

    public Task<int> ReplaySinceAsync(string tenant, string endpointId, DateTimeOffset since, bool onlyFailed, CancellationToken cancellationToken) => database.WriteAsync(
        context => AgainAsync(
            context.Deliveries.Where(d => d.Tenant == tenant && d.EndpointId == endpointId && d.CreatedAt >= since && (d.State == DeliveryState.Failed || (d.State == DeliveryState.Delivered && !onlyFailed))), cancellationToken),
        cancellationToken);

    public Task AddAsync(WebhookDelivery delivery, CancellationToken cancellationToken) => database.WriteAsync(context =>
    {
        context.Deliveries.Add(delivery);
        return Task.FromResult(0);
    }, cancellationToken);

    public Task<IReadOnlyList<WebhookEndpoint>> EndpointsAsync(string tenant, CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<WebhookEndpoint>>(
        async context => await context.Endpoints.Where(e => e.Tenant == tenant).OrderBy(e => e.Id).ToListAsync(cancellationToken), cancellationToken);

    public Task<WebhookEndpoint?> FindEndpointAsync(string tenant, string id, CancellationToken cancellationToken) => database.ReadAsync(
        context => context.Endpoints.SingleOrDefaultAsync(e => e.Tenant == tenant && e.Id == id, cancellationToken), cancellationToken);

    public Task PutEndpointAsync(WebhookEndpoint endpoint, CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        if (await context.Endpoints.AsNoTracking().AnyAsync(e => e.Id == endpoint.Id, cancellationToken))
            context.Endpoints.Update(endpoint);
        else
            context.Endpoints.Add(endpoint);
        return 0;
    }, cancellationToken);

    public Task<bool> DeleteEndpointAsync(string tenant, string id, CancellationToken cancellationToken) => database.WriteAsync(async context =>
    {
        await context.Deliveries.Where(d => d.EndpointId == id && (d.State == DeliveryState.Pending || d.State == DeliveryState.Sending))
            .ExecuteUpdateAsync(set => set.SetProperty(d => d.State, DeliveryState.Failed).SetProperty(d => d.LastError, "The endpoint was deleted."), cancellationToken);
        return await context.Endpoints.Where(e => e.Tenant == tenant && e.Id == id).ExecuteDeleteAsync(cancellationToken) > 0;
    }, cancellationToken);

    private static IQueryable<WebhookDelivery> Due(QueueMaaSDbContext context, DateTimeOffset now, TakeDeliveries request)
    {
        var due = context.Deliveries.Where(d => (d.State == DeliveryState.Pending || d.State == DeliveryState.Sending) && d.NextTryAt <= now
            && !context.Deliveries.Any(earlier => earlier.JobId == d.JobId && earlier.Url == d.Url && earlier.Sequence < d.Sequence && (earlier.State == DeliveryState.Pending || earlier.State == DeliveryState.Sending)));
        foreach (var host in request.SendingByHost.Where(entry => entry.Value >= request.PerHost).Select(entry => entry.Key + "/"))
            due = due.Where(d => !d.Url.StartsWith(host));
        foreach (var ((tenant, address), _) in request.Sending.Where(entry => entry.Value >= request.PerReceiver))
        {
            var withQuery = address + "?";
            due = due.Where(d => d.Tenant != tenant || (d.Url != address && !d.Url.StartsWith(withQuery)));
        }

        return due;
    }

    /// <summary>What some notifier has taken and not given up.</summary>
    private static IQueryable<WebhookDelivery> UnderWay(QueueMaaSDbContext context, DateTimeOffset now) => context.Deliveries.Where(d => d.State == DeliveryState.Sending && d.NextTryAt > now);

    /// <summary>Endpoints that are being sent as much as they asked for: their backlog must not stand before what others wait for.</summary>
    private static Task<List<string>> FullEndpointsAsync(QueueMaaSDbContext context, DateTimeOffset now, CancellationToken cancellationToken) => UnderWay(context, now)
        .Join(context.Endpoints.Where(e => e.MaxInFlight != null), d => d.EndpointId, e => e.Id, (d, e) => new { e.Id, e.MaxInFlight })
        .GroupBy(e => new { e.Id, e.MaxInFlight }).Where(group => group.Count() >= group.Key.MaxInFlight).Select(group => group.Key.Id).ToListAsync(cancellationToken);

    /// <summary>As many as each receiver may get; the endpoint's own limit counts what other notifiers are sending too.</summary>
    private static async Task<List<WebhookDelivery>> ChooseAsync(
        QueueMaaSDbContext context, List<WebhookDelivery> due, Dictionary<string, WebhookEndpoint> endpoints, TakeDeliveries request, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var limited = endpoints.Values.Where(e => e.MaxInFlight is not null).Select(e => e.Id).ToArray();
        await RowLocks.TakeEndpointsAsync(context, limited, cancellationToken);
        var sending = await UnderWay(context, now).Where(d => d.EndpointId != null && limited.Contains(d.EndpointId))
            .GroupBy(d => d.EndpointId!).Select(group => new { group.Key, Count = group.Count() }).ToDictionaryAsync(group => group.Key, group => group.Count, cancellationToken);
        var perReceiver = new Dictionary<ReceiverAddress, int>(request.Sending);
        var perHost = new Dictionary<string, int>(request.SendingByHost, StringComparer.Ordinal);
        var chosen = new List<WebhookDelivery>();
        foreach (var delivery in due)
        {
            var endpoint = delivery.EndpointId is { } id ? endpoints.GetValueOrDefault(id) : null;
            var receiver = ReceiverAddress.Of(delivery);
            if (chosen.Count == request.Limit || perReceiver.GetValueOrDefault(receiver) >= request.PerReceiver || perHost.GetValueOrDefault(receiver.Host) >= request.PerHost
                || (endpoint?.MaxInFlight is { } most && sending.GetValueOrDefault(endpoint.Id) >= most))
                continue;
            perReceiver[receiver] = perReceiver.GetValueOrDefault(receiver) + 1;
            perHost[receiver.Host] = perHost.GetValueOrDefault(receiver.Host) + 1;
            if (endpoint is not null)
                sending[endpoint.Id] = sending.GetValueOrDefault(endpoint.Id) + 1;
            chosen.Add(delivery);
        }

        return chosen;
    }

    /// <summary>What waits for the receiver waits as long as it asked for, with every notifier.</summary>
    private static Task PutOffAsync(QueueMaaSDbContext context, WebhookDelivery delivery, DateTimeOffset until, CancellationToken cancellationToken)
    {
        var (tenant, address) = ReceiverAddress.Of(delivery);
        var withQuery = address + "?";
        return context.Deliveries.Where(d => d.Id != delivery.Id && d.Tenant == tenant && d.State == DeliveryState.Pending && d.NextTryAt < until && (d.Url == address || d.Url.StartsWith(withQuery)))
            .ExecuteUpdateAsync(set => set.SetProperty(d => d.NextTryAt, until), cancellationToken);
    }

    private async Task JudgeAsync(QueueMaaSDbContext context, WebhookEndpoint endpoint, WebhookTry attempt, TimeSpan disableAfter, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (attempt.Error is null)
        {
            endpoint.FailingSince = null;
            return;
        }

        endpoint.FailingSince ??= now;
        var reason = attempt.Status == 410 ? "The receiver answered 410 (gone)." : now - endpoint.FailingSince >= disableAfter ? $"Every try since {endpoint.FailingSince:O} has failed; the last: {attempt.Error}" : null;
        if (reason is null || endpoint.DisabledAt is not null)
            return;
        endpoint.DisabledAt = now;
        endpoint.DisabledReason = reason;
        await context.Deliveries.Where(d => d.EndpointId == endpoint.Id && d.Id != attempt.DeliveryId && (d.State == DeliveryState.Pending || d.State == DeliveryState.Sending))
            .ExecuteUpdateAsync(set => set.SetProperty(d => d.State, DeliveryState.Failed).SetProperty(d => d.LastError, "The endpoint was disabled."), cancellationToken);
        // The notice: an event on the bus, and a line for whoever looks at the endpoint.
        var data = Json.Write(new { endpointId = endpoint.Id, endpoint.Tenant, endpoint.Url, reason });
        context.Events.Add(new JobEventRow { JobId = $"endpoint:{endpoint.Id}", Sequence = now.UtcTicks, Type = WebhookTypes.EndpointDisabled, At = now, Attempt = 0, By = "service", Reason = reason, Data = data });
    }

    private Task<int> AgainAsync(IQueryable<WebhookDelivery> deliveries, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        return deliveries.ExecuteUpdateAsync(
            set => set.SetProperty(d => d.State, DeliveryState.Pending).SetProperty(d => d.NextTryAt, now).SetProperty(d => d.Tries, 0).SetProperty(d => d.DeliveredAt, (DateTimeOffset?)null), cancellationToken);
    }

    private static async Task<IReadOnlyList<(WebhookDelivery Delivery, IReadOnlyList<WebhookTry> Tries)>> WithTriesAsync(QueueMaaSDbContext context, IQueryable<WebhookDelivery> query, CancellationToken cancellationToken)
    {
        var deliveries = await query.ToListAsync(cancellationToken);
        var ids = deliveries.Select(d => d.Id).ToArray();
        var tries = (await context.Tries.Where(t => ids.Contains(t.DeliveryId)).OrderBy(t => t.RowId).ToListAsync(cancellationToken)).ToLookup(t => t.DeliveryId);
        return [.. deliveries.Select(d => (d, (IReadOnlyList<WebhookTry>)[.. tries[d.Id]]))];
    }
}
