using System.Collections.Concurrent;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Evaluation;
using QueueMaaS.Jobs.Deployment;

namespace QueueMaaS.Inference.Traffic;

/// <summary>Draws answered requests for a shadow version and counts how its answers compare. Thread-safe.</summary>
internal sealed class ShadowFeed(string watch, ShadowRequest request, ServedModel shadow, ShadowRunner runner) : ITrafficCounter
{
    private const string Production = "production";
    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<int, EvaluatedHead?> _heads = new();
    private readonly LatencySketch _served = new();
    private readonly LatencySketch _took = new();
    private ShadowData _counted = new();
    private long _requests;
    private long _dropped;

    public string WatchId => watch;

    public ServedModel Model => shadow;

    /// <summary>Which of a version's outputs holds the labels; null where it gives neither labels nor a number.</summary>
    public EvaluatedHead? HeadOf(ServedModel model) => _heads.GetOrAdd(model.Version, static (_, of) => EvaluatedHead.Find($"{of.Name}@{of.Version}", of.Signature, of.Pipeline), model);

    /// <summary>Hands an answered request on, if it is drawn and there is room. Never waits.</summary>
    public void Offer(FollowedRequest followed, BatchResponse answer, double milliseconds)
    {
        var looked = followed.ByName ? request.Alias == Production : followed.Reference.EndsWith($"@{request.Alias}", StringComparison.Ordinal);
        // The version that shadows is not compared with itself.
        if (!looked || followed.Model.Version == shadow.Version || Random.Shared.NextDouble() >= request.Share)
            return;
        Interlocked.Increment(ref _requests);
        if (!runner.TryAdd(new(this, followed, answer, milliseconds)))
            Drop();
    }

    public void Drop() => Interlocked.Increment(ref _dropped);

    public void Fail(string reason)
    {
        lock (_gate)
            _counted = _counted with { Failed = _counted.Failed + 1, FirstError = _counted.FirstError ?? reason };
    }

    public void Add(ShadowComparison comparison, double served, double took)
    {
        _served.Add(served);
        _took.Add(took);
        lock (_gate)
        {
            _counted = _counted with
            {
                Computed = _counted.Computed + 1,
                LabelledRows = _counted.LabelledRows + comparison.Rows,
                AgreeingRows = _counted.AgreeingRows + comparison.Agreeing,
                Numbers = _counted.Numbers + comparison.Numbers,
                SumDeviation = _counted.SumDeviation + comparison.SumDeviation,
                MaxDeviation = Math.Max(_counted.MaxDeviation, comparison.MaxDeviation),
            };
        }
    }

    public IEnumerable<(string Part, string Data)> Read()
    {
        ShadowData counted;
        lock (_gate)
            counted = _counted;
        counted = counted with { Requests = Interlocked.Read(ref _requests), Dropped = Interlocked.Read(ref _dropped), Served = _served.ToPairs(), Shadow = _took.ToPairs() };
        return [("shadow", JsonSerializer.Serialize(counted, QueueMaaSJson.Relaxed))];
    }
}

/// <summary>An answered request that a shadow version is to compute, too.</summary>
internal sealed record ShadowWork(ShadowFeed Feed, FollowedRequest Request, BatchResponse Answer, double ServedMs);
