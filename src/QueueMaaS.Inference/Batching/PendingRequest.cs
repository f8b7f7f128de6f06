using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Batching;

/// <summary>A request on its way: its parts in the queue, what they gave so far, and the caller's task.</summary>
internal sealed class PendingRequest : TaskCompletionSource<BatchResponse>
{
    private readonly DynamicBatcher _batcher;
    private readonly IReadOnlyList<TensorBuffer>[]? _outputs;
    private CancellationTokenRegistration _registration;
    private OrderedAnswers? _order;
    private LinkedListNode<Action?>? _place;
    private BatchReceipt? _receipt;
    private long _bytes;
    private int _missing;
    private bool _answeredWhole;
    private int _decided;

    public PendingRequest(DynamicBatcher batcher, BatchRequest request, int maxBatchSize, bool alone, TimeSpan? deadline, bool runLate)
        : base(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        _batcher = batcher;
        Request = request;
        var parts = alone ? 1 : (request.Rows + maxBatchSize - 1) / maxBatchSize;
        Parts = new RequestPart[parts];
        _outputs = parts > 1 ? new IReadOnlyList<TensorBuffer>[parts] : null;
        _missing = parts;
        for (var i = 0; i < parts; i++)
        {
            var first = i * maxBatchSize;
            var rows = parts == 1 ? request.Rows : Math.Min(maxBatchSize, request.Rows - first);
            var inputs = parts == 1 ? request.Inputs : request.Inputs.Select(t => t.Rows(first, rows)).ToArray();
            Parts[i] = new(this, i, new(inputs, rows), alone, deadline, runLate);
        }
    }

    public BatchRequest Request { get; }

    /// <summary>At least one. Guards the state too: an object less for each request.</summary>
    public RequestPart[] Parts { get; }

    public bool CanBeCancelled { get; private set; }

    /// <summary>True once its answer is decided, though it may still wait for its place in the order.</summary>
    public bool IsFinished => Volatile.Read(ref _decided) != 0;

    public CancellationToken Token { get; private set; }

    /// <summary>To be called before the parts are offered.</summary>
    public void Expect(CancellationToken token)
    {
        Token = token;
        CanBeCancelled = token.CanBeCanceled;
    }

    /// <summary>Its answer waits for those of all requests that entered before. To be called before the parts are offered.</summary>
    public void Enter(OrderedAnswers order)
    {
        _order = order;
        _place = order.Enter();
    }

    public void Watch(Action<object?> onCancelled)
    {
        if (!CanBeCancelled)
            return;
        var registration = Token.UnsafeRegister(onCancelled, this);
        // The answer may have come already; whoever comes second lets the token go.
        lock (Parts)
            _registration = registration;
        if (IsFinished)
            registration.Unregister();
    }

    public bool TryFail(ProblemException problem)
    {
        if (!Decide())
            return false;
        // Whoever has the answer finds it counted.
        _batcher.Failed(this, problem);
        if (_order is null)
            SetException(problem);
        else
            InOrder(problem);
        LetGo();
        return true;
    }

    /// <summary>Whoever has gone away is told at once; the answers behind no longer wait for this one.</summary>
    public bool TryCancel()
    {
        if (!Decide())
            return false;
        SetCanceled(Token);
        _order?.Give(_place!, static () => { });
        LetGo();
        return true;
    }

    /// <summary>Whether a part's outputs leave the whole answer within its limit.</summary>
    public bool MayHave(IReadOnlyList<TensorBuffer> part, long mostBytes) => _outputs is null || Interlocked.Add(ref _bytes, AnswerLimit.BytesOf(part)) <= mostBytes;

    /// <summary>Takes in a part's outputs; answers the caller with the last.</summary>
    public void Complete(RequestPart part, IReadOnlyList<TensorBuffer> outputs, BatchReceipt receipt)
    {
        if (_outputs is null)
        {
            Answer(outputs, receipt);
            return;
        }

        lock (Parts)
        {
            if (_answeredWhole)
                return;
            _outputs[part.Index] = outputs;
            _receipt = _receipt is not { } r ? receipt : new(
                Math.Max(r.Size, receipt.Size), r.Size >= receipt.Size ? r.ClosedBecause : receipt.ClosedBecause, Math.Max(r.QueuedMs, receipt.QueuedMs), r.ComputeMs + receipt.ComputeMs);
            if (--_missing > 0)
                return;
        }

        try
        {
            var joined = new TensorBuffer[outputs.Count];
            for (var i = 0; i < joined.Length; i++)
                joined[i] = TensorBuffer.Concatenate(_outputs.Select(o => o[i]).ToArray());
            Answer(joined, _receipt);
        }
        catch (Exception e) when (e is ArgumentException or OverflowException)
        {
            TryFail(new ProblemException(
                Problem.Create(ProblemCodes.ModelExecutionFailed, $"The request's {Request.Rows} rows were computed in {Parts.Length} parts, whose outputs differ in shape and cannot be joined. Send fewer rows at a time."), e));
        }
    }

    /// <summary>Answers with the outputs of the whole request, whatever its parts did or still do.</summary>
    public void CompleteWhole(IReadOnlyList<TensorBuffer> outputs, BatchReceipt receipt)
    {
        lock (Parts)
            _answeredWhole = true;
        Answer(outputs, receipt);
    }

    private void Answer(IReadOnlyList<TensorBuffer> outputs, BatchReceipt receipt)
    {
        if (!Decide())
            return;
        // Whoever has the answer finds it counted.
        _batcher.Succeeded(this, receipt);
        var response = new BatchResponse(outputs, receipt);
        if (_order is null)
            SetResult(response);
        else
            InOrder(response);
        LetGo();
    }

    private bool Decide() => Interlocked.Exchange(ref _decided, 1) == 0;

    // Apart from their callers, so that the steady path without order allocates no closure.
    private void InOrder(BatchResponse response) => _order!.Give(_place!, () => SetResult(response));

    private void InOrder(ProblemException problem) => _order!.Give(_place!, () => SetException(problem));

    private void LetGo()
    {
        if (!CanBeCancelled)
            return;
        lock (Parts)
            _registration.Unregister();
    }
}
