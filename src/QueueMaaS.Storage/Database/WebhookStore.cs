using Microsoft.EntityFrameworkCore;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Storage.Database;

/// <summary>The stored webhook deliveries, by EF Core.</summary>
public sealed class WebhookStore(DatabaseSession database, TimeProvider time) : IWebhookStore
{
    public async Task<IReadOnlyList<WebhookDelivery>> TakeDueAsync(int limit, TimeSpan hold, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var due = await database.ReadAsync(context => context.Deliveries
            .Where(d => d.State == DeliveryState.Pending && d.NextTryAt <= now
                && !context.Deliveries.Any(earlier => earlier.JobId == d.JobId && earlier.State == DeliveryState.Pending && earlier.Sequence < d.Sequence))
            .OrderBy(d => d.NextTryAt).Take(limit).ToListAsync(cancellationToken), cancellationToken);
        var taken = new List<WebhookDelivery>(due.Count);
        foreach (var delivery in due)
        {
            // Compare-and-set on the time it was due: of several notifiers one gets it.
            var until = now + hold;
            var seen = delivery.NextTryAt;
            var mine = await database.WriteAsync(context => context.Deliveries
                .Where(d => d.Id == delivery.Id && d.State == DeliveryState.Pending && d.NextTryAt == seen)
                .ExecuteUpdateAsync(set => set.SetProperty(d => d.NextTryAt, until), cancellationToken), cancellationToken);
            if (mine == 1)
                taken.Add(delivery);
        }

        return taken;
    }

    public Task RecordTryAsync(WebhookDelivery delivery, WebhookTry attempt, CancellationToken cancellationToken) => database.WriteAsync(context =>
    {
        attempt.RowId = 0;
        context.Deliveries.Update(delivery);
        context.Tries.Add(attempt);
        return Task.FromResult(0);
    }, cancellationToken);

    public Task<IReadOnlyList<(WebhookDelivery Delivery, IReadOnlyList<WebhookTry> Tries)>> OfJobAsync(string tenant, string jobId, CancellationToken cancellationToken) =>
        database.ReadAsync<IReadOnlyList<(WebhookDelivery, IReadOnlyList<WebhookTry>)>>(async context =>
        {
            var deliveries = await context.Deliveries.Where(d => d.Tenant == tenant && d.JobId == jobId).OrderBy(d => d.Sequence).ToListAsync(cancellationToken);
            var ids = deliveries.Select(d => d.Id).ToArray();
            var tries = (await context.Tries.Where(t => ids.Contains(t.DeliveryId)).OrderBy(t => t.RowId).ToListAsync(cancellationToken)).ToLookup(t => t.DeliveryId);
            return [.. deliveries.Select(d => (d, (IReadOnlyList<WebhookTry>)[.. tries[d.Id]]))];
        }, cancellationToken);
}
