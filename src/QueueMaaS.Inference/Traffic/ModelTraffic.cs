using System.Collections.Frozen;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Drift;
using QueueMaaS.Inference.Preparation;

namespace QueueMaaS.Inference.Traffic;

/// <summary>A request to a model that is followed.</summary>
/// <param name="Reference">How it named the model: <c>name</c>, <c>name@3</c> or <c>name@alias</c>.</param>
/// <param name="Model">The version that it came to.</param>
/// <param name="Prepared">Its tensors for that version.</param>
/// <param name="Again">Prepares it for another version, which may want other tensors.</param>
public sealed record FollowedRequest(string Reference, ServedModel Model, PreparedRequest Prepared, Func<ServedModel, CancellationToken, Task<PreparedRequest>> Again)
{
    /// <summary>It named the model alone, so the version was drawn by the shares.</summary>
    public bool ByName { get; } = !Reference.Contains('@', StringComparison.Ordinal);
}

/// <summary>What is followed of the requests to a model.</summary>
public sealed class ModelTraffic
{
    private readonly RolloutCounter? _rollout;
    private readonly ShadowFeed? _shadow;
    private readonly FrozenDictionary<int, DriftSampler> _monitors;
    private readonly TimeProvider _time;

    internal ModelTraffic(RolloutCounter? rollout, ShadowFeed? shadow, FrozenDictionary<int, DriftSampler> monitors, TimeProvider time)
    {
        _rollout = rollout;
        _shadow = shadow;
        _monitors = monitors;
        _time = time;
    }

    /// <summary>Has a request computed, and counts how that went. The answer is the caller's as soon as it is there; what else is made of it is made later and elsewhere.</summary>
    /// <param name="request">The request.</param>
    /// <param name="call">How it is to be computed.</param>
    /// <param name="compute">Computes it.</param>
    public async Task<T> FollowAsync<T>(FollowedRequest request, InferenceCall call, Func<InferenceCall, Task<T>> compute)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(call);
        ArgumentNullException.ThrowIfNull(compute);
        BatchResponse? response = null;
        var started = _time.GetTimestamp();
        try
        {
            var answer = await compute(call with { OnAnswer = given => response = given });
            var milliseconds = _time.GetElapsedTime(started).TotalMilliseconds;
            if (request.ByName)
                _rollout?.Served(request.Model.Version, milliseconds, failed: false);
            if (response is null)
                return answer;
            _shadow?.Offer(request, response, milliseconds);
            if (_monitors.TryGetValue(request.Model.Version, out var monitor))
                monitor.Observe(request.Prepared.Inputs, response.Outputs, request.Prepared.Rows);
            return answer;
        }
        catch (Exception exception) when (request.ByName && IsOurs(exception))
        {
            _rollout?.Served(request.Model.Version, _time.GetElapsedTime(started).TotalMilliseconds, failed: true);
            throw;
        }
    }

    /// <summary>What the caller asked wrongly, or gave up, says nothing about the version.</summary>
    private static bool IsOurs(Exception exception) => exception is not (OperationCanceledException or ProblemException { Problem.Code: ProblemCodes.InvalidValue });
}
