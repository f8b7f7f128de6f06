using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Storage.Database.Pipeline;

/// <summary>Stored jobs among which new ones may find themselves.</summary>
internal sealed class KnownJobs(IEnumerable<JobRecord> stored)
{
    private readonly List<JobRecord> _stored = [.. stored];

    public void Add(JobRecord job) => _stored.Add(job);

    /// <summary>What the new job is, given the stored ones; null where none of them is in its way.</summary>
    /// <param name="job">The new job.</param>
    /// <param name="again">True where this call may have written it already, and lost the answer.</param>
    public AcceptOutcome? Judge(JobRecord job, bool again)
    {
        var earlier = _stored.Find(other => other.Id == job.Id || (job.IdempotencyKey is not null && other.IdempotencyKey == job.IdempotencyKey && other.Tenant == job.Tenant));
        if (earlier is not null)
        {
            if (earlier.Tenant != job.Tenant || earlier.RequestHash != job.RequestHash)
                return new AcceptOutcome(earlier, AcceptKind.Conflict);
            var own = again && earlier.Sequence == job.Sequence && earlier.CreatedAt.ToUnixTimeMilliseconds() == job.CreatedAt.ToUnixTimeMilliseconds();
            return new AcceptOutcome(earlier, own ? AcceptKind.New : AcceptKind.Duplicate);
        }

        var holder = _stored.Find(other => job.UniqueKey is not null && other.UniqueKey == job.UniqueKey && other.Tenant == job.Tenant);
        return holder is null ? null : new AcceptOutcome(holder, AcceptKind.Duplicate);
    }
}
