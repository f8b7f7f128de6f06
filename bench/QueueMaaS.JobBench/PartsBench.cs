using System.Diagnostics;
using System.Globalization;
using Google.Protobuf;
using Npgsql;
using QueueMaaS.Bench;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using StackExchange.Redis;

namespace QueueMaaS.JobBench;

/// <summary>What one job costs in each part: processor time of an API process, a worker, a notifier and the servers, and bytes in each store. Jobs of one row to a small network.</summary>
internal sealed class PartsBench : IDisposable
{
    private const int Callers = 64;
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-bench-").FullName;
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromMinutes(1) };
    private readonly string _postgreSql;
    private readonly ServiceProcess _api;
    private readonly ServiceProcess _worker;
    private readonly ServiceProcess _notifier;
    private readonly string _job = $$$"""{"kind":"inference","input":{"model":"mlp","inputs":[{"name":"x","shape":[1,784],"datatype":"FP32","data":[{{{string.Join(',', Enumerable.Repeat("0.5", 784))}}}]}]}}""";

    private PartsBench(string postgreSql)
    {
        _postgreSql = postgreSql;
        var settings = new Dictionary<string, string>
        {
            ["Storage:PostgreSql"] = postgreSql,
            ["Storage:DataFolder"] = _folder,
            ["Storage:MigrateAtStart"] = "true",
            ["Logging:LogLevel:Default"] = "Critical",
            ["Logging:LogLevel:Microsoft"] = "Critical",
            ["Logging:LogLevel:MassTransit"] = "None",
        };
        _api = new ServiceProcess("api", settings);
        _worker = new ServiceProcess("inference", settings);
        _notifier = new ServiceProcess("notify", settings);
    }

    public static async Task RunAsync(int jobs)
    {
        using var bench = new PartsBench(await Service.CreateDatabaseAsync());
        await bench._api.WaitUntilReadyAsync();
        bench._http.BaseAddress = new Uri(bench._api.Url);
        await new QueueMaaSClient(bench._http).UploadModelAsync("mlp", new MemoryStream(BenchGraphs.Mlp().ToByteArray()), CancellationToken.None);
        var ended = await bench.RunAsync(jobs, 0);
        for (var round = 0; round < 3; round++)
            ended = await bench.MeasureAsync(jobs, ended);
    }

    public void Dispose()
    {
        foreach (var process in (ServiceProcess[])[_api, _worker, _notifier])
            process.Dispose();
        _http.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<long> MeasureAsync(int jobs, long ended)
    {
        var before = await BytesAsync();
        var processor = new ProcessorTime(("API process", _api.Id), ("worker", _worker.Id), ("notifier", _notifier.Id));
        var clock = Stopwatch.StartNew();
        ended = await RunAsync(jobs, ended);
        var seconds = clock.Elapsed.TotalSeconds;
        var times = processor.Microseconds(jobs);
        var after = await BytesAsync();
        Console.WriteLine($"{jobs / seconds:n0} jobs/s from the first submission to the last result\n| part | µs of a core a job | jobs/s of one core |\n| --- | --- | --- |");
        foreach (var (name, microseconds) in times)
            Console.WriteLine($"| {name} | {microseconds:n0} | {(microseconds < 1 ? "" : $"{1e6 / microseconds:n0}")} |");
        Console.WriteLine("| store | bytes a job |\n| --- | --- |");
        foreach (var (name, bytes) in after)
            Console.WriteLine($"| {name} | {(bytes - before[name]) / jobs:n0} |");
        return ended;
    }

    /// <summary>Submits jobs and waits until all have ended; answers how many that are in all.</summary>
    private async Task<long> RunAsync(int jobs, long ended)
    {
        await Turns.RateAsync(jobs, Callers, async _ =>
        {
            using var response = await HttpJobs.PostAsync(_http, _job);
        });
        await using var source = NpgsqlDataSource.Create(_postgreSql);
        while (await NumberAsync(source, "SELECT count(*) FROM jobs WHERE state = 'Succeeded'") < ended + jobs)
            await Task.Delay(100);
        return ended + jobs;
    }

    private async Task<Dictionary<string, long>> BytesAsync()
    {
        await using var source = NpgsqlDataSource.Create(_postgreSql);
        var redis = await ConnectionMultiplexer.ConnectAsync(Environment.GetEnvironmentVariable("Storage__Redis")! + ",allowAdmin=true");
        var memory = (await redis.GetServers()[0].InfoAsync("memory")).SelectMany(group => group).First(pair => pair.Key == "used_memory").Value;
        await redis.CloseAsync();
        return new Dictionary<string, long>
        {
            ["PostgreSQL, `jobs` with its indexes"] = await NumberAsync(source, "SELECT pg_total_relation_size('jobs')"),
            ["PostgreSQL, `job_events` with its indexes"] = await NumberAsync(source, "SELECT pg_total_relation_size('job_events')"),
            ["PostgreSQL, write-ahead log"] = await NumberAsync(source, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"),
            ["Redis (results kept for a while)"] = long.Parse(memory, CultureInfo.InvariantCulture),
            ["artifacts"] = new DirectoryInfo(_folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length),
        };
    }

    private static async Task<long> NumberAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
