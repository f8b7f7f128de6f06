using Microsoft.EntityFrameworkCore;
using QueueMaaS.Jobs.DeadLetters;

namespace QueueMaaS.Storage.Database;

/// <summary>Messages that could not become jobs, by EF Core.</summary>
internal sealed class UnprocessableStore(DatabaseSession database, TimeProvider time) : IUnprocessableStore
{
    public Task AddAsync(UnprocessableMessage message, CancellationToken cancellationToken) => database.WriteAsync(context =>
    {
        context.Unprocessable.Add(new UnprocessableRow
        {
            Id = message.Id,
            Tenant = message.Tenant,
            ReceivedAt = message.ReceivedAt,
            Code = message.Code,
            Reason = message.Reason,
            ContentType = message.ContentType,
            Headers = Json.Write(message.Headers),
            Body = message.Body,
        });
        return Task.FromResult(0);
    }, cancellationToken);

    public Task<UnprocessableMessage?> FindAsync(string tenant, string id, CancellationToken cancellationToken) => database.ReadAsync(
        async context => await context.Unprocessable.SingleOrDefaultAsync(row => row.Tenant == tenant && row.Id == id, cancellationToken) is { } row ? Show(row) : null, cancellationToken);

    public Task<IReadOnlyList<UnprocessableMessage>> ListAsync(UnprocessableQuery query, CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<UnprocessableMessage>>(async context =>
    {
        var rows = context.Unprocessable.Where(row => row.Tenant == query.Tenant);
        if (query.Code is { } code)
            rows = rows.Where(row => row.Code == code);
        if (query.From is { } from)
            rows = rows.Where(row => row.ReceivedAt >= from);
        if (query.Until is { } until)
            rows = rows.Where(row => row.ReceivedAt < until);
        if (query.OnlyOpen)
            rows = rows.Where(row => row.ReplayedAs == null);
        // Their ids are in the order of their coming.
        if (query.After is { } after)
            rows = rows.Where(row => string.Compare(row.Id, after) < 0);
        return [.. (await rows.OrderByDescending(row => row.Id).Take(query.Limit).ToListAsync(cancellationToken)).Select(Show)];
    }, cancellationToken);

    public Task MarkReplayedAsync(string tenant, string id, string jobId, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        return database.WriteAsync(
            context => context.Unprocessable.Where(row => row.Tenant == tenant && row.Id == id).ExecuteUpdateAsync(
                set => set.SetProperty(row => row.ReplayedAs, jobId).SetProperty(row => row.ReplayedAt, now), cancellationToken),
            cancellationToken);
    }

    public Task<bool> DeleteAsync(string tenant, string id, CancellationToken cancellationToken) => database.WriteAsync(
        async context => await context.Unprocessable.Where(row => row.Tenant == tenant && row.Id == id).ExecuteDeleteAsync(cancellationToken) > 0, cancellationToken);

    private static UnprocessableMessage Show(UnprocessableRow row) => new(row.Id, row.Tenant, row.ReceivedAt, row.Code, row.Reason, row.Body)
    {
        ContentType = row.ContentType,
        Headers = Json.Read<Dictionary<string, string>>(row.Headers) ?? [],
        ReplayedAs = row.ReplayedAs,
    };
}
