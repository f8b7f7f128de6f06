using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Jobs.Leasing;

/// <summary>Renews the leases of everything this process is running, together, at a third of their length; stops work whose claim no longer stands.</summary>
public sealed partial class LeaseKeeper(
    IJobStore store, IJobSignals signals, IOptions<JobOptions> options, TimeProvider time, ILogger<LeaseKeeper> logger) : BackgroundService
{
    private readonly ConcurrentDictionary<string, Held> _held = new();

    public TimeSpan LeaseOf(JobKind kind) => kind == JobKind.Training ? options.Value.TrainingLease : options.Value.Lease;

    /// <summary>Jobs running in this process.</summary>
    public int Count => _held.Count;

    /// <summary>Keeps the lease of a claimed job until the answer is disposed. Its token is cancelled when the claim is lost.</summary>
    public KeptLease Keep(JobRecord job)
    {
        var held = Hold(job);
        _held[job.Id] = held;
        return Kept(job, held);
    }

    /// <summary>The same, unless this process has a claim on the job already.</summary>
    public KeptLease? TryKeep(JobRecord job)
    {
        var held = Hold(job);
        return _held.TryAdd(job.Id, held) ? Kept(job, held) : null;
    }

    private Held Hold(JobRecord job) => new(job.Claim, LeaseOf(job.Kind), new CancellationTokenSource(), time.GetTimestamp());

    private KeptLease Kept(JobRecord job, Held held) => new(
        () =>
        {
            _held.TryRemove(new KeyValuePair<string, Held>(job.Id, held));
            held.Lost.Dispose();
        },
        () => held.Ending = true,
        held.Lost.Token);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var subscription = signals.Subscribe(OnSignal);
        var shortest = options.Value.Lease < options.Value.TrainingLease ? options.Value.Lease : options.Value.TrainingLease;
        using var timer = new PeriodicTimer(shortest / 3, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            foreach (var group in _held.Values.GroupBy(held => held.Lease))
                await RenewAsync([.. group], group.Key, stoppingToken);
        }
    }

    private async Task RenewAsync(IReadOnlyList<Held> group, TimeSpan lease, CancellationToken stoppingToken)
    {
        try
        {
            var standing = await store.RenewAsync([.. group.Select(held => held.Claim)], lease, stoppingToken);
            foreach (var held in group)
            {
                if (standing.Contains(held.Claim))
                    held.RenewedAt = time.GetTimestamp();
                else if (!held.Ending)
                    Lose(held, "another worker took it over, or it was cancelled or paused");
            }
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            LogRenewalFailed(logger, group.Count, exception.Message);
            // Not renewed for a whole lease: by now another worker may be running it, so this one must stop.
            foreach (var held in group.Where(held => time.GetElapsedTime(held.RenewedAt) > lease))
                Lose(held, "its lease could not be renewed in time");
        }
    }

    private void OnSignal(JobChange change)
    {
        if (change.State is JobState.Cancelled or JobState.Paused && _held.TryGetValue(change.Id, out var held))
            Lose(held, change.State == JobState.Cancelled ? "it was cancelled" : "it was paused");
    }

    private void Lose(Held held, string reason)
    {
        if (!_held.TryRemove(new KeyValuePair<string, Held>(held.Claim.Id, held)))
            return;
        LogLost(logger, held.Claim.Id, reason);
        try
        {
            held.Lost.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The work ended in this very moment: there is nothing left to stop.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Stopped working on job {JobId}: {Reason}")]
    private static partial void LogLost(ILogger logger, string jobId, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not renew the leases of {Count} jobs ({Reason})")]
    private static partial void LogRenewalFailed(ILogger logger, int count, string reason);

    private sealed class Held(JobClaim claim, TimeSpan lease, CancellationTokenSource lost, long renewedAt)
    {
        public JobClaim Claim { get; } = claim;
        public TimeSpan Lease { get; } = lease;
        public CancellationTokenSource Lost { get; } = lost;
        public long RenewedAt { get; set; } = renewedAt;

        /// <summary>Its end is being stored: that it runs no more is no sign of another worker, and the store refuses a stale end itself.</summary>
        public bool Ending { get; set; }
    }
}

/// <summary>A lease that is being renewed.</summary>
public sealed class KeptLease(Action release, Action ending, CancellationToken lost) : IDisposable
{
    /// <summary>Cancelled when the claim no longer stands: stop, and write nothing more.</summary>
    public CancellationToken Lost { get; } = lost;

    /// <summary>The work is done and its end is about to be stored. The lease is still renewed.</summary>
    public void End() => ending();

    public void Dispose() => release();
}
