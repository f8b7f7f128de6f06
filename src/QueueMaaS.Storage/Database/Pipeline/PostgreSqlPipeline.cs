using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Tenants;

namespace QueueMaaS.Storage.Database.Pipeline;

/// <summary>The four changes by one statement each (<see cref="PostgreSqlStatements"/>), prepared once for a connection.</summary>
internal sealed class PostgreSqlPipeline(NpgsqlDataSource source, TenantLimits limits, IOptions<JobOptions> options, TimeProvider time) : IJobPipeline
{
    private const int MaxTries = 8;

    public Task<IReadOnlyList<AcceptOutcome>> AcceptAsync(IReadOnlyList<JobRecord> jobs, CancellationToken cancellationToken) =>
        RetryAsync((again, token) => TryAcceptAsync(jobs, again, token), cancellationToken);

    public Task<IReadOnlyList<JobRecord>> ClaimAsync(IReadOnlyList<string> ids, string worker, TimeSpan lease, CancellationToken cancellationToken) =>
        RetryAsync(
            async (_, token) =>
            {
                var now = time.GetUtcNow();
                var (limited, others) = limits.Running;
                var isLimited = limited.Count > 0 || others is not null;
                await using var connection = await source.OpenConnectionAsync(token);
                await using var transaction = isLimited ? await connection.BeginTransactionAsync(token) : null;
                if (transaction is not null)
                {
                    await using var turn = new NpgsqlCommand(PostgreSqlStatements.LockLimits, connection);
                    await turn.ExecuteNonQueryAsync(token);
                }

                await using var command = new NpgsqlCommand(isLimited ? PostgreSqlStatements.ClaimWithinLimits : PostgreSqlStatements.Claim, connection);
                Add(command, ids.ToArray());
                Add(command, now);
                Add(command, worker);
                Add(command, lease);
                if (isLimited)
                {
                    Add(command, limited.Keys.ToArray());
                    Add(command, limited.Values.ToArray());
                    Add(command, others, NpgsqlDbType.Integer);
                    Add(command, (long)options.Value.AgePerPriority.TotalMilliseconds);
                }

                var claimed = await ReadAsync(command, JobColumns.Read, token);
                if (transaction is not null)
                    await transaction.CommitAsync(token);
                return claimed;
            },
            cancellationToken);

    public Task<IReadOnlySet<JobClaim>> RenewAsync(IReadOnlyList<JobClaim> claims, TimeSpan lease, CancellationToken cancellationToken) =>
        RetryAsync<IReadOnlySet<JobClaim>>(
            async (_, token) =>
            {
                await using var command = source.CreateCommand(PostgreSqlStatements.Renew);
                Add(command, claims.Select(claim => claim.Id).ToArray());
                Add(command, claims.Select(claim => claim.Fence).ToArray());
                Add(command, lease);
                return (await ReadAsync(command, row => new JobClaim(row.GetString(0), row.GetInt64(1)), token)).ToHashSet();
            },
            cancellationToken);

    public Task<IReadOnlyDictionary<JobClaim, JobRecord>> CompleteAsync(IReadOnlyList<AttemptEnd> ends, CancellationToken cancellationToken) =>
        RetryAsync<IReadOnlyDictionary<JobClaim, JobRecord>>(
            async (_, token) =>
            {
                await using var command = source.CreateCommand(PostgreSqlStatements.Complete);
                Add(command, ends.Select(end => end.Claim.Id).ToArray());
                Add(command, ends.Select(end => end.Claim.Fence).ToArray());
                Add(command, ends.Select(end => end.State.ToString()).ToArray());
                Add(command, ends.Select(end => end.Output).ToArray());
                Add(command, ends.Select(end => Json.WriteOrNull(end.Error)).ToArray());
                Add(command, ends.Select(end => end.RetryAt).ToArray(), NpgsqlDbType.Array | NpgsqlDbType.TimestampTz);
                Add(command, ends.Select(end => end.Worker).ToArray());
                Add(command, ends.Select(end => end.Reason).ToArray());
                Add(command, ends.Select(end => end.BatchDivisor).ToArray(), NpgsqlDbType.Array | NpgsqlDbType.Integer);
                Add(command, time.GetUtcNow());
                return (await ReadAsync(command, ReadEnded, token)).ToDictionary(job => job.Claim);
            },
            cancellationToken);

    private async Task<IReadOnlyList<AcceptOutcome>> TryAcceptAsync(IReadOnlyList<JobRecord> jobs, bool again, CancellationToken cancellationToken)
    {
        var first = FirstOfEach(jobs);
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        var taken = await InsertAsync(connection, first, cancellationToken);
        var outcomes = new AcceptOutcome[jobs.Count];
        var rest = new List<int>();
        for (var i = 0; i < jobs.Count; i++)
        {
            var isNew = taken.Remove(jobs[i].Id, out var sequence);
            if (!isNew)
                rest.Add(i);
            // Its kind is paused.
            else if (sequence == 1 && jobs[i].State == JobState.Running)
                jobs[i].Queue();
            jobs[i].Sequence = jobs[i].State == JobState.Running ? 2 : 1;
            if (isNew)
                outcomes[i] = new AcceptOutcome(jobs[i], AcceptKind.New);
        }

        if (rest.Count == 0)
            return outcomes;
        var known = await FindKnownAsync(connection, [.. rest.Select(i => jobs[i])], cancellationToken);
        foreach (var i in rest)
            outcomes[i] = known.Judge(jobs[i], again) ?? throw new NpgsqlException($"Job {jobs[i].Id} met one that is gone again; the database is asked once more.", new TimeoutException());
        return outcomes;
    }

    /// <summary>Of several jobs of the group with one id, the first: PostgreSQL would tell for neither which of them it took.</summary>
    private static List<JobRecord> FirstOfEach(IReadOnlyList<JobRecord> jobs)
    {
        var seen = new HashSet<string>(jobs.Count, StringComparer.Ordinal);
        return [.. jobs.Where(job => seen.Add(job.Id))];
    }

    /// <summary>Answers those that were inserted, each with the number of its latest event.</summary>
    private static async Task<Dictionary<string, long>> InsertAsync(NpgsqlConnection connection, List<JobRecord> jobs, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(PostgreSqlStatements.Accept, connection);
        Add(command, jobs.ConvertAll(job => job.Id).ToArray());
        Add(command, jobs.ConvertAll(job => job.Tenant).ToArray());
        Add(command, jobs.ConvertAll(job => job.Kind.ToString()).ToArray());
        Add(command, jobs.ConvertAll(job => (job.State == JobState.Running ? JobState.Queued : job.State).ToString()).ToArray());
        Add(command, jobs.ConvertAll(job => job.MaxAttempts).ToArray());
        Add(command, jobs.ConvertAll(job => job.Priority).ToArray());
        Add(command, jobs.ConvertAll(job => job.Model).ToArray());
        Add(command, jobs.ConvertAll(job => job.Input).ToArray());
        Add(command, jobs.ConvertAll(job => job.RequestHash).ToArray());
        Add(command, jobs.ConvertAll(job => job.IdempotencyKey).ToArray());
        Add(command, jobs.ConvertAll(job => job.ParentId).ToArray());
        Add(command, jobs.ConvertAll(job => job.CreatedAt).ToArray());
        Add(command, jobs.ConvertAll(job => job.DueAt).ToArray());
        Add(command, jobs.ConvertAll(job => job.RunAt).ToArray(), NpgsqlDbType.Array | NpgsqlDbType.TimestampTz);
        Add(command, jobs.ConvertAll(job => job.Deadline).ToArray(), NpgsqlDbType.Array | NpgsqlDbType.TimestampTz);
        Add(command, jobs.ConvertAll(job => job.Tags).ToArray());
        Add(command, jobs.ConvertAll(job => job.WebhookUrl).ToArray());
        Add(command, jobs.ConvertAll(job => job.WebhookSecret).ToArray());
        Add(command, jobs.ConvertAll(job => job.WebhookOnStart).ToArray());
        Add(command, jobs.ConvertAll(job => job.WebhookOnCompleted).ToArray());
        Add(command, jobs.ConvertAll(job => job.WebhookOnProgress).ToArray());
        Add(command, jobs.ConvertAll(job => job.TraceParent).ToArray());
        Add(command, jobs.ConvertAll(job => job.UniqueKey).ToArray());
        Add(command, jobs.ConvertAll(job => job.UniqueStates).ToArray());
        Add(command, jobs.ConvertAll(job => job.GroupId).ToArray());
        Add(command, jobs.ConvertAll(job => job.Rules).ToArray());
        Add(command, jobs.ConvertAll(job => job.LeaseOwner).ToArray());
        Add(command, jobs.ConvertAll(job => job.StartedAt).ToArray(), NpgsqlDbType.Array | NpgsqlDbType.TimestampTz);
        Add(command, jobs.ConvertAll(job => job.LeaseUntil - job.StartedAt).ToArray(), NpgsqlDbType.Array | NpgsqlDbType.Interval);
        return (await ReadAsync(command, row => KeyValuePair.Create(row.GetString(0), row.GetInt64(1)), cancellationToken)).ToDictionary(StringComparer.Ordinal);
    }

    private static async Task<KnownJobs> FindKnownAsync(NpgsqlConnection connection, List<JobRecord> jobs, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(PostgreSqlStatements.Known, connection);
        Add(command, jobs.ConvertAll(job => job.Id).ToArray());
        Add(command, jobs.Where(job => job.IdempotencyKey is not null).Select(job => job.IdempotencyKey!).ToArray());
        Add(command, jobs.Where(job => job.UniqueKey is not null).Select(job => job.UniqueKey!).ToArray());
        return new KnownJobs(await ReadAsync(command, JobColumns.Read, cancellationToken));
    }

    private static JobRecord ReadEnded(NpgsqlDataReader row) => new()
    {
        Id = row.GetString(0),
        Fence = row.GetInt64(1),
        Tenant = row.GetString(2),
        Kind = Enum.Parse<JobKind>(row.GetString(3)),
        State = Enum.Parse<JobState>(row.GetString(4)),
        Sequence = row.GetInt64(5),
        Attempt = row.GetInt32(6),
        Priority = row.GetInt32(7),
        Model = row.IsDBNull(8) ? null : row.GetString(8),
        ParentId = row.IsDBNull(9) ? null : row.GetString(9),
        CreatedAt = row.GetFieldValue<DateTimeOffset>(10),
        DueAt = row.GetFieldValue<DateTimeOffset>(11),
        StartedAt = row.IsDBNull(12) ? null : row.GetFieldValue<DateTimeOffset>(12),
        FinishedAt = row.IsDBNull(13) ? null : row.GetFieldValue<DateTimeOffset>(13),
        Error = row.IsDBNull(14) ? null : row.GetString(14),
        GroupId = row.IsDBNull(15) ? null : row.GetString(15),
        HasDependents = row.GetBoolean(16),
        MaxAttempts = row.GetInt32(17),
        BatchDivisor = row.GetInt32(18),
        Input = "",
        RequestHash = "",
    };

    private static void Add<T>(NpgsqlCommand command, T value) => command.Parameters.Add(new NpgsqlParameter<T> { TypedValue = value });

    private static void Add<T>(NpgsqlCommand command, T value, NpgsqlDbType type) => command.Parameters.Add(new NpgsqlParameter<T> { TypedValue = value, NpgsqlDbType = type });

    private static async Task<IReadOnlyList<T>> ReadAsync<T>(NpgsqlCommand command, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken)
    {
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        var found = new List<T>();
        while (await rows.ReadAsync(cancellationToken))
            found.Add(read(rows));
        return found;
    }

    /// <summary>Runs a statement again where the database was away for a moment or asks for it. Each is safe to repeat: what it did before, it finds done.</summary>
    private async Task<T> RetryAsync<T>(Func<bool, CancellationToken, Task<T>> run, CancellationToken cancellationToken)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                return await run(tries > 1, cancellationToken);
            }
            catch (NpgsqlException exception) when (exception.IsTransient && tries < MaxTries)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.Next(10, 50) * (1 << tries)), time, cancellationToken);
            }
        }
    }
}
