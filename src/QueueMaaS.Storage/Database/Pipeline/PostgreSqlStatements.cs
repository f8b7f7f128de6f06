namespace QueueMaaS.Storage.Database.Pipeline;

/// <summary>
/// The statements of <see cref="PostgreSqlPipeline"/>. Each changes the jobs, writes their events and the webhook deliveries that follow, and gives the changed rows back:
/// one round trip and one commit for a whole group. Rows are locked in the order of their ids, by bytes whatever the database's collation is, so that no two
/// statements wait for each other in a circle. Rows are always found by <c>id = ANY(array)</c>: a plan that is right for an empty table and for ten million rows, so it is made once.
/// A condition on the state would let the planner, which made its plan while few jobs were queued, read all jobs of that state instead; <c>state || ''</c> is no column of an index.
/// </summary>
internal static class PostgreSqlStatements
{
    // What has a worker ($27, since $28, for $29) is stored as claimed by it, unless its kind is paused.
    public const string Accept =
        $"""
        WITH given AS (
            SELECT t.*, CASE WHEN t.kind NOT IN (SELECT kind FROM queue_pauses) THEN t.worker END AS owner
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::int[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
                $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::text[], $17::text[], $18::text[], $19::bool[], $20::bool[], $21::bool[],
                $22::text[], $23::text[], $24::text[], $25::text[], $26::text[], $27::text[], $28::timestamptz[], $29::interval[])
            AS t(id, tenant, kind, state, max_attempts, priority, model, input, request_hash, idempotency_key, parent_id, created_at, due_at, run_at, deadline, tags,
                webhook_url, webhook_secret, webhook_on_start, webhook_on_completed, webhook_on_progress, trace_parent, unique_key, unique_states, group_id, rules, worker, started_at, lease)
        ), taken AS (
            INSERT INTO jobs (id, tenant, kind, state, sequence, attempt, fence, max_attempts, priority, model, input, request_hash, idempotency_key, parent_id, created_at, due_at, run_at,
                deadline, dispatched_at, dispatches, tags, webhook_url, webhook_secret, webhook_on_start, webhook_on_completed, webhook_on_progress, trace_parent, unique_key, unique_states,
                group_id, has_dependents, batch_divisor, rules, lease_owner, started_at, lease_until)
            SELECT id, tenant, kind, CASE WHEN owner IS NULL THEN state ELSE 'Running' END, CASE WHEN owner IS NULL THEN 1 ELSE 2 END, CASE WHEN owner IS NULL THEN 0 ELSE 1 END,
                CASE WHEN owner IS NULL THEN 0 ELSE 1 END, max_attempts, priority, model, input, request_hash, idempotency_key, parent_id, created_at, due_at, run_at, deadline,
                CASE WHEN state = 'Queued' THEN created_at END, 0, tags, webhook_url, webhook_secret, webhook_on_start, webhook_on_completed, webhook_on_progress, trace_parent,
                unique_key, unique_states, group_id, false, 1, rules, owner, CASE WHEN owner IS NOT NULL THEN started_at END, CASE WHEN owner IS NOT NULL THEN clock_timestamp() + lease END
            FROM given ORDER BY id COLLATE "C"
            ON CONFLICT DO NOTHING
            RETURNING id, tenant, state, sequence, attempt, created_at, started_at, kind, parent_id, lease_owner, webhook_url, webhook_secret, webhook_on_start, trace_parent
        ), told AS (
            INSERT INTO job_events (job_id, sequence, type, at, attempt, by, silent)
            SELECT id, 1, CASE WHEN state = 'Running' THEN 'queued' ELSE lower(state) END, created_at, 0, CASE WHEN parent_id IS NULL THEN 'producer' ELSE 'worker' END, kind = 'Chunk' FROM taken
            UNION ALL
            SELECT id, 2, 'running', started_at, 1, lease_owner, kind = 'Chunk' FROM taken WHERE state = 'Running'
        ), announced AS (
            {Deliver}
            {Started}
            FROM taken c {StartedTo} WHERE c.state = 'Running'
        )
        SELECT id, sequence FROM taken
        """;

    public const string Known = $"SELECT {JobColumns.All} FROM jobs WHERE id = ANY($1) OR idempotency_key = ANY($2) OR unique_key = ANY($3)";

    // $1 ids, $2 now, $3 worker, $4 lease. Leases are told by the database's clock alone: a worker whose own clock is wrong would hold jobs for hours, or not at all.
    public const string Claim =
        $"""
        WITH free AS (
            SELECT id FROM jobs
            WHERE id = ANY($1) AND state || '' = 'Queued' AND (deadline IS NULL OR deadline > $2) AND kind NOT IN (SELECT kind FROM queue_pauses)
            ORDER BY id COLLATE "C" FOR UPDATE
        ), {Claimed}
        """;

    // As above; $5 limited tenants, $6 how many jobs of each may run, $7 how many of every other tenant, null for any number, $8 milliseconds by which a priority puts a job forward.
    // What finds no place is noted, to come when one is free.
    public const string ClaimWithinLimits =
        $"""
        WITH waiting AS (
            SELECT id FROM jobs
            WHERE id = ANY($1) AND state || '' = 'Queued' AND (deadline IS NULL OR deadline > $2) AND kind NOT IN (SELECT kind FROM queue_pauses)
            ORDER BY id COLLATE "C" FOR UPDATE
        ), limits AS (
            SELECT t.tenant, coalesce(l.most, $7) - (SELECT count(*) FROM jobs r WHERE r.state = 'Running' AND r.tenant = t.tenant AND r.kind NOT IN ('Chunk', 'Sweep')) AS room
            FROM (SELECT DISTINCT j.tenant FROM waiting w JOIN jobs j ON j.id = w.id) t LEFT JOIN unnest($5::text[], $6::int[]) AS l(tenant, most) ON l.tenant = t.tenant
        ), placed AS (
            SELECT w.id, j.tenant, j.kind, j.priority, j.due_at,
                row_number() OVER (PARTITION BY j.tenant, j.kind IN ('Chunk', 'Sweep') ORDER BY j.priority DESC, j.due_at) AS place
            FROM waiting w JOIN jobs j ON j.id = w.id
        ), free AS (
            SELECT p.id FROM placed p LEFT JOIN limits l ON l.tenant = p.tenant WHERE l.room IS NULL OR p.kind IN ('Chunk', 'Sweep') OR p.place <= l.room
        ), held AS (
            INSERT INTO held_jobs (job_id, tenant, kind, rank)
            SELECT id, tenant, kind, (extract(epoch FROM due_at) * 1000)::bigint - priority * $8 FROM placed WHERE id NOT IN (SELECT id FROM free)
            ON CONFLICT (job_id) DO NOTHING
        ), {Claimed}
        """;

    // Claims of several workers for limited tenants are taken one after the other, so that each counts what the others took.
    public const string LockLimits = "SELECT pg_advisory_xact_lock(7126305317)";

    // $1 ids, $2 fences, $3 lease
    public const string Renew =
        """
        WITH standing AS (
            SELECT j.id, j.fence FROM jobs j JOIN unnest($1::text[], $2::bigint[]) AS c(id, fence) ON c.id = j.id AND c.fence = j.fence
            WHERE j.id = ANY($1) AND j.state || '' = 'Running' ORDER BY j.id COLLATE "C" FOR UPDATE OF j
        ), renewed AS (
            UPDATE jobs SET lease_until = clock_timestamp() + $3 WHERE id = ANY(ARRAY(SELECT id FROM standing))
        )
        SELECT id, fence FROM standing
        """;

    // $1 ids, $2 fences, $3 states, $4 outputs, $5 errors, $6 retry at, $7 workers, $8 reasons, $9 batch divisors, $10 now
    public const string Complete =
        $"""
        WITH given AS (
            SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::text[], $9::int[])
            AS t(id, fence, state, output, error, retry_at, worker, reason, divisor)
        ), standing AS (
            SELECT j.id FROM jobs j JOIN given g ON g.id = j.id AND g.fence = j.fence WHERE j.id = ANY($1) AND j.state || '' = 'Running' ORDER BY j.id COLLATE "C" FOR UPDATE OF j
        ), ended AS (
            UPDATE jobs j SET
                state = g.state, sequence = j.sequence + 1, attempt = CASE WHEN g.state = 'Queued' THEN j.attempt - 1 ELSE j.attempt END,
                output = CASE WHEN g.state = 'Succeeded' THEN g.output ELSE j.output END, error = g.error,
                due_at = CASE WHEN g.state = 'Queued' THEN $10 ELSE coalesce(g.retry_at, j.due_at) END,
                finished_at = CASE WHEN g.state IN ('Succeeded', 'Failed') THEN $10 END,
                lease_owner = NULL, lease_until = NULL, dispatched_at = NULL, dispatches = 0, batch_divisor = coalesce(g.divisor, j.batch_divisor),
                unique_key = CASE WHEN position(',' || g.state || ',' IN j.unique_states) > 0 THEN j.unique_key END
            FROM given g WHERE g.id = j.id AND g.fence = j.fence AND j.id = ANY(ARRAY(SELECT id FROM standing))
            RETURNING j.id, j.tenant, j.kind, j.state, j.sequence, j.attempt, j.fence, j.priority, j.model, j.parent_id, j.created_at, j.due_at, j.started_at, j.finished_at,
                j.error, j.webhook_url, j.webhook_secret, j.webhook_on_completed, j.trace_parent, j.group_id, j.has_dependents, j.max_attempts, j.batch_divisor, g.worker, g.reason
        ), told AS (
            INSERT INTO job_events (job_id, sequence, type, at, attempt, by, reason, silent)
            SELECT id, sequence, lower(state), $10, attempt, worker, reason, kind = 'Chunk' FROM ended
        ), announced AS (
            {Deliver}
            SELECT 'msg_' || replace(gen_random_uuid()::text, '-', ''), e.tenant, e.id, 'job.completed', e.kind, e.state, e.sequence, e.attempt, e.error, t.url, t.secret,
                $10, 'Pending', 0, $10, t.endpoint, e.trace_parent
            FROM ended e CROSS JOIN LATERAL (
                SELECT e.webhook_url AS url, e.webhook_secret AS secret, NULL::text AS endpoint WHERE e.webhook_url IS NOT NULL AND e.webhook_on_completed
                UNION ALL
                SELECT w.url, NULL, w.id FROM webhook_endpoints w
                WHERE w.tenant = e.tenant AND w.disabled_at IS NULL AND e.kind <> 'Chunk' AND position(',job.completed,' IN w.events) > 0
                    AND (w.kinds IS NULL OR position(',' || e.kind || ',' IN w.kinds) > 0)
            ) t WHERE e.state IN ('Succeeded', 'Failed')
        )
        SELECT id, fence, tenant, kind, state, sequence, attempt, priority, model, parent_id, created_at, due_at, started_at, finished_at, error, group_id, has_dependents, max_attempts,
            batch_divisor FROM ended
        """;

    private const string Claimed =
        $"""
        claimed AS (
            UPDATE jobs j SET state = 'Running', sequence = sequence + 1, attempt = attempt + 1, fence = fence + 1, started_at = $2, lease_owner = $3, lease_until = clock_timestamp() + $4
            WHERE j.id = ANY(ARRAY(SELECT id FROM free)) RETURNING j.*
        ), told AS (
            INSERT INTO job_events (job_id, sequence, type, at, attempt, by, silent)
            SELECT id, sequence, 'running', $2, attempt, $3, kind = 'Chunk' FROM claimed
        ), announced AS (
            {Deliver}
            {Started}
            FROM claimed c {StartedTo}
        )
        SELECT {JobColumns.All} FROM claimed
        """;

    private const string Started =
        "SELECT 'msg_' || replace(gen_random_uuid()::text, '-', ''), c.tenant, c.id, 'job.started', c.kind, c.state, c.sequence, c.attempt, NULL, t.url, t.secret, c.started_at, 'Pending', 0, c.started_at, t.endpoint, c.trace_parent";

    // The job's own webhook, and the tenant's endpoints.
    private const string StartedTo =
        """
        CROSS JOIN LATERAL (
            SELECT c.webhook_url AS url, c.webhook_secret AS secret, NULL::text AS endpoint WHERE c.webhook_url IS NOT NULL AND c.webhook_on_start
            UNION ALL
            SELECT w.url, NULL, w.id FROM webhook_endpoints w
            WHERE w.tenant = c.tenant AND w.disabled_at IS NULL AND c.kind <> 'Chunk' AND position(',job.started,' IN w.events) > 0
                AND (w.kinds IS NULL OR position(',' || c.kind || ',' IN w.kinds) > 0)
        ) t
        """;

    private const string Deliver =
        "INSERT INTO webhook_deliveries (id, tenant, job_id, type, kind, job_state, sequence, attempt, error, url, secret, created_at, state, tries, next_try_at, endpoint_id, trace_parent)";
}
