using System.Collections.Concurrent;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Tenants;

namespace QueueMaaS.Jobs.Submission;

/// <summary>Refuses what a tenant submits beyond its rate or quota. Tenants without limits pass at no cost.</summary>
public sealed class Admission(TenantLimits limits, IJobStore store, TimeProvider time)
{
    // How stale the count of waiting jobs may be; what this process admits meanwhile is added to it.
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<string, Bucket> _buckets = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Waiting> _waiting = new(StringComparer.Ordinal);

    /// <param name="tenant">Who submits.</param>
    /// <param name="count">How many jobs at once. Where they are more than may come at once, they may come when nothing else did, and what comes after them waits the longer.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="ProblemException"><c>rate_limited</c> or <c>quota_exceeded</c>, with how long to wait in <c>details.retryAfterSeconds</c>.</exception>
    public async Task CheckAsync(string tenant, int count, CancellationToken cancellationToken)
    {
        var options = limits.Of(tenant);
        if (options.SubmissionsPerSecond is { } rate)
        {
            var wait = _buckets.GetOrAdd(tenant, _ => new Bucket(options.Burst ?? Math.Max(1, rate), time.GetTimestamp())).Take(count, rate, options.Burst ?? Math.Max(1, rate), time);
            if (wait > TimeSpan.Zero)
                throw Refused(ProblemCodes.RateLimited, $"Tenant `{tenant}` may submit {rate:0.##} jobs a second. Try again in {Seconds(wait)} s.", Seconds(wait));
        }

        if (options.MaxWaiting is { } most && await CountAsync(tenant, count, most, cancellationToken) > most)
            throw Refused(ProblemCodes.QuotaExceeded, count > most ? $"Tenant `{tenant}` may have {most} jobs waiting; {count} at once are more than that. Submit fewer." : $"Tenant `{tenant}` has {most} jobs waiting, as many as it may, or nearly so. Try again when some have been done.", 5);
    }

    private async Task<int> CountAsync(string tenant, int count, int most, CancellationToken cancellationToken)
    {
        var waiting = _waiting.GetOrAdd(tenant, _ => new Waiting());
        if (waiting.CountedAt == 0 || time.GetElapsedTime(waiting.CountedAt) > Fresh)
        {
            waiting.CountedAt = time.GetTimestamp();
            Interlocked.Exchange(ref waiting.Count, await store.CountWaitingAsync(tenant, most + 1, cancellationToken));
        }

        return Interlocked.Add(ref waiting.Count, count);
    }

    private static int Seconds(TimeSpan wait) => (int)Math.Ceiling(wait.TotalSeconds);

    private static ProblemException Refused(string code, string message, int seconds) => new(Problem.Create(code, message, ("retryAfterSeconds", seconds))) { IsTransient = true };

    private sealed class Waiting
    {
        public int Count;

        public long CountedAt { get; set; }
    }

    /// <summary>A token bucket.</summary>
    private sealed class Bucket(double tokens, long at)
    {
        private readonly Lock _lock = new();
        private double _tokens = tokens;
        private long _at = at;

        /// <summary>Zero where a token was there, else how long it takes until one is.</summary>
        public TimeSpan Take(int count, double rate, double burst, TimeProvider time)
        {
            lock (_lock)
            {
                _tokens = Math.Min(burst, _tokens + (time.GetElapsedTime(_at).TotalSeconds * rate));
                _at = time.GetTimestamp();
                var needed = Math.Min(count, burst);
                if (_tokens < needed)
                    return TimeSpan.FromSeconds((needed - _tokens) / rate);
                _tokens -= count;
                return TimeSpan.Zero;
            }
        }
    }
}
