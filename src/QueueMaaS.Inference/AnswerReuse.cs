using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference;

/// <summary>
/// Answers identical requests once: those in flight at the same time share a computation, and later ones get the kept answer. Only for model versions that ask for it.
/// Identical are requests to the same version with the same SHA-256 over the names, datatypes, shapes and values of their tensors. Thread-safe.
/// </summary>
internal sealed class AnswerReuse : IDisposable
{
    private readonly ConcurrentDictionary<string, Shared> _inFlight = new(StringComparer.Ordinal);
    private readonly MemoryCache _kept;
    private readonly TimeProvider _time;
    private readonly InferenceMetrics _metrics;

    public AnswerReuse(long maxBytes, TimeProvider time, InferenceMetrics metrics)
    {
        _kept = new(Options.Create(new MemoryCacheOptions { SizeLimit = maxBytes, CompactionPercentage = 0.1 }));
        _time = time;
        _metrics = metrics;
    }

    public async Task<BatchResponse> GetAsync(
        ServedModel model, PreparedRequest request, InferenceCall call, Func<CancellationToken, Task<BatchResponse>> compute, CancellationToken cancellationToken)
    {
        var begun = _time.GetTimestamp();
        var key = Key(model, request);
        if (model.Batching.CacheSeconds > 0 && _kept.TryGetValue(key, out Kept? kept) && kept!.Until > _time.GetUtcNow())
        {
            _metrics.Reused(model.Name, model.Version, "cached", _time.GetElapsedTime(begun), _time.GetUtcNow());
            return kept.Response with { Receipt = kept.Response.Receipt with { Cached = true, QueuedMs = 0, ComputeMs = 0 } };
        }

        var looked = _time.GetElapsedTime(begun);
        var response = model.Batching.ShareIdentical
            ? await ShareAsync(model, key, call, compute, cancellationToken)
            : await compute(cancellationToken);
        if (response.Receipt.Shared)
            return response;
        var computed = _time.GetTimestamp();
        if (model.Batching.CacheSeconds > 0)
            Keep(key, response, TimeSpan.FromSeconds(model.Batching.CacheSeconds));
        _metrics.StatisticsOf(model.Name, model.Version).NotReused(looked + _time.GetElapsedTime(computed));
        return response;
    }

    public void Dispose() => _kept.Dispose();

    private async Task<BatchResponse> ShareAsync(ServedModel model, string key, InferenceCall call, Func<CancellationToken, Task<BatchResponse>> compute, CancellationToken cancellationToken)
    {
        var own = new Shared(call.Deadline);
        var shared = _inFlight.GetOrAdd(key, own);
        // One that would give up before this caller's deadline is no help to it.
        if (!ReferenceEquals(shared, own) && (shared.Deadline is null || (call.Deadline is { } deadline && deadline <= shared.Deadline)) && shared.TryJoin())
        {
            var response = await JoinAsync(model, shared, call, cancellationToken);
            return response with { Receipt = response.Receipt with { Shared = true } };
        }

        own.TryJoin();
        own.Start(compute, () => _inFlight.TryRemove(new(key, own)));
        return await WaitAsync(own, deadline: null, cancellationToken);
    }

    /// <summary>Waits for an identical request's answer, and counts what comes of it as this request's: the batcher knows of the other only.</summary>
    private async Task<BatchResponse> JoinAsync(ServedModel model, Shared shared, InferenceCall call, CancellationToken cancellationToken)
    {
        var begun = _time.GetTimestamp();
        try
        {
            var response = await WaitAsync(shared, call.Deadline, cancellationToken);
            _metrics.Reused(model.Name, model.Version, "shared", _time.GetElapsedTime(begun), _time.GetUtcNow());
            return response;
        }
        catch (ProblemException exception)
        {
            _metrics.FailedWithOther(model.Name, model.Version, exception.Problem.Code, _time.GetElapsedTime(begun));
            throw;
        }
    }

    /// <summary>Waits for a computation that goes on for others when this caller goes away, and stops with the last.</summary>
    private async Task<BatchResponse> WaitAsync(Shared shared, DateTimeOffset? deadline, CancellationToken cancellationToken)
    {
        try
        {
            if (deadline is not { } by)
                return await shared.Answer.WaitAsync(cancellationToken);
            var left = by - _time.GetUtcNow();
            return await shared.Answer.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, _time, cancellationToken);
        }
        catch (TimeoutException)
        {
            throw new ProblemException(ProblemCodes.DeadlineExceeded, "The request's deadline passed before the identical request that it shared the computation of was answered. Give it more time.");
        }
        finally
        {
            shared.Leave();
        }
    }

    private void Keep(string key, BatchResponse response, TimeSpan time)
    {
        var bytes = 256L;
        foreach (var output in response.Outputs)
            bytes += output.MemoryBytes;
        // Rows of a batch are slices of its whole output: kept by themselves they must not hold the rest.
        var outputs = response.Outputs.Select(static o => o.Datatype.IsText
            ? TensorBuffer.OfTexts(o.Name, o.Shape, o.Texts.ToArray())
            : TensorBuffer.OfBytes(o.Name, o.Datatype, o.Shape, o.Bytes.ToArray())).ToArray();
        _kept.Set(key, new Kept(response with { Outputs = outputs }, _time.GetUtcNow() + time), new MemoryCacheEntryOptions { Size = bytes, AbsoluteExpirationRelativeToNow = time });
    }

    private static string Key(ServedModel model, PreparedRequest request)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Append(hash, model.Key);
        foreach (var tensor in request.Inputs)
        {
            Append(hash, $"{tensor.Name}|{tensor.Datatype.Name}|{string.Join(',', tensor.Shape)}");
            hash.AppendData(tensor.Bytes.Span);
            foreach (var text in tensor.Texts.Span)
                Append(hash, text);
        }

        return Convert.ToHexString(hash.GetHashAndReset());
    }

    // With its length before it, so that no two lists of texts run into the same bytes.
    private static void Append(IncrementalHash hash, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        hash.AppendData(BitConverter.GetBytes(bytes.Length));
        hash.AppendData(bytes);
    }

    private sealed record Kept(BatchResponse Response, DateTimeOffset Until);

    /// <summary>A computation with everyone who waits for it.</summary>
    [System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "The source has no timer and no handle, and who uses it last is not known: it needs no disposal.")]
    private sealed class Shared(DateTimeOffset? deadline)
    {
        private readonly Lock _gate = new();
        private readonly CancellationTokenSource _abandoned = new();
        private readonly TaskCompletionSource<BatchResponse> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _waiting;

        public DateTimeOffset? Deadline { get; } = deadline;

        public Task<BatchResponse> Answer => _answer.Task;

        /// <summary>False where everyone has gone away and it is being stopped.</summary>
        public bool TryJoin()
        {
            lock (_gate)
            {
                if (_abandoned.IsCancellationRequested)
                    return false;
                _waiting++;
                return true;
            }
        }

        public void Leave()
        {
            lock (_gate)
            {
                if (--_waiting > 0 || _answer.Task.IsCompleted)
                    return;
                _abandoned.Cancel();
            }
        }

        public void Start(Func<CancellationToken, Task<BatchResponse>> compute, Action forget) => _ = RunAsync(compute, forget);

        private async Task RunAsync(Func<CancellationToken, Task<BatchResponse>> compute, Action forget)
        {
            try
            {
                var response = await compute(_abandoned.Token);
                forget();
                _answer.TrySetResult(response);
            }
            catch (OperationCanceledException)
            {
                forget();
                _answer.TrySetCanceled(_abandoned.Token);
            }
            catch (Exception e)
            {
                forget();
                _answer.TrySetException(e);
                // Whoever waited has seen it; with nobody left it is of no interest.
                _ = _answer.Task.Exception;
            }
        }
    }
}
