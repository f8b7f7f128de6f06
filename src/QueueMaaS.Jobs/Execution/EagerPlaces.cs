namespace QueueMaaS.Jobs.Execution;

/// <summary>
/// How many jobs may be under way that started where they were accepted: so few, by their predicted computing, that they are soon done, and what is more goes to all workers by
/// the queue; and no more than memory has room for. Whoever may wait for a place waits a moment, in order of coming.
/// </summary>
internal sealed class EagerPlaces(Func<bool> mayStart, TimeProvider time)
{
    /// <summary>Most jobs, however short they are.</summary>
    public const int MostJobs = 1024;

    /// <summary>Most seconds of computing; one alone may be longer. As much as a pack of pointers takes to one worker.</summary>
    public const double MostSeconds = 0.05;

    /// <summary>Most characters of their inputs, which are in memory until they end; one alone may be longer.</summary>
    public const long MostChars = 64 * 1024 * 1024;

    // Longer than a full process takes for what it has under way, as long as it is not overloaded.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(250);

    // Where a wait was in vain more jobs come than go: they belong in the table, where their order can still change.
    private static readonly TimeSpan AfterVain = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private readonly LinkedList<Waiter> _waiting = [];
    private int _jobs;
    private double _seconds;
    private long _chars;
    private long _vainAt;
    private bool _isClosed;

    /// <summary>Jobs that have a place.</summary>
    public int Jobs => Volatile.Read(ref _jobs);

    /// <summary>Takes a place for a job.</summary>
    /// <param name="size">What it is predicted to take.</param>
    /// <param name="waits">Whether to wait a moment where there is no place now.</param>
    /// <returns>False: the job goes by the queue.</returns>
    public ValueTask<bool> TakeAsync(EagerSize size, bool waits)
    {
        Waiter waiter;
        lock (_gate)
        {
            if (_waiting.Count == 0 && Fits(size))
            {
                Enter(size);
                return new(true);
            }

            if (!waits || _isClosed || (_vainAt != 0 && time.GetElapsedTime(_vainAt) < AfterVain))
                return new(false);
            waiter = new Waiter(size);
            _waiting.AddLast(waiter.Node);
        }

        return new(WaitAsync(waiter));
    }

    /// <summary>The job has ended, or was not started after all.</summary>
    public void Leave(EagerSize size)
    {
        lock (_gate)
        {
            _jobs--;
            _chars -= size.Chars;
            // What is left of adding and taking away must not add up.
            _seconds = _jobs == 0 ? 0 : _seconds - size.Seconds;
        }

        Look();
    }

    /// <summary>Gives places to those that wait, as far as there are some.</summary>
    public void Look()
    {
        lock (_gate)
        {
            while (_waiting.First is { Value: var first } && Fits(first.Size))
            {
                Enter(first.Size);
                Answer(first, true);
            }
        }
    }

    /// <summary>From now on nobody gets a place.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _isClosed = true;
            while (_waiting.First is { Value: var first })
                Answer(first, false);
        }
    }

    private async Task<bool> WaitAsync(Waiter waiter)
    {
        await using var limit = time.CreateTimer(
            _ =>
            {
                lock (_gate)
                {
                    if (waiter.Node.List is null)
                        return;
                    _vainAt = time.GetTimestamp();
                    Answer(waiter, false);
                }
            },
            null, Patience, Timeout.InfiniteTimeSpan);
        return await waiter.Answer.Task;
    }

    private bool Fits(EagerSize size) =>
        !_isClosed && (_jobs == 0 || (_jobs < MostJobs && _seconds + size.Seconds <= MostSeconds && _chars + size.Chars <= MostChars)) && mayStart();

    private void Enter(EagerSize size)
    {
        _jobs++;
        _seconds += size.Seconds;
        _chars += size.Chars;
    }

    private void Answer(Waiter waiter, bool answer)
    {
        _waiting.Remove(waiter.Node);
        waiter.Answer.TrySetResult(answer);
    }

    private sealed class Waiter
    {
        public Waiter(EagerSize size)
        {
            Size = size;
            Node = new(this);
        }

        public EagerSize Size { get; }

        public LinkedListNode<Waiter> Node { get; }

        public TaskCompletionSource<bool> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>What a job that starts where it is accepted takes while it runs.</summary>
/// <param name="Seconds">Of computing, as predicted.</param>
/// <param name="Chars">Of its input, in memory.</param>
internal readonly record struct EagerSize(double Seconds, long Chars);
