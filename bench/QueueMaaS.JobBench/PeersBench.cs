using System.Diagnostics;
using System.Globalization;
using StackExchange.Redis;

namespace QueueMaaS.JobBench;

/// <summary>Jobs that do nothing, end to end: here, in Hangfire on the same PostgreSQL, and in Celery on the same RabbitMQ and Redis, in turn.</summary>
internal static class PeersBench
{
    private const int Turn = 3;
    private const int Callers = 2048;

    public static async Task RunAsync(int jobs)
    {
        await using var service = await Service.StartAsync(NoOp.Install);
        await using var load = await BusLoad.ConnectAsync(service.RabbitMq);
        using var hangfire = new HangfirePeer(service.PostgreSql);
        // Until the runtime has compiled what is used most; about the same time for both.
        await load.RunAsync(3 * jobs, Callers, NoOp.Body);
        await hangfire.RunAsync(jobs / 5);
        var (ours, theirs, celery) = (new List<double>(), new List<double>(), new List<double>());
        for (var turn = 0; turn < Turn; turn++)
        {
            var (seconds, _) = await load.RunAsync(jobs, Callers, NoOp.Body);
            ours.Add(jobs / seconds);
            theirs.Add(await hangfire.RunAsync(jobs / 5));
            celery.Add(await CeleryAsync(service.RabbitMq, jobs / 5));
            Console.WriteLine($"turn {turn + 1}: {ours[^1]:n0} jobs/s here, Hangfire {theirs[^1]:n0}, Celery {celery[^1]:n0}");
        }

        var (a, b, c) = (Turns.Percentile(ours, 0.5), Turns.Percentile(theirs, 0.5), Turns.Percentile(celery, 0.5));
        Console.WriteLine($"| no-op jobs/s end to end, medians of {Turn} turns | jobs/s | ratio |\n| --- | --- | --- |\n| QueueMaaS | {a:n0} | |\n| Hangfire on PostgreSQL | {b:n0} | {a / b:0.0} |\n| Celery on RabbitMQ and Redis | {c:n0} | {a / c:0.0} |");
    }

    /// <summary>Jobs a second by <c>bench/celery/nothing.sh</c>.</summary>
    private static async Task<double> CeleryAsync(string rabbitMq, int jobs)
    {
        var redis = ConfigurationOptions.Parse(Environment.GetEnvironmentVariable("Storage__Redis")!);
        var start = new ProcessStartInfo(Path.Combine(Root(), "bench", "celery", "nothing.sh"), [jobs.ToString(CultureInfo.InvariantCulture)]) { RedirectStandardOutput = true, UseShellExecute = false };
        start.Environment["RABBITMQ"] = rabbitMq;
        start.Environment["REDIS"] = $"redis://:{redis.Password}@{redis.EndPoints[0]!.ToString()!.Split('/')[^1]}/0";
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 && double.TryParse(output, CultureInfo.InvariantCulture, out var rate) ? rate : throw new InvalidOperationException($"bench/celery/nothing.sh ended with {process.ExitCode}; it needs Debian's celery and python3-redis.");
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "QueueMaaS.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("Run it from a checkout.");
        return folder.FullName;
    }
}
