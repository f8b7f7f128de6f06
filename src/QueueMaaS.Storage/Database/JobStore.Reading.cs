using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Storage.Database;

/// <summary>What users and workers read.</summary>
public sealed partial class JobStore
{
    public Task<IReadOnlyList<JobRecord>> ListAsync(JobQuery query, CancellationToken cancellationToken) => _database.ReadAsync<IReadOnlyList<JobRecord>>(async context =>
    {
        var jobs = context.Jobs.Where(job => job.Tenant == query.Tenant && job.ParentId == null);
        if (query.Kind is { } kind)
            jobs = jobs.Where(job => job.Kind == kind);
        if (query.State is { } state)
            jobs = jobs.Where(job => job.State == state);
        if (query.Model is { } model)
            jobs = jobs.Where(job => job.Model == model);
        if (query.Group is { } group)
            jobs = jobs.Where(job => job.GroupId == group);
        if (query.From is { } from)
            jobs = jobs.Where(job => job.CreatedAt >= from);
        if (query.Until is { } until)
            jobs = jobs.Where(job => job.CreatedAt < until);
        if (query.Tag is { } tag)
        {
            var quoted = $"\"{tag}\"";
            jobs = jobs.Where(job => job.Tags != null && job.Tags.Contains(quoted));
        }

        if (query.Code is { } code)
        {
            var quoted = $"\"code\":\"{code}\"";
            jobs = jobs.Where(job => job.Error != null && job.Error.Contains(quoted));
        }

        if (query.After is var (createdAt, id))
            jobs = jobs.Where(job => job.CreatedAt < createdAt || (job.CreatedAt == createdAt && string.Compare(job.Id, id) < 0));
        return await jobs.OrderByDescending(job => job.CreatedAt).ThenByDescending(job => job.Id).Take(query.Limit).ToListAsync(cancellationToken);
    }, cancellationToken);

    public Task<int> CountAheadAsync(JobRecord job, int most, CancellationToken cancellationToken) => _database.ReadAsync(
        context => context.Jobs
            .Where(other => other.State == JobState.Queued && other.Kind == job.Kind && other.Model == job.Model && other.Tenant == job.Tenant
                && (other.Priority > job.Priority || (other.Priority == job.Priority && other.CreatedAt < job.CreatedAt)))
            .Take(most).CountAsync(cancellationToken),
        cancellationToken);

    public Task<IReadOnlyList<JobRecord>> ChildrenAsync(string parentId, CancellationToken cancellationToken) => _database.ReadAsync<IReadOnlyList<JobRecord>>(
        async context => await context.Jobs.Where(job => job.ParentId == parentId).OrderBy(job => job.Id).ToListAsync(cancellationToken), cancellationToken);

    public Task<IReadOnlyList<JobEvent>> EventsAsync(string id, long afterSequence, int limit, CancellationToken cancellationToken) => _database.ReadAsync<IReadOnlyList<JobEvent>>(
        async context => [.. (await context.Events.Where(e => e.JobId == id && e.Sequence > afterSequence).OrderBy(e => e.Sequence).Take(limit).ToListAsync(cancellationToken)).Select(e => e.ToEvent())],
        cancellationToken);

    public Task<IReadOnlySet<string>> StillQueuedAsync(IReadOnlyCollection<string> ids, CancellationToken cancellationToken) => _database.ReadAsync<IReadOnlySet<string>>(
        // The state is looked at here: PostgreSQL would rather read all queued jobs than these by their ids.
        async context => (await context.Jobs.Where(job => ids.Contains(job.Id)).Select(job => new { job.Id, job.State }).ToListAsync(cancellationToken))
            .Where(job => job.State == JobState.Queued).Select(job => job.Id).ToHashSet(StringComparer.Ordinal),
        cancellationToken);

    public Task<IReadOnlyDictionary<(JobKind Kind, JobState State), int>> CountAsync(CancellationToken cancellationToken) =>
        _database.ReadAsync<IReadOnlyDictionary<(JobKind Kind, JobState State), int>>(async context =>
            (await context.Jobs.Where(job => job.State == JobState.Queued || job.State == JobState.Running || job.State == JobState.Retrying || job.State == JobState.Scheduled)
                .GroupBy(job => new { job.Kind, job.State }).Select(group => new { group.Key, Count = group.Count() }).ToListAsync(cancellationToken))
            .ToDictionary(group => (group.Key.Kind, group.Key.State), group => group.Count), cancellationToken);

    public Task<IReadOnlyList<JobBacklog>> BacklogAsync(CancellationToken cancellationToken) => _database.ReadAsync<IReadOnlyList<JobBacklog>>(
        async context => await context.Jobs.Where(job => job.State == JobState.Queued).GroupBy(job => new { job.Kind, job.Tenant, job.Model })
            .Select(group => new JobBacklog(group.Key.Kind, group.Key.Tenant, group.Key.Model, group.Count(), group.Min(job => job.DueAt))).ToListAsync(cancellationToken),
        cancellationToken);

    public Task<int> CountWaitingAsync(string tenant, int most, CancellationToken cancellationToken) => _database.ReadAsync(
        context => context.Jobs.Where(job => job.Tenant == tenant && job.Kind != JobKind.Chunk && (job.State == JobState.Scheduled || job.State == JobState.Queued || job.State == JobState.Retrying))
            .Take(most).CountAsync(cancellationToken),
        cancellationToken);
}
