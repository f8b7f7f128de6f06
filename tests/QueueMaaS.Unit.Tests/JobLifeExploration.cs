using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Tenants;
using QueueMaaS.Storage;
using QueueMaaS.Storage.Database;

namespace QueueMaaS.Unit.Tests;

/// <summary>
/// Every order in which two workers, the sweeper and a person can act on one job, up to a depth, over the real store on SQLite with a clock that stands still
/// between the steps. Orders that lead to a state seen before are not followed twice.
/// </summary>
internal sealed class JobLifeExploration : IAsyncDisposable
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(10);
    private static readonly string[] Steps = ["A claims", "B claims", "A renews", "B renews", "A succeeds", "B succeeds", "A fails for now", "B fails for now", "A hands back", "time passes", "a person cancels", "a person requeues", "A is taken for dead"];
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-explore-").FullName;
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly ServiceProvider _services;
    private readonly bool _withFence;
    private readonly bool _isEager;

    /// <param name="withFence">False puts the bug in: ends are written whatever their fence, as if the fence were not compared.</param>
    /// <param name="isEager">The job is accepted as started by A.</param>
    public JobLifeExploration(bool withFence, bool isEager = false)
    {
        _withFence = withFence;
        _isEager = isEager;
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddSingleton<TimeProvider>(_time);
        services.AddOptions<TenantsOptions>();
        services.AddSingleton(typeof(Jobs.Settings.CurrentOptions<>));
        services.AddSingleton<TenantLimits>();
        services.AddSingleton<DispatchInbox>();
        services.AddQueueMaaSStorage(new StorageOptions { DataFolder = _folder });
        _services = services.BuildServiceProvider();
    }

    private IJobStore Store => _services.GetRequiredService<IJobStore>();

    /// <summary>Explores, and answers how many states there were and the first order of steps that broke a promise.</summary>
    public async Task<(int States, string? Broken)> RunAsync(int depth)
    {
        await using (var context = await _services.GetRequiredService<IDbContextFactory<QueueMaaSDbContext>>().CreateDbContextAsync())
            await context.Database.MigrateAsync();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var paths = new Queue<int[]>([[]]);
        while (paths.TryDequeue(out var path))
        {
            for (var step = 0; step < Steps.Length; step++)
            {
                int[] longer = [.. path, step];
                var (state, broken) = await ReplayAsync(longer);
                if (broken is not null)
                    return (seen.Count, $"{string.Join(", ", longer.Select(i => Steps[i]))}: {broken}");
                if (seen.Add(state) && longer.Length < depth)
                    paths.Enqueue(longer);
            }
        }

        return (seen.Count, null);
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<(string State, string? Broken)> ReplayAsync(int[] path)
    {
        await using (var context = await _services.GetRequiredService<IDbContextFactory<QueueMaaSDbContext>>().CreateDbContextAsync())
        {
            await context.Events.ExecuteDeleteAsync();
            await context.Jobs.ExecuteDeleteAsync();
        }

        var now = _time.GetUtcNow();
        var given = new JobRecord { Id = "job", Tenant = "t", Kind = JobKind.Inference, State = JobState.Queued, MaxAttempts = 3, Input = "{}", RequestHash = "h", CreatedAt = now, DueAt = now };
        if (_isEager)
            (given.State, given.Attempt, given.Fence, given.StartedAt, given.LeaseOwner, given.LeaseUntil) = (JobState.Running, 1, 1, now, "A", now + Lease);
        var accepted = (await Store.AcceptAsync([given], default))[0].Job;
        var run = new Run();
        if (_isEager)
            run.Held[0] = accepted;
        string? broken = null;
        foreach (var step in path)
            broken ??= await StepAsync(run, step);
        var job = (await Store.FindAsync("t", "job", default))!;
        broken ??= await CheckAsync(run, job);
        var state = $"{job.State} {job.Attempt} {job.Fence} {job.Output} {(job.LeaseUntil is { } until ? (until - _time.GetUtcNow()).TotalSeconds : -1)} A{run.Held[0]?.Fence} B{run.Held[1]?.Fence} {run.Results}";
        return (state, broken);
    }

    private async Task<string?> StepAsync(Run run, int step)
    {
        var before = (await Store.FindAsync("t", "job", default))!;
        var worker = step % 2;
        switch (step)
        {
            case 0 or 1:
                if (await Store.ClaimAsync(["job"], worker == 0 ? "A" : "B", Lease, default) is [var claimed])
                    run.Held[worker] = claimed;
                break;
            case 2 or 3 when run.Held[worker] is { } held:
                var standing = await Store.RenewAsync([held.Claim], Lease, default);
                if (standing.Count > 0 && held.Fence != before.Fence)
                    return "a lease that was taken over was renewed";
                break;
            case 4 or 5:
                return await EndAsync(run, worker, JobState.Succeeded, before);
            case 6 or 7:
                return await EndAsync(run, worker, JobState.Retrying, before);
            case 8:
                return await EndAsync(run, 0, JobState.Queued, before);
            case 9:
                _time.Advance(Lease + TimeSpan.FromSeconds(1));
                await Store.SweepAsync([], default);
                break;
            case 10:
                await Store.CancelAsync("t", "job", "person", default);
                break;
            case 11:
                await Store.RequeueAsync("t", "job", "person", default);
                break;
            case 12:
                await Store.SweepAsync(["A"], default);
                break;
        }

        return null;
    }

    private async Task<string?> EndAsync(Run run, int worker, JobState state, JobRecord before)
    {
        if (run.Held[worker] is not { } held)
            return null;
        var written = held.Copy();
        if (!_withFence)
            written.Fence = before.Fence;
        var end = new AttemptEnd(written, state) { Output = state == JobState.Succeeded ? $"\"{worker}\"" : null, RetryAt = state == JobState.Retrying ? _time.GetUtcNow() : null, Worker = worker == 0 ? "A" : "B" };
        var taken = (await Store.CompleteAsync([end], default))[0];
        run.Held[worker] = null;
        if (taken && held.Fence != before.Fence)
            return $"worker {(worker == 0 ? "A" : "B")} wrote `{state}` after its lease was taken over";
        if (taken && state == JobState.Succeeded)
            run.Results++;
        return null;
    }

    private async Task<string?> CheckAsync(Run run, JobRecord job)
    {
        var events = await Store.EventsAsync("job", 0, 100, default);
        if (run.Results > 1)
            return "the job has two results";
        if (job.Sequence != events.Count || events.Where((e, i) => e.Sequence != i + 1).Any())
            return "the history has a gap";
        if ((job.State == JobState.Running) != (job.LeaseUntil is not null))
            return "a lease without a running job, or the other way round";
        return job.State == JobState.Succeeded && job.Output is null ? "a result is lost" : null;
    }

    private sealed class Run
    {
        public JobRecord?[] Held { get; } = new JobRecord?[2];

        public int Results { get; set; }
    }
}
