using Npgsql;

namespace QueueMaaS.JobBench;

/// <summary>What finished jobs, kept in the table with their histories, cost those that come after them, as their number grows by tens.</summary>
internal static class GrowthBench
{
    private const int Turn = 5;
    private const int First = 1000;

    public static async Task RunAsync(int most)
    {
        await using var empty = await JobTable.StartAsync();
        await using var full = await JobTable.StartAsync();
        var random = new Random(1);
        var kept = 0;
        Console.WriteLine($"| finished jobs kept | bytes a job in `jobs` | in `job_events` | {string.Join(" | ", JobTable.Measures.Select(measure => $"{measure.Name}: µs, ratio to an empty table"))} | filled, rows/s |\n| --- | --- | --- | {string.Concat(JobTable.Measures.Select(_ => "--- | "))}--- |");
        for (var rows = First; rows <= most; rows *= 10)
        {
            var speed = await FinishedJobs.FillAsync(full.PostgreSql, kept + 1, rows);
            kept = rows;
            full.ToPoll = () => FinishedJobs.Id(random.Next(1, kept + 1));
            var (jobs, events) = (await FinishedJobs.SizeAsync(full.PostgreSql, "jobs"), await FinishedJobs.SizeAsync(full.PostgreSql, "job_events"));
            var cells = new List<string>();
            foreach (var (_, measure) in JobTable.Measures)
            {
                // The time of one is the inverse of the rate.
                var (few, many) = await Turns.MediansAsync(Turn, async () => 1e6 / await measure(empty), async () => 1e6 / await measure(full));
                cells.Add($"{many:n0}, {many / few:0.00}");
            }

            // What the measures themselves add stands in the sizes of few rows.
            Console.WriteLine($"| {rows:n0} | {jobs / rows:n0} | {events / rows:n0} | {string.Join(" | ", cells)} | {speed:n0} |");
        }
    }
}

/// <summary>Jobs that have succeeded, written straight into the tables as the service would have left them.</summary>
internal static class FinishedJobs
{
    private const int Step = 500_000;

    /// <summary>Ids in the order of time with an end by chance, as the service's own are.</summary>
    public static string Id(int number) => $"0190{number:x8}-0000-7000-8000-{(uint)(number * 2654435761):x8}0000";

    /// <summary>Writes those from <paramref name="first"/> to <paramref name="last"/>; answers how many in a second.</summary>
    public static async Task<double> FillAsync(string postgreSql, int first, int last)
    {
        await using var source = NpgsqlDataSource.Create(postgreSql);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        for (var from = first; from <= last; from += Step)
        {
            var to = Math.Min(last, from + Step - 1);
            await RunAsync(
                $$"""
                WITH numbers AS (
                    SELECT n, '0190' || lpad(to_hex(n), 8, '0') || '-0000-7000-8000-' || lpad(to_hex((n * 2654435761) & 4294967295), 8, '0') || '0000' AS id,
                        now() - interval '30 days' + n * interval '10 milliseconds' AS at
                    FROM generate_series({{from}}::bigint, {{to}}::bigint) n
                ), made AS (
                    INSERT INTO jobs (id, tenant, kind, state, sequence, attempt, fence, max_attempts, priority, model, input, request_hash, created_at, due_at, started_at, finished_at, dispatches,
                        output, webhook_on_start, webhook_on_completed, webhook_on_progress, has_dependents, batch_divisor)
                    SELECT id, 'default', 'Inference', 'Succeeded', 3, 1, 1, 3, 5, 'no-op', '{"model":"no-op"}', md5(id) || md5(id), at, at, at, at, 0, '{"done":true}', false, false, false, false, 1
                    FROM numbers ORDER BY n
                )
                INSERT INTO job_events (job_id, sequence, type, at, attempt, by, silent)
                SELECT id, s, (ARRAY['queued', 'running', 'succeeded'])[s], at, 1, 'worker', false FROM numbers, generate_series(1, 3) s ORDER BY n, s
                """);
            Console.Error.Write($"\r{to:n0} rows ");
        }

        var speed = (last - first + 1) / clock.Elapsed.TotalSeconds;
        // What is there was published long ago, and the planner knows the table, as in a service that has grown to it.
        await RunAsync("UPDATE event_relay SET position = (SELECT coalesce(max(row_id), 0) FROM job_events)");
        await RunAsync("VACUUM ANALYZE jobs");
        await RunAsync("VACUUM ANALYZE job_events");
        await RunAsync("CHECKPOINT");
        Console.Error.WriteLine();
        return speed;

        async Task RunAsync(string sql)
        {
            await using var command = source.CreateCommand(sql);
            command.CommandTimeout = 3600;
            await command.ExecuteNonQueryAsync();
        }
    }

    /// <summary>Bytes of a table with its indexes.</summary>
    public static async Task<long> SizeAsync(string postgreSql, string table)
    {
        await using var source = NpgsqlDataSource.Create(postgreSql);
        await using var command = source.CreateCommand($"SELECT pg_total_relation_size('{table}')");
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
