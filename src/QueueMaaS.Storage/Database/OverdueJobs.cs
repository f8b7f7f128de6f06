using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Storage.Database;

/// <summary>
/// Jobs of which time, or the end of their worker, asks something. Each reason is a question of its own that goes along one index in its order:
/// as one condition with ORs, PostgreSQL reads the whole table, at every sweep, to find that there is nothing.
/// </summary>
/// <param name="Now">The database's time.</param>
/// <param name="GoneWorkers">Workers that have ended.</param>
internal sealed record OverdueJobs(DateTimeOffset Now, string[] GoneWorkers)
{
    /// <summary>Ids of overdue jobs, at most <paramref name="limit"/> for each reason; a job with two reasons may come twice.</summary>
    public IQueryable<string> Find(QueueMaaSDbContext context, int limit)
    {
        var jobs = context.Jobs.AsNoTracking();
        var found = jobs.Where(job => job.State == JobState.Running && job.LeaseUntil < Now).OrderBy(job => job.LeaseUntil).Select(job => job.Id).Take(limit)
            .Concat(jobs.Where(job => job.State == JobState.Scheduled && job.DueAt <= Now).OrderBy(job => job.DueAt).Select(job => job.Id).Take(limit))
            .Concat(jobs.Where(job => job.State == JobState.Retrying && job.DueAt <= Now).OrderBy(job => job.DueAt).Select(job => job.Id).Take(limit))
            .Concat(jobs.Where(job => (job.State == JobState.Scheduled || job.State == JobState.Queued || job.State == JobState.Retrying) && job.Deadline <= Now).OrderBy(job => job.Deadline).Select(job => job.Id).Take(limit));
        return GoneWorkers.Length == 0
            ? found
            : found.Concat(jobs.Where(job => job.State == JobState.Running && GoneWorkers.Contains(job.LeaseOwner)).OrderBy(job => job.LeaseUntil).Select(job => job.Id).Take(limit));
    }

    /// <summary>Whether a job is one of them.</summary>
    public bool Includes(JobRecord job) => job.State switch
    {
        JobState.Running => job.LeaseUntil < Now || GoneWorkers.Contains(job.LeaseOwner),
        JobState.Scheduled or JobState.Retrying => job.DueAt <= Now || job.Deadline <= Now,
        JobState.Queued => job.Deadline <= Now,
        _ => false,
    };
}
