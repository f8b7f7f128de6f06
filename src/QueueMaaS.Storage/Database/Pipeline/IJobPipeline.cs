using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Storage.Database.Pipeline;

/// <summary>
/// The four changes that every job goes through, each for a whole group at once. PostgreSQL does each in one statement (<see cref="PostgreSqlPipeline"/>);
/// SQLite, which has one writer in one process, does them by EF Core (<see cref="EntityPipeline"/>). Both are held to the same behaviour tests.
/// </summary>
internal interface IJobPipeline
{
    /// <summary>Inserts new jobs with their first events; jobs that are known come back as stored.</summary>
    Task<IReadOnlyList<AcceptOutcome>> AcceptAsync(IReadOnlyList<JobRecord> jobs, CancellationToken cancellationToken);

    /// <summary>Takes those of the queued jobs that may start now, each with a new fence.</summary>
    Task<IReadOnlyList<JobRecord>> ClaimAsync(IReadOnlyList<string> ids, string worker, TimeSpan lease, CancellationToken cancellationToken);

    /// <summary>Prolongs the leases whose claims still stand, and answers those.</summary>
    Task<IReadOnlySet<JobClaim>> RenewAsync(IReadOnlyList<JobClaim> claims, TimeSpan lease, CancellationToken cancellationToken);

    /// <summary>Ends attempts whose claims still stand, and answers their jobs as they are now, without input and output.</summary>
    Task<IReadOnlyDictionary<JobClaim, JobRecord>> CompleteAsync(IReadOnlyList<AttemptEnd> ends, CancellationToken cancellationToken);
}
