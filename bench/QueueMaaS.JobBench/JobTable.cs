using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.JobBench;

/// <summary>An API process alone, so that jobs stay where they are: submitted, claimed and polled at given rates.</summary>
internal sealed class JobTable(Service service) : IAsyncDisposable
{
    private const int Jobs = 3000;
    private const int Callers = 64;
    private const int Group = 64;
    private readonly HttpClient _http = new() { BaseAddress = new Uri(service.Url) };
    private readonly ConcurrentQueue<string> _submitted = new();
    private readonly Lock _polling = new();

    /// <summary>What is measured, each in calls a second.</summary>
    public static IReadOnlyList<(string Name, Func<JobTable, Task<double>> Measure)> Measures { get; } =
    [
        ($"submit by HTTP, {Callers} callers", static table => table.SubmitAsync()),
        ($"claim, {Group} at a time", static table => table.ClaimAsync()),
        ($"poll by HTTP, {Callers} callers, from the table", static table => table.PollAsync()),
        ("list the newest 50 of a state by HTTP", static table => table.ListAsync()),
    ];

    public string PostgreSql => service.PostgreSql;

    /// <summary>The next job to ask for. Default: those submitted here.</summary>
    public Func<string> ToPoll { get; set; } = () => throw new InvalidOperationException("Nothing to poll.");

    public static async Task<JobTable> StartAsync()
    {
        // Without Redis, which would answer for what was asked before.
        var table = new JobTable(await Service.StartAsync(NoOp.Install, [.. Service.ApiAlone, "--Storage:Redis="]));
        await table.SubmitAsync();
        var ids = table._submitted.ToArray();
        var next = 0;
        table.ToPoll = () => ids[(uint)Interlocked.Increment(ref next) % ids.Length];
        return table;
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await service.DisposeAsync();
    }

    private Task<double> SubmitAsync() => Turns.RateAsync(Jobs, Callers, async _ =>
    {
        using var response = await HttpJobs.PostAsync(_http, NoOp.Body);
        _submitted.Enqueue((await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString()!);
    });

    /// <summary>Claims jobs that were submitted before, outside the time that counts, and ends them again, so that none is left.</summary>
    private async Task<double> ClaimAsync()
    {
        while (_submitted.Count < Jobs)
            await SubmitAsync();
        var groups = Enumerable.Range(0, Jobs / Group).Select(_ => Enumerable.Range(0, Group).Select(_ => _submitted.TryDequeue(out var id) ? id : throw new InvalidOperationException("A job is gone.")).ToArray()).ToArray();
        var store = service.Services.GetRequiredService<IJobStore>();
        var claimed = new ConcurrentBag<JobRecord>();
        var rate = await Turns.RateAsync(groups.Length, 4, async turn =>
        {
            foreach (var job in await store.ClaimAsync(groups[turn], "bench", TimeSpan.FromMinutes(5), CancellationToken.None))
                claimed.Add(job);
        });
        foreach (var ends in claimed.Select(job => new AttemptEnd(job, JobState.Succeeded) { Worker = "bench", Output = """{"done":true}""" }).Chunk(512))
            await store.CompleteAsync(ends, CancellationToken.None);
        return claimed.Count == groups.Length * Group ? rate * Group : throw new InvalidOperationException($"{claimed.Count} of {groups.Length * Group} jobs were claimed.");
    }

    private Task<double> ListAsync() => Turns.RateAsync(200, 4, async _ =>
    {
        using var response = await _http.GetAsync("v1/jobs?state=succeeded&limit=50");
        await response.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync();
    });

    private Task<double> PollAsync() => Turns.RateAsync(Jobs, Callers, async _ =>
    {
        string id;
        lock (_polling)
            id = ToPoll();
        using var response = await _http.GetAsync($"v1/jobs/{id}");
        await response.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync();
    });
}
