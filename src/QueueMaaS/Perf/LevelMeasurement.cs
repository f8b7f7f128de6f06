using System.Collections.Concurrent;
using System.Diagnostics;

namespace QueueMaaS.Perf;

/// <summary>How one request went.</summary>
/// <param name="Error">A code where it failed.</param>
/// <param name="Batch">Rows computed together with it; 0 where that is not known.</param>
internal readonly record struct Outcome(string? Error, int Batch);

/// <summary>Something that requests can be sent to.</summary>
internal interface ILoadTarget : IAsyncDisposable
{
    /// <summary>Sends one request and waits for its answer. Failures of the request are told in the outcome.</summary>
    Task<Outcome> SendAsync(CancellationToken cancellationToken);
}

/// <summary>What a level of load gave.</summary>
internal sealed record LevelResult(double Level, double PerSecond, double P50, double P90, double P95, double P99, double MeanBatch, long Requests, long Failed, bool Stable, string? FirstError);

/// <summary>Puts one level of load on a target until three windows in a row agree.</summary>
internal sealed class LevelMeasurement(ILoadTarget target, PerfSettings settings)
{
    // Beyond it the target is so far behind that what is measured is this process' own queue.
    private const int MostOutstanding = 20_000;
    private readonly ConcurrentQueue<(double Milliseconds, Outcome Outcome)> _done = new();

    public async Task<LevelResult> RunAsync(double level, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var load = settings.IsRate ? ArriveAsync(level, stop.Token) : CallAsync((int)level, stop.Token);
        var windows = new List<Window>();
        try
        {
            // The first window warms up connections, code and model, and does not count.
            await Task.Delay(settings.Window / 2, cancellationToken);
            _done.Clear();
            while (windows.Count < settings.MaxWindows && !AreStable(windows))
                windows.Add(await MeasureAsync(load, cancellationToken));
        }
        finally
        {
            await stop.CancelAsync();
            await load.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return Summarise(level, windows);
    }

    private async Task<Window> MeasureAsync(Task load, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        await Task.WhenAny(load, Task.Delay(settings.Window, cancellationToken));
        cancellationToken.ThrowIfCancellationRequested();
        if (load.IsFaulted)
            await load;
        var took = clock.Elapsed;
        var own = new List<(double Milliseconds, Outcome Outcome)>();
        while (_done.TryDequeue(out var one))
            own.Add(one);
        return new(own, took);
    }

    private Task CallAsync(int callers, CancellationToken stop) => Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(async () =>
    {
        while (!stop.IsCancellationRequested)
            await SendAsync(Stopwatch.GetTimestamp(), stop);
    }, stop)));

    /// <summary>Requests are due at random moments; their latency counts from then, so that a target that stalls is not spared the requests that it kept from being sent.</summary>
    private async Task ArriveAsync(double rate, CancellationToken stop)
    {
        var random = new Random(1);
        var outstanding = 0;
        for (var due = (double)Stopwatch.GetTimestamp(); !stop.IsCancellationRequested; due += -Math.Log(1 - random.NextDouble()) / rate * Stopwatch.Frequency)
        {
            while (Stopwatch.GetTimestamp() < due || Volatile.Read(ref outstanding) >= MostOutstanding)
                await Task.Delay(1, stop);
            Interlocked.Increment(ref outstanding);
            // This process' own timer is a millisecond or two late, which is no fault of the target; what is later than that is.
            var now = Stopwatch.GetTimestamp();
            var from = now - due <= 0.002 * Stopwatch.Frequency ? now : (long)due;
            _ = Task.Run(async () =>
            {
                await SendAsync(from, stop);
                Interlocked.Decrement(ref outstanding);
            }, stop);
        }
    }

    private async Task SendAsync(long from, CancellationToken stop)
    {
        try
        {
            var outcome = await target.SendAsync(stop);
            _done.Enqueue((Stopwatch.GetElapsedTime(from).TotalMilliseconds, outcome));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The level is over; what was under way does not count.
            return;
        }
    }

    private bool AreStable(List<Window> windows)
    {
        if (windows.Count < 3)
            return false;
        var last = windows.TakeLast(3).ToArray();
        return Agree(last.Select(window => window.PerSecond)) && Agree(last.Select(window => window.At(0.5)));
    }

    private bool Agree(IEnumerable<double> values)
    {
        var all = values.ToArray();
        var mean = all.Average();
        return mean > 0 && all.All(value => Math.Abs(value - mean) <= mean * settings.Stability);
    }

    private LevelResult Summarise(double level, List<Window> windows)
    {
        var last = new Window([.. windows.TakeLast(3).SelectMany(window => window.Done)], TimeSpan.FromSeconds(windows.TakeLast(3).Sum(window => window.Took.TotalSeconds)));
        var batches = last.Done.Where(one => one.Outcome is { Error: null, Batch: > 0 }).ToArray();
        return new(
            level, last.PerSecond, last.At(0.5), last.At(0.9), last.At(0.95), last.At(0.99),
            batches.Length == 0 ? 0 : batches.Length / batches.Sum(one => 1.0 / one.Outcome.Batch),
            last.Done.Count, last.Done.Count(one => one.Outcome.Error is not null), AreStable(windows), last.Done.Select(one => one.Outcome.Error).FirstOrDefault(error => error is not null));
    }

    /// <summary>Requests answered within a time.</summary>
    private sealed record Window(IReadOnlyList<(double Milliseconds, Outcome Outcome)> Done, TimeSpan Took)
    {
        private readonly double[] _sorted = [.. Done.Where(one => one.Outcome.Error is null).Select(one => one.Milliseconds).Order()];

        public double PerSecond => _sorted.Length / Took.TotalSeconds;

        public double At(double share) => _sorted.Length == 0 ? 0 : _sorted[Math.Min(_sorted.Length - 1, (int)(_sorted.Length * share))];
    }
}
