using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Tenants;

namespace QueueMaaS.Storage.Database.Pipeline;

/// <summary>The four changes by EF Core, for SQLite: it has one writer, so nothing changes between what is read and what is written.</summary>
internal sealed class EntityPipeline(DatabaseSession database, TenantLimits limits, IOptions<JobOptions> options, TimeProvider time) : IJobPipeline
{
    public Task<IReadOnlyList<AcceptOutcome>> AcceptAsync(IReadOnlyList<JobRecord> jobs, CancellationToken cancellationToken) => database.WriteAsync<IReadOnlyList<AcceptOutcome>>(async context =>
    {
        var changes = await JobChanges.BeginAsync(context, time, cancellationToken);
        var known = await FindKnownAsync(context, jobs, cancellationToken);
        var paused = jobs.Any(job => job.State == JobState.Running) ? await PausedAsync(context, cancellationToken) : [];
        var outcomes = new List<AcceptOutcome>(jobs.Count);
        foreach (var job in jobs)
        {
            if (known.Judge(job, again: false) is { } met)
            {
                outcomes.Add(met);
                continue;
            }

            Add(changes, job, paused);
            known.Add(job);
            outcomes.Add(new AcceptOutcome(job, AcceptKind.New));
        }

        return outcomes;
    }, cancellationToken);

    public Task<IReadOnlyList<JobRecord>> ClaimAsync(IReadOnlyList<string> ids, string worker, TimeSpan lease, CancellationToken cancellationToken) => database.WriteAsync<IReadOnlyList<JobRecord>>(async context =>
    {
        var changes = await JobChanges.BeginAsync(context, time, cancellationToken);
        var paused = await PausedAsync(context, cancellationToken);
        var jobs = await context.Jobs
            .Where(job => ids.Contains(job.Id) && job.State == JobState.Queued && (job.Deadline == null || job.Deadline > changes.Now) && !paused.Contains(job.Kind))
            .OrderByDescending(job => job.Priority).ThenBy(job => job.DueAt).ToListAsync(cancellationToken);
        var claimed = new List<JobRecord>(jobs.Count);
        foreach (var tenant in jobs.GroupBy(job => job.Tenant))
            claimed.AddRange(await FitAsync(context, tenant.Key, [.. tenant], cancellationToken));
        foreach (var job in claimed)
            Claim(changes, job, worker, lease);
        return claimed;
    }, cancellationToken);

    public Task<IReadOnlySet<JobClaim>> RenewAsync(IReadOnlyList<JobClaim> claims, TimeSpan lease, CancellationToken cancellationToken) => database.WriteAsync<IReadOnlySet<JobClaim>>(async context =>
    {
        var until = time.GetUtcNow() + lease;
        var ids = claims.Select(claim => claim.Id).ToArray();
        var running = await context.Jobs.AsNoTracking().Where(job => ids.Contains(job.Id) && job.State == JobState.Running).Select(job => new { job.Id, job.Fence }).ToListAsync(cancellationToken);
        var standing = running.Select(job => new JobClaim(job.Id, job.Fence)).Where(claims.ToHashSet().Contains).ToHashSet();
        var renewed = standing.Select(claim => claim.Id).ToArray();
        await context.Jobs.Where(job => renewed.Contains(job.Id)).ExecuteUpdateAsync(set => set.SetProperty(job => job.LeaseUntil, until), cancellationToken);
        return standing;
    }, cancellationToken);

    public Task<IReadOnlyDictionary<JobClaim, JobRecord>> CompleteAsync(IReadOnlyList<AttemptEnd> ends, CancellationToken cancellationToken) =>
        database.WriteAsync<IReadOnlyDictionary<JobClaim, JobRecord>>(async context =>
        {
            var changes = await JobChanges.BeginAsync(context, time, cancellationToken);
            var ids = ends.Select(end => end.Claim.Id).ToArray();
            var rows = await context.Jobs.Where(job => ids.Contains(job.Id)).ToDictionaryAsync(job => job.Id, cancellationToken);
            var taken = new Dictionary<JobClaim, JobRecord>();
            foreach (var end in ends)
            {
                if (!rows.TryGetValue(end.Claim.Id, out var job) || job.State != JobState.Running || job.Fence != end.Claim.Fence)
                    continue;
                changes.End(job, end);
                taken[end.Claim] = job;
            }

            return taken;
        }, cancellationToken);

    internal static async Task<KnownJobs> FindKnownAsync(QueueMaaSDbContext context, IReadOnlyList<JobRecord> jobs, CancellationToken cancellationToken)
    {
        var ids = jobs.Select(job => job.Id).ToArray();
        var keys = jobs.Select(job => job.IdempotencyKey).OfType<string>().ToArray();
        var unique = jobs.Select(job => job.UniqueKey).OfType<string>().ToArray();
        return new KnownJobs(await context.Jobs.AsNoTracking()
            .Where(job => ids.Contains(job.Id) || (job.IdempotencyKey != null && keys.Contains(job.IdempotencyKey)) || (job.UniqueKey != null && unique.Contains(job.UniqueKey)))
            .ToListAsync(cancellationToken));
    }

    /// <summary>How many more jobs the tenant may run now. Parts of jobs count for nothing: the job that waits for them has its place.</summary>
    internal static async Task<int> RoomAsync(QueueMaaSDbContext context, TenantLimits limits, string tenant, CancellationToken cancellationToken) => limits.Of(tenant).MaxRunning is { } most
        ? Math.Max(0, most - await context.Jobs.CountAsync(job => job.State == JobState.Running && job.Tenant == tenant && job.Kind != JobKind.Chunk && job.Kind != JobKind.Sweep, cancellationToken))
        : int.MaxValue;

    private static Task<List<JobKind>> PausedAsync(QueueMaaSDbContext context, CancellationToken cancellationToken) => context.Pauses.Select(pause => pause.Kind).ToListAsync(cancellationToken);

    /// <summary>Adds a new job, and claims it where it is to start at once and its kind is not paused.</summary>
    private static void Add(JobChanges changes, JobRecord job, List<JobKind> paused)
    {
        var (worker, lease) = job.State == JobState.Running && !paused.Contains(job.Kind) ? (job.LeaseOwner, job.LeaseUntil - job.StartedAt) : (null, null);
        if (job.State == JobState.Running)
            job.Queue();
        changes.Add(job);
        if (worker is not null)
            Claim(changes, job, worker, lease!.Value);
    }

    private static void Claim(JobChanges changes, JobRecord job, string worker, TimeSpan lease)
    {
        job.Attempt++;
        job.Fence++;
        job.StartedAt = changes.Now;
        changes.To(job, JobState.Running, worker, reason: null);
        job.LeaseOwner = worker;
        job.LeaseUntil = changes.Now + lease;
    }

    /// <summary>Those of a tenant's jobs for which there is a place; the others are noted, to come when one is free.</summary>
    private async Task<IEnumerable<JobRecord>> FitAsync(QueueMaaSDbContext context, string tenant, JobRecord[] jobs, CancellationToken cancellationToken)
    {
        var room = await RoomAsync(context, limits, tenant, cancellationToken);
        var places = jobs.Where(TakesPlace).ToArray();
        if (places.Length <= room)
            return jobs;
        var held = places[room..].ToDictionary(job => job.Id);
        var noted = await context.Held.Where(row => held.Keys.Contains(row.JobId)).Select(row => row.JobId).ToListAsync(cancellationToken);
        context.Held.AddRange(held.Values.Where(job => !noted.Contains(job.Id)).Select(job => new HeldJobRow
        {
            JobId = job.Id,
            Tenant = tenant,
            Kind = job.Kind,
            Rank = job.DueAt.ToUnixTimeMilliseconds() - (job.Priority * (long)options.Value.AgePerPriority.TotalMilliseconds),
        }));
        return jobs.Where(job => !held.ContainsKey(job.Id));
    }

    private static bool TakesPlace(JobRecord job) => job.Kind is not (JobKind.Chunk or JobKind.Sweep);
}
