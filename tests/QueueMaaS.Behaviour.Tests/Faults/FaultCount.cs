using System.Diagnostics;
using System.Text.Json;
using Npgsql;
using QueueMaaS.Behaviour.Tests.Setup;

namespace QueueMaaS.Behaviour.Tests.Faults;

/// <summary>Looks, in the database and at the webhooks' receiver, what has become of the accepted jobs.</summary>
internal sealed class FaultCount(FaultCluster cluster, FaultLoad load, WebhookReceiver webhooks)
{
    /// <summary>How long a job or a webhook may take after a fault before it counts as stuck or missing.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(90);

    /// <summary>Waits until every accepted job has ended; answers how many have not when the time is over.</summary>
    public async Task<int> WaitForCalmAsync(Stopwatch since)
    {
        while (true)
        {
            var left = load.Accepted.Count;
            try
            {
                await using var command = cluster.Database.CreateCommand("SELECT count(*) FROM jobs WHERE id LIKE 'fault-%' AND state IN ('Succeeded', 'Failed', 'Cancelled', 'Expired')");
                left -= (int)(long)(await command.ExecuteScalarAsync())!;
                if (left == 0)
                    return 0;
            }
            catch (NpgsqlException)
            {
                // Connections that a fault has killed are found out one by one.
            }

            if (since.Elapsed > Longest)
                return left;
            await Task.Delay(100);
        }
    }

    /// <summary>Jobs without their right result, jobs with two ends or a wrong one, and webhooks that did not come.</summary>
    public async Task<(int Lost, int Doubled, int WebhooksMissing)> CountAsync()
    {
        var right = 0;
        var wrong = 0;
        await using (var command = cluster.Database.CreateCommand("SELECT id, output FROM jobs WHERE id LIKE 'fault-%' AND state = 'Succeeded'"))
        await using (var rows = await command.ExecuteReaderAsync())
        {
            while (await rows.ReadAsync())
            {
                if (!load.Accepted.TryGetValue(rows.GetString(0), out var number))
                    continue;
                var value = JsonElement.Parse(rows.GetString(1)).GetProperty("outputs")[0].GetProperty("data")[0].GetSingle();
                right += value == 2f * number ? 1 : 0;
                wrong += value == 2f * number ? 0 : 1;
            }
        }

        await using var doubled = cluster.Database.CreateCommand("SELECT count(*) FROM (SELECT job_id FROM job_events WHERE type IN ('succeeded', 'failed') GROUP BY job_id HAVING count(*) > 1) d");
        var twice = (int)(long)(await doubled.ExecuteScalarAsync())!;
        var missing = load.WithWebhook.Keys.ToHashSet(StringComparer.Ordinal);
        var waited = Stopwatch.StartNew();
        while (missing.Count > 0 && waited.Elapsed < Longest)
        {
            while (webhooks.TryTake(FaultLoad.WebhookPath) is { } received)
                missing.Remove(JsonElement.Parse(received.Body).GetProperty("data").GetProperty("jobId").GetString()!);
            await Task.Delay(100);
        }

        return (load.Accepted.Count - right, twice + wrong, missing.Count);
    }
}
