using Npgsql;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Storage.Database.Pipeline;

/// <summary>Reads rows of the jobs table, in the order of <see cref="All"/>.</summary>
internal static class JobColumns
{
    public const string All =
        "id, tenant, kind, state, sequence, attempt, fence, max_attempts, priority, model, input, request_hash, idempotency_key, parent_id, created_at, due_at, run_at, deadline, "
        + "started_at, finished_at, lease_owner, lease_until, dispatched_at, dispatches, progress, output, error, tags, webhook_url, webhook_secret, webhook_on_start, "
        + "webhook_on_completed, webhook_on_progress, trace_parent, unique_key, unique_states, group_id, has_dependents, batch_divisor, rules";

    public static JobRecord Read(NpgsqlDataReader row) => new()
    {
        Id = row.GetString(0),
        Tenant = row.GetString(1),
        Kind = Enum.Parse<JobKind>(row.GetString(2)),
        State = Enum.Parse<JobState>(row.GetString(3)),
        Sequence = row.GetInt64(4),
        Attempt = row.GetInt32(5),
        Fence = row.GetInt64(6),
        MaxAttempts = row.GetInt32(7),
        Priority = row.GetInt32(8),
        Model = Text(row, 9),
        Input = row.GetString(10),
        RequestHash = row.GetString(11),
        IdempotencyKey = Text(row, 12),
        ParentId = Text(row, 13),
        CreatedAt = Time(row, 14)!.Value,
        DueAt = Time(row, 15)!.Value,
        RunAt = Time(row, 16),
        Deadline = Time(row, 17),
        StartedAt = Time(row, 18),
        FinishedAt = Time(row, 19),
        LeaseOwner = Text(row, 20),
        LeaseUntil = Time(row, 21),
        DispatchedAt = Time(row, 22),
        Dispatches = row.GetInt32(23),
        Progress = Text(row, 24),
        Output = Text(row, 25),
        Error = Text(row, 26),
        Tags = Text(row, 27),
        WebhookUrl = Text(row, 28),
        WebhookSecret = Text(row, 29),
        WebhookOnStart = row.GetBoolean(30),
        WebhookOnCompleted = row.GetBoolean(31),
        WebhookOnProgress = row.GetBoolean(32),
        TraceParent = Text(row, 33),
        UniqueKey = Text(row, 34),
        UniqueStates = Text(row, 35),
        GroupId = Text(row, 36),
        HasDependents = row.GetBoolean(37),
        BatchDivisor = row.GetInt32(38),
        Rules = Text(row, 39),
    };

    private static string? Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private static DateTimeOffset? Time(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetFieldValue<DateTimeOffset>(column);
}
