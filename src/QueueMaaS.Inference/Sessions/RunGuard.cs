using System.Diagnostics;
using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Sessions;

/// <summary>
/// Counts the runs of a model that took longer than they may, such as a Loop that never ends, or ended the process that they ran in, and after several of them in a row refuses the model's requests for a while at once:
/// each would hold its instance, and a place of the worker, for as long again. Shared by the model's sessions.
/// </summary>
public sealed class RunGuard
{
    /// <summary>So many in a row, over all instances, and the model rests.</summary>
    public const int MostInARow = 3;

    /// <summary>How long it rests.</summary>
    public static readonly TimeSpan Rest = TimeSpan.FromMinutes(5);

    private int _inARow;
    private long _restsSince;
    private bool _endedProcess;

    /// <summary>Makes a guard.</summary>
    /// <param name="limit">The longest that one run may take.</param>
    public RunGuard(TimeSpan limit) => Limit = limit;

    /// <summary>The longest that one run may take.</summary>
    public TimeSpan Limit { get; }

    /// <summary>Lets a run begin.</summary>
    /// <exception cref="ProblemException"><c>model_resting</c>.</exception>
    public void Enter()
    {
        if (Volatile.Read(ref _restsSince) is var since and not 0 && Stopwatch.GetElapsedTime(since) is var rested && rested < Rest)
        {
            var left = Rest - rested;
            var why = _endedProcess
                ? "ended the process that it ran in. Does it need more memory than there is?"
                : $"took longer than Inference:RunTimeout ({Limit.TotalSeconds:0.###} s) and were stopped. Does it loop without an end?";
            // Whoever comes now did nothing wrong.
            throw new ProblemException(ProblemCodes.ModelResting, $"The model is not computed for the next {Math.Ceiling(left.TotalSeconds):0} s: its last {MostInARow} runs each {why}", ("retryAfterSeconds", Math.Ceiling(left.TotalSeconds))) { IsTransient = true };
        }
    }

    /// <summary>A run came to its end by itself.</summary>
    public void Ended()
    {
        if (Volatile.Read(ref _inARow) != 0)
            Volatile.Write(ref _inARow, 0);
    }

    /// <summary>A run was stopped.</summary>
    public ProblemException Stopped()
    {
        Count(endedProcess: false);
        return new ProblemException(
            ProblemCodes.ModelRunTimeout, $"The model's computation took longer than Inference:RunTimeout ({Limit.TotalSeconds:0.###} s) and was stopped. Send fewer rows at a time; if it never ends, the model loops without an end.");
    }

    /// <summary>A run ended its process.</summary>
    /// <param name="counts">False where several requests ran together: only one of them need be at fault, and the others are computed again.</param>
    public ProblemException ProcessEnded(bool counts)
    {
        if (counts)
            Count(endedProcess: true);
        return new ProblemException(
            ProblemCodes.ModelProcessEnded, "The model's computation ended the process that it ran in. It probably took more memory than there is: send fewer rows at a time, set a smaller `batching.maxBatchSize`, or allow more (Inference:ModelMemoryBytes).");
    }

    private void Count(bool endedProcess)
    {
        if (Interlocked.Increment(ref _inARow) < MostInARow)
            return;
        _endedProcess = endedProcess;
        Volatile.Write(ref _inARow, 0);
        Volatile.Write(ref _restsSince, Stopwatch.GetTimestamp());
    }
}

/// <summary>Watches the runs of one session, one at a time.</summary>
internal sealed class RunWatch : IDisposable
{
    private readonly Lock _watch = new();
    private readonly Timer _timer;
    private TimeSpan _limit;
    private Action? _stop;
    private long _started;
    private bool _stopped;

    public RunWatch() => _timer = new Timer(static watch => ((RunWatch)watch!).OnTime(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    public void Begin(TimeSpan limit, Action stop)
    {
        lock (_watch)
            (_limit, _stop, _started, _stopped) = (limit, stop, Stopwatch.GetTimestamp(), false);
        _timer.Change(limit, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Ends the watch, after which nothing is stopped any more; says whether the run was.</summary>
    public bool End()
    {
        _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        lock (_watch)
        {
            _stop = null;
            return _stopped;
        }
    }

    public void Dispose() => _timer.Dispose();

    private void OnTime()
    {
        lock (_watch)
        {
            // The time of a run before may have come while this one began.
            if (_stop is null || Stopwatch.GetElapsedTime(_started) < _limit - TimeSpan.FromMilliseconds(20))
                return;
            _stopped = true;
            _stop();
        }
    }
}
