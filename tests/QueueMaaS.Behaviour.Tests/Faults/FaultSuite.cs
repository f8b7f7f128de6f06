using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Npgsql;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Faults;

/// <summary>
/// Jobs under faults, counted. In short within the other tests; in full by <c>./test.sh faults</c>. QUEUEMAAS_FAULTS, _FAULT_JOBS and _FAULT_SEED change how many
/// and which; the seed of a run is printed, so that it can be run again.
/// </summary>
[Collection("faults")]
public sealed class FaultSuite
{
    private const int FaultsBetweenCalms = 10;
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(90);

    [Fact]
    public async Task Nothing_is_lost_doubled_or_stuck()
    {
        var faults = Setting("QUEUEMAAS_FAULTS", 22);
        var jobs = Setting("QUEUEMAAS_FAULT_JOBS", 600);
        var seed = Setting("QUEUEMAAS_FAULT_SEED", Environment.TickCount & 0xFFFF);
        var random = new Random(seed);
        Console.WriteLine($"fault suite: seed {seed}, {faults} faults, {jobs} jobs");
        await using var webhooks = new WebhookReceiver();
        await webhooks.StartAsync();
        await using var cluster = await FaultCluster.StartAsync(webhooks.Secret);
        using var http = new HttpClient { BaseAddress = new Uri(cluster.Url("api-1")) };
        await new QueueMaaSClient(http).UploadModelAsync("double", new MemoryStream(TestModels.Double()), TestContext.Current.CancellationToken);
        await using var load = new FaultLoad(cluster, webhooks);
        var kinds = new FaultKinds(cluster, webhooks, random);
        var recovery = TimeSpan.Zero;
        var stuck = 0;
        for (var fault = 0; fault < faults;)
        {
            var submissions = new List<Task>();
            for (var i = 0; i < FaultsBetweenCalms && fault < faults; i++, fault++)
            {
                submissions.Add(load.SubmitAsync((jobs * (fault + 1) / faults) - (jobs * fault / faults)));
                await Task.Delay(random.Next(0, 200));
                var (name, happens) = Choose(kinds, random, fault < kinds.All.Count ? fault : null);
                Console.WriteLine($"fault {fault + 1}: {name}");
                await happens();
            }

            var back = Stopwatch.StartNew();
            await Task.WhenAll(submissions);
            stuck = await WaitForCalmAsync(cluster, load, back);
            recovery = back.Elapsed > recovery ? back.Elapsed : recovery;
            Console.WriteLine($"calm {back.Elapsed.TotalSeconds:0.0} s after the last fault's end; {load.Accepted.Count} accepted, {stuck} stuck");
            if (stuck > 0)
                break;
        }

        var count = await CountAsync(cluster, load, webhooks);
        var line = $"fault suite: {load.Accepted.Count} jobs, {faults} faults, {count.Lost} lost, {count.Doubled} doubled, {stuck} stuck, {count.WebhooksMissing} webhooks missing, {load.Refused} refused honestly, "
            + $"{load.Dishonest.Count} otherwise, longest recovery {recovery.TotalSeconds:0.0} s (seed {seed})";
        Console.WriteLine(line);
        if (Environment.GetEnvironmentVariable("QUEUEMAAS_FAULT_REPORT") is { Length: > 0 } report)
            await File.AppendAllTextAsync(report, line + Environment.NewLine);
        (count.Lost, count.Doubled, stuck, count.WebhooksMissing).ShouldBe((0, 0, 0, 0), line);
        load.Dishonest.ShouldBeEmpty();
        // In full the machine is the suite's own, and the promise is 30 s; beside other work only the counts are held.
        recovery.ShouldBeLessThanOrEqualTo(TimeSpan.FromSeconds(Setting("QUEUEMAAS_FAULT_RECOVERY", (int)Longest.TotalSeconds)));
    }

    /// <summary>Each fault once, then by weight.</summary>
    private static (string Name, Func<Task> Do) Choose(FaultKinds kinds, Random random, int? next)
    {
        var all = kinds.All;
        if (next is { } index)
            return (all[index].Name, all[index].Do);
        var place = random.Next(all.Sum(kind => kind.Weight));
        foreach (var kind in all)
        {
            if ((place -= kind.Weight) < 0)
                return (kind.Name, kind.Do);
        }

        throw new UnreachableException();
    }

    /// <summary>Waits until every accepted job has ended; answers how many have not when the time is over.</summary>
    private static async Task<int> WaitForCalmAsync(FaultCluster cluster, FaultLoad load, Stopwatch since)
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

    private static async Task<(int Lost, int Doubled, int WebhooksMissing)> CountAsync(FaultCluster cluster, FaultLoad load, WebhookReceiver webhooks)
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

    private static int Setting(string name, int otherwise) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
}
