using System.Diagnostics;
using Npgsql;

namespace QueueMaaS.JobBench;

/// <summary>What finished jobs, kept in the table with their histories, cost those that come after them.</summary>
internal static class RowsBench
{
    private const int Turn = 7;
    private const int Step = 500_000;

    public static async Task RunAsync(int rows)
    {
        await using var empty = await JobTable.StartAsync();
        await using var full = await JobTable.StartAsync();
        var clock = Stopwatch.StartNew();
        await FillAsync(full.PostgreSql, rows);
        Console.WriteLine($"{rows:n0} finished jobs with {3L * rows:n0} events written in {clock.Elapsed.TotalSeconds:n0} s: {await SizeAsync(full.PostgreSql, "jobs") / rows:n0} bytes a job in `jobs` and {await SizeAsync(full.PostgreSql, "job_events") / rows:n0} in `job_events`, indexes included");
        var random = new Random(1);
        full.ToPoll = () => Id(random.Next(1, rows + 1));

        Console.WriteLine($"| | empty table, µs a job | {rows:n0} finished jobs, µs a job | ratio |\n| --- | --- | --- | --- |");
        foreach (var (name, measure) in JobTable.Measures)
        {
            // The time of one is the inverse of the rate.
            var (few, many) = await Turns.MediansAsync(Turn, async () => 1e6 / await measure(empty), async () => 1e6 / await measure(full));
            Console.WriteLine($"| {name} | {few:n0} | {many:n0} | {many / few:0.00} |");
        }
    }

    /// <summary>Ids in the order of time with an end by chance, as the service's own are.</summary>
    private static string Id(int number) => $"0190{number:x8}-0000-7000-8000-{(uint)(number * 2654435761):x8}0000";

    private static async Task FillAsync(string postgreSql, int rows)
    {
        await using var source = NpgsqlDataSource.Create(postgreSql);
        for (var from = 1; from <= rows; from += Step)
        {
            var to = Math.Min(rows, from + Step - 1);
            await RunAsync(
                $$"""
                WITH numbers AS (
                    SELECT n, '0190' || lpad(to_hex(n), 8, '0') || '-0000-7000-8000-' || lpad(to_hex((n * 2654435761) & 4294967295), 8, '0') || '0000' AS id,
                        now() - interval '1 day' * (1 - n::float8 / {{rows}}) AS at
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

        // What is there was published long ago, and the planner knows the table, as in a service that has grown to it.
        await RunAsync("UPDATE event_relay SET position = (SELECT coalesce(max(row_id), 0) FROM job_events)");
        await RunAsync("VACUUM ANALYZE jobs");
        await RunAsync("VACUUM ANALYZE job_events");
        await RunAsync("CHECKPOINT");
        Console.Error.WriteLine();

        async Task RunAsync(string sql)
        {
            await using var command = source.CreateCommand(sql);
            command.CommandTimeout = 3600;
            await command.ExecuteNonQueryAsync();
        }
    }

    private static async Task<long> SizeAsync(string postgreSql, string table)
    {
        await using var source = NpgsqlDataSource.Create(postgreSql);
        await using var command = source.CreateCommand($"SELECT pg_total_relation_size('{table}')");
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
