using System.Diagnostics;
using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Batching;

/// <summary>
/// Collects concurrent requests to one model version into batches. Pull-based: an instance that is idle takes the best batch there is, so an idle system adds no wait and a busy one batches by itself.
/// <see cref="BatchQueue"/> decides; this class brings it threads, time and callers.
/// </summary>
public sealed class DynamicBatcher : IAsyncDisposable
{
    /// <summary>Below it, nobody waits for the answer: batch jobs, and what callers say is not urgent.</summary>
    internal const int UsualPriority = 5;

    private static readonly TimeSpan StandBack = TimeSpan.FromMilliseconds(500);

    private readonly Lock _gate = new();
    private readonly BatcherSettings _settings;
    private readonly TimeProvider _time;
    private readonly InferenceMetrics _metrics;
    private readonly BatchQueue _queue;
    private readonly Stack<BatchWorker> _idle = new();
    private readonly BatchWorker[] _workers;
    private readonly BatchCosts _costs = new();
    private readonly BatchStatistics _statistics;
    private readonly LatencyTuner? _tuner;
    private readonly OrderedAnswers? _order;
    private readonly Action<IThreadPoolWorkItem> _schedule;
    private readonly ITimer _timer;
    private readonly long _started;
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TimeSpan _armedFor = TimeSpan.MaxValue;
    private TimeSpan? _usualAt;
    private bool _closing;
    private volatile bool _single;

    /// <summary>Starts with all <paramref name="instances"/> idle; it disposes of them at its end.</summary>
    public DynamicBatcher(BatcherSettings settings, IReadOnlyList<IModelInstance> instances, TimeProvider time, InferenceMetrics metrics)
        : this(settings, instances, time, metrics, static worker => ThreadPool.UnsafeQueueUserWorkItem(worker, preferLocal: false))
    {
    }

    /// <summary>The same with a scheduler of one's own, so that a test can run the workers in every order.</summary>
    internal DynamicBatcher(BatcherSettings settings, IReadOnlyList<IModelInstance> instances, TimeProvider time, InferenceMetrics metrics, Action<IThreadPoolWorkItem> schedule)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(instances);
        ArgumentNullException.ThrowIfNull(time);
        ArgumentNullException.ThrowIfNull(metrics);
        ArgumentOutOfRangeException.ThrowIfZero(instances.Count, nameof(instances));
        _settings = settings;
        _time = time;
        _metrics = metrics;
        _schedule = schedule;
        _single = settings.Single;
        _queue = new(settings.Limits);
        _tuner = settings.LatencyTarget is { } target ? new(target, settings.MaxBatchSize) : null;
        _order = settings.PreserveOrdering ? new() : null;
        _started = time.GetTimestamp();
        _timer = time.CreateTimer(static batcher => ((DynamicBatcher)batcher!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _workers = instances.Select(i => new BatchWorker(this, i)).ToArray();
        foreach (var worker in _workers)
            _idle.Push(worker);
        _statistics = metrics.StatisticsOf(settings.Model, settings.Version);
        metrics.Track(this);
    }

    /// <summary>True where requests are computed one by one, because the settings say so or because the model's outputs turned out not to have one row for each input row.</summary>
    public bool IsSingle => _single;

    internal InferenceMetrics Metrics => _metrics;

    /// <summary>Rows queued now.</summary>
    public int QueuedRows
    {
        get
        {
            lock (_gate)
                return _queue.Rows;
        }
    }

    internal bool RejectsNonFinite => _settings.RejectNonFinite;

    internal long MaxAnswerBytes => _settings.MaxAnswerBytes;

    internal void Schedule(BatchWorker worker) => _schedule(worker);

    internal TagList Tags() => new()
    {
        { "model", _settings.Model },
        { "version", _settings.Version },
    };

    internal TagList Tags(string reason) => new()
    {
        { "model", _settings.Model },
        { "version", _settings.Version },
        { "reason", reason },
    };

    /// <summary>How the batcher stands now.</summary>
    internal BatcherState State
    {
        get
        {
            lock (_gate)
                return new(_queue.Rows, _queue.Bytes, _queue.Count, _queue.Limits.MaxBatchSize, _queue.Limits.MaxQueueDelay, _costs.Overall);
        }
    }

    /// <summary>When a request of this kind would be computed if it came now; null while too few batches were measured to say.</summary>
    /// <param name="rows">Its rows.</param>
    /// <param name="lane">Its lane.</param>
    /// <param name="priority">0 to 9.</param>
    public BatchEstimate? Estimate(int rows, string lane = "", int priority = 5)
    {
        lock (_gate)
            return Estimate(rows, lane, priority, Now);
    }

    internal TimeSpan Now => _time.GetElapsedTime(_started);

    /// <summary>Computes a request, together with others where that fits. While the queue is full the task waits for room (or, with <see cref="BatcherSettings.RejectWhenFull"/>, fails).</summary>
    /// <exception cref="ProblemException">In the task: <c>model_execution_failed</c> (this request's own fault), <c>deadline_exceeded</c> (passed, or found at once to be out of reach), <c>queue_full</c> or <c>unavailable</c> (shutting down).</exception>
    /// <exception cref="OperationCanceledException">In the task: <paramref name="cancellationToken"/> was set. What has not been computed by then is not.</exception>
    public Task<BatchResponse> InferAsync(BatchRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentOutOfRangeException.ThrowIfLessThan(request.Rows, 1, nameof(request));
        if (cancellationToken.IsCancellationRequested)
            return Task.FromCanceled<BatchResponse>(cancellationToken);
        var now = Now;
        var deadline = request.Deadline is { } d ? now + (d - _time.GetUtcNow()) : now + _settings.DefaultTimeout;
        var runLate = request.RunLate ?? _settings.RunLate;
        if (deadline <= now && !runLate)
            return Refuse(Refusals.DeadlineExceeded());
        var pending = new PendingRequest(this, request, _settings.MaxBatchSize, request.Alone || _single, deadline, runLate);
        pending.Expect(cancellationToken);
        BatchWorker? next;
        lock (_gate)
        {
            if (_closing)
                return Refuse(Refusals.ShuttingDown());
            if (!runLate && deadline is { } by && MissedBy(by, request, now) is { } estimate)
                return Refuse(Refusals.Unmeetable(estimate, by - now));
            if (request.Priority >= UsualPriority)
                _usualAt = now;
            for (var i = 0; i < pending.Parts.Length; i++)
            {
                // Only the first part can be refused; those behind it wait outside, or a large request could never enter.
                if (_queue.Offer(pending.Parts[i], now, _settings.RejectWhenFull && i == 0) == EntryState.Gone)
                    return Refuse(Refusals.QueueFull(_settings, _queue.Rows, _queue.Bytes));
            }

            // No worker can take a part before the lock is let go.
            if (_order is not null)
                pending.Enter(_order);

            next = NextWorker(now);
        }

        next?.Schedule();
        pending.Watch(OnCancelled);
        return pending.Task;
    }

    /// <summary>Takes no more requests, computes those it has, and disposes of the instances.</summary>
    public async ValueTask DisposeAsync()
    {
        BatchWorker? next;
        lock (_gate)
        {
            if (!_closing)
            {
                _closing = true;
                _queue.Draining = true;
            }

            SignalIfDrained();
            next = NextWorker(Now);
        }

        next?.Schedule();
        await _drained.Task;
        await _timer.DisposeAsync();
        _metrics.Forget(this);
        foreach (var worker in _workers)
            worker.Dispose();
    }

    /// <summary>A worker asks for its next batch; with null it is idle from then on.</summary>
    internal ClosedBatch? Take(BatchWorker worker)
    {
        ClosedBatch? batch;
        BatchWorker? next;
        IReadOnlyList<QueueEntry> expired;
        lock (_gate)
        {
            var now = Now;
            expired = _queue.TakeExpired(now);
            batch = _idle.Count == 0 && KeepsOneFree(now) ? null : _queue.TakeBatch(now);
            if (batch is null)
            {
                _idle.Push(worker);
                SignalIfDrained();
            }
            else
            {
                PrepareStop(batch);
                worker.ExpectedEnd = now + (_costs.Predict(batch.Entries[0].Lane, batch.Rows) ?? TimeSpan.Zero);
            }

            next = NextWorker(now);
        }

        next?.Schedule();
        Fail(expired);
        return batch;
    }

    /// <summary>A batch was computed.</summary>
    internal void Measured(string lane, string reason, int rows, TimeSpan computed)
    {
        _costs.Observe(lane, rows, computed);
        _metrics.Batch(Tags(reason), rows, computed);
        _statistics.Batch(rows, computed);
    }

    /// <summary>A request is about to be answered.</summary>
    internal void Succeeded(PendingRequest request, BatchReceipt receipt) => _statistics.Succeeded(request.Request.Rows, receipt, _time.GetUtcNow());

    /// <summary>A request is about to be told that it failed.</summary>
    internal void Failed(PendingRequest request, ProblemException problem)
    {
        _metrics.Failed(Tags(), problem.Problem.Code);
        _statistics.Failed(Now - request.Parts[0].ArrivedAt);
    }

    /// <summary>The computation of a batch begins: its requests have waited until now.</summary>
    internal void Waited(ClosedBatch batch, string reason, TimeSpan started)
    {
        if (!_metrics.RecordsQueue)
            return;
        var tags = Tags(reason);
        foreach (var entry in batch.Entries)
            _metrics.Queued(tags, started - entry.ArrivedAt);
    }

    /// <summary>A request was answered: what it took may change the batch size and the delay.</summary>
    internal void Answered(RequestPart part)
    {
        if (_tuner is null || !_costs.Tune(_tuner, Now - part.ArrivedAt))
            return;
        lock (_gate)
        {
            var lead = BatcherSettings.DeadlineLead + (_costs.Predict("", _tuner.BatchSize) ?? TimeSpan.Zero);
            _queue.Limits = _settings.Limits with { MaxBatchSize = _tuner.BatchSize, MaxQueueDelay = _tuner.Delay, DeadlineLead = lead };
        }
    }

    /// <summary>The model's outputs do not have one row for each input row: from now on it runs singly.</summary>
    internal void RunSinglyFrom(PendingRequest request)
    {
        _single = true;
        lock (_gate)
        {
            foreach (var part in request.Parts)
                _queue.Remove(part);
        }
    }

    internal void Fail(PendingRequest request, ProblemException problem)
    {
        if (!request.TryFail(problem) || request.Parts.Length == 1)
            return;
        lock (_gate)
        {
            foreach (var part in request.Parts)
                _queue.Remove(part);
        }
    }

    private void OnCancelled(object? state)
    {
        var request = (PendingRequest)state!;
        if (!request.TryCancel())
            return;
        BatchWorker? next;
        lock (_gate)
        {
            foreach (var part in request.Parts)
                _queue.Remove(part);
            SignalIfDrained();
            next = NextWorker(Now);
        }

        next?.Schedule();
        foreach (var part in request.Parts)
            part.Stop?.OneLess();
    }

    private void OnTimer()
    {
        BatchWorker? next;
        IReadOnlyList<QueueEntry> expired;
        lock (_gate)
        {
            _armedFor = TimeSpan.MaxValue;
            var now = Now;
            expired = _queue.TakeExpired(now);
            SignalIfDrained();
            next = NextWorker(now);
        }

        next?.Schedule();
        Fail(expired);
    }

    /// <summary>Under the lock: the idle worker that has something to do now, if there is one; sets the timer for what comes later.</summary>
    private BatchWorker? NextWorker(TimeSpan now)
    {
        BatchWorker? worker = null;
        if (_idle.Count > 0 && _queue.NextBatchAt() is { } at)
        {
            if (at > now)
                Arm(at, now);
            else if (_idle.Count > 1 || !KeepsOneFree(now))
                worker = _idle.Pop();
        }

        if (_queue.NextDeadline() is { } deadline)
            Arm(deadline, now);
        return worker;
    }

    /// <summary>
    /// Under the lock: whether the last idle instance is kept for requests of the usual priority. Of several instances one is, while such requests come: they would else wait for the end of a batch
    /// that nobody waits for. No timer is needed, since another instance is at work then and asks at its end.
    /// </summary>
    private bool KeepsOneFree(TimeSpan now) => _workers.Length > 1 && !_closing && _usualAt is { } at && now - at < StandBack && _queue.RowsAhead(UsualPriority) == 0;

    private void Arm(TimeSpan at, TimeSpan now)
    {
        if (at >= _armedFor)
            return;
        _armedFor = at;
        // Timers count whole milliseconds; rounded down, one would fire early and be set again and again.
        var wait = Math.Min(Math.Ceiling((at - now).TotalMilliseconds), int.MaxValue);
        _timer.Change(TimeSpan.FromMilliseconds(Math.Max(0, wait)), Timeout.InfiniteTimeSpan);
    }

    private void SignalIfDrained()
    {
        if (_closing && _queue.Count == 0 && _idle.Count == _workers.Length)
            _drained.TrySetResult();
    }

    /// <summary>A batch can be stopped where everyone who waits for it can go away.</summary>
    private static void PrepareStop(ClosedBatch batch)
    {
        foreach (var entry in batch.Entries)
        {
            if (!((RequestPart)entry).Owner.CanBeCancelled)
                return;
        }

        var stop = new BatchStop(batch.Entries.Count);
        foreach (var entry in batch.Entries)
            ((RequestPart)entry).Stop = stop;
    }

    private void Fail(IReadOnlyList<QueueEntry> expired)
    {
        foreach (var entry in expired)
            Fail(((RequestPart)entry).Owner, Refusals.DeadlineExceeded());
    }

    private Task<BatchResponse> Refuse(ProblemException problem)
    {
        _metrics.Failed(Tags(), problem.Problem.Code);
        _statistics.Failed(TimeSpan.Zero);
        return Task.FromException<BatchResponse>(problem);
    }

    /// <summary>Under the lock. Where nothing is in the way the request is tried whatever was measured before: a machine that was slow once could else never show that it is fast again.</summary>
    private BatchEstimate? MissedBy(TimeSpan deadline, BatchRequest request, TimeSpan now)
    {
        if (_idle.Count > 0 && _queue.Count == 0)
            return null;
        return Estimate(request.Rows, request.Lane, request.Priority, now) is { } estimate && now + estimate.Finish > deadline ? estimate : null;
    }

    /// <summary>Under the lock.</summary>
    private BatchEstimate? Estimate(int rows, string lane, int priority, TimeSpan now)
    {
        var most = _queue.Limits.MaxBatchSize;
        if (_costs.Predict(lane, Math.Min(rows, most)) is not { } own || _costs.Predict("", most) is not { } full)
            return null;
        var start = _idle.Count > 0 ? TimeSpan.Zero : FirstFree(now);
        start += full * (_queue.RowsAhead(priority) / most / _workers.Length);
        var parts = (rows + most - 1) / most;
        return new(start, start + own + (full * ((parts - 1) / _workers.Length)));
    }

    private TimeSpan FirstFree(TimeSpan now)
    {
        var first = TimeSpan.MaxValue;
        foreach (var worker in _workers)
            first = worker.ExpectedEnd < first ? worker.ExpectedEnd : first;
        return first > now ? first - now : TimeSpan.Zero;
    }
}
