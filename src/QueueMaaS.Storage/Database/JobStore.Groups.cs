using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Storage.Database;

/// <summary>Groups of jobs.</summary>
public sealed partial class JobStore
{
    public Task<JobGroup?> FindGroupAsync(string tenant, string id, CancellationToken cancellationToken) => _database.ReadAsync(async context =>
    {
        var group = await context.Groups.SingleOrDefaultAsync(row => row.Tenant == tenant && row.Id == id, cancellationToken);
        return group is null ? null : Show(group, await CountGroupAsync(context, tenant, id, cancellationToken));
    }, cancellationToken);

    /// <summary>Counts new jobs into their groups, and makes those groups that are not there yet.</summary>
    private static async Task JoinGroupsAsync(QueueMaaSDbContext context, IReadOnlyList<JobRecord> added, DateTimeOffset now, CancellationToken cancellationToken)
    {
        foreach (var members in added.Where(job => job.GroupId is not null).GroupBy(job => (job.Tenant, Id: job.GroupId!)))
        {
            var (tenant, id) = members.Key;
            var size = members.First().GetRules().GroupSize ?? 1;
            await RowLocks.TakeGroupAsync(context, tenant, id, cancellationToken);
            var group = await context.Groups.SingleOrDefaultAsync(row => row.Tenant == tenant && row.Id == id, cancellationToken);
            if (group is null)
                context.Groups.Add(group = new JobGroupRow { Tenant = tenant, Id = id, Size = size, CreatedAt = now });
            if (members.FirstOrDefault(job => job.GetRules().GroupSize != group.Size) is { } other)
                throw new ProblemException(ProblemCodes.InvalidValue, $"Group `{id}` has {group.Size} jobs in all, but job `{other.Id}` says {other.GetRules().GroupSize}. Name the same `group.size` in all of them.", ("path", "group.size"));
            var before = group.Deleted + await context.Jobs.CountAsync(job => job.Tenant == tenant && job.GroupId == id, cancellationToken);
            if (before + members.Count() > group.Size)
                throw new ProblemException(ProblemCodes.InvalidValue, $"Group `{id}` has {group.Size} jobs in all, and {before} of them are there already: there is no room for {members.Count()} more. Use another `group.id`.", ("path", "group.id"));
        }
    }

    /// <summary>Jobs of groups have been deleted. They count as ended, which they had; a group that has completed goes with its last job.</summary>
    private static async Task LeaveGroupsAsync(QueueMaaSDbContext context, IEnumerable<(string Tenant, string Group)> deleted, CancellationToken cancellationToken)
    {
        foreach (var members in deleted.GroupBy(job => job).OrderBy(group => group.Key))
        {
            var ((tenant, id), count) = (members.Key, members.Count());
            await RowLocks.TakeGroupAsync(context, tenant, id, cancellationToken);
            await context.Groups.Where(row => row.Tenant == tenant && row.Id == id).ExecuteUpdateAsync(set => set.SetProperty(row => row.Deleted, row => row.Deleted + count), cancellationToken);
            await context.Groups.Where(row => row.Tenant == tenant && row.Id == id && row.CompletedAt != null && row.Deleted >= row.Size).ExecuteDeleteAsync(cancellationToken);
        }
    }

    /// <summary>Closes a group whose last job has ended: one event and one webhook for each endpoint that wants it.</summary>
    private async Task CompleteGroupAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        await _database.WriteAsync(async context =>
        {
            var group = await context.Groups.AsNoTracking().SingleOrDefaultAsync(row => row.Tenant == tenant && row.Id == id && row.CompletedAt == null, cancellationToken);
            if (group is null || await context.Jobs.AnyAsync(job => job.Tenant == tenant && job.GroupId == id && !Final.Contains(job.State), cancellationToken))
                return 0;
            var counts = await CountGroupAsync(context, tenant, id, cancellationToken);
            // Of several that see the last end at the same time one closes the group.
            if (counts.Values.Sum() + group.Deleted < group.Size
                || await context.Groups.Where(row => row.Tenant == tenant && row.Id == id && row.CompletedAt == null).ExecuteUpdateAsync(set => set.SetProperty(row => row.CompletedAt, now), cancellationToken) == 0)
                return 0;
            group.CompletedAt = now;
            var data = Json.Write(Show(group, counts));
            context.Events.Add(new JobEventRow { JobId = $"group:{id}", Sequence = now.UtcTicks, Type = WebhookTypes.GroupCompleted, At = now, Attempt = 0, By = "service", Data = data });
            foreach (var endpoint in await context.Endpoints.AsNoTracking().Where(row => row.Tenant == tenant && row.DisabledAt == null).ToListAsync(cancellationToken))
            {
                if (endpoint.Wants(WebhookTypes.GroupCompleted, kind: null))
                    context.Deliveries.Add(EndpointDeliveries.About(endpoint, WebhookTypes.GroupCompleted, $"group:{id}", data, now));
            }

            return 1;
        }, cancellationToken);
        await _signals.PublishAsync([new JobChange($"group:{id}", JobState.Succeeded, now.UtcTicks)], cancellationToken);
    }

    private static async Task<Dictionary<JobState, int>> CountGroupAsync(QueueMaaSDbContext context, string tenant, string id, CancellationToken cancellationToken) =>
        await context.Jobs.Where(job => job.Tenant == tenant && job.GroupId == id).GroupBy(job => job.State).Select(states => new { states.Key, Count = states.Count() })
            .ToDictionaryAsync(states => states.Key, states => states.Count, cancellationToken);

    private static JobGroup Show(JobGroupRow group, Dictionary<JobState, int> counts) =>
        new() { Id = group.Id, Size = group.Size, Deleted = group.Deleted, Counts = counts, CreatedAt = group.CreatedAt, CompletedAt = group.CompletedAt };
}
