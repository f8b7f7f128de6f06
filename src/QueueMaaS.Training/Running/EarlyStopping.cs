using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Running;

/// <summary>Ends a training that does not get better, and keeps the best weights.</summary>
internal sealed class EarlyStopping(StoppingSettings settings, BuiltModel model) : IDisposable
{
    private readonly bool _restore = settings.RestoreBest ?? settings.Patience is not null;
    private torch.Tensor[]? _best;

    /// <summary>The best figure so far.</summary>
    public double? Best { get; private set; }

    /// <summary>Its epoch.</summary>
    public int BestEpoch { get; private set; }

    /// <summary>Why the training is to end, where it is.</summary>
    public string? StoppedBy { get; set; }

    /// <summary>The best weights by name, where they are kept.</summary>
    public IEnumerable<(string Name, torch.Tensor Tensor)> State() => _best is null ? [] : _best.Select((tensor, i) => (model.Weights[i].Name, tensor));

    /// <summary>Looks at an epoch's figures; the model's weights are those that were validated.</summary>
    public void EndEpoch(EpochMetrics epoch)
    {
        var greater = settings.Metric == StoppingMetric.ValidationAccuracy;
        var figure = greater ? epoch.ValidationAccuracy : epoch.ValidationLoss;
        if (Best is not { } best || (greater ? figure > best + settings.LeastGain : figure < best - settings.LeastGain))
        {
            Best = figure;
            BestEpoch = epoch.Epoch;
            if (_restore)
                Keep();
        }
        else if (settings.Patience is { } patience && epoch.Epoch - BestEpoch >= patience)
        {
            StoppedBy ??= "earlyStopping";
        }
    }

    /// <summary>Gives the model its best weights; false where none were kept.</summary>
    public bool RestoreBest()
    {
        if (_best is null)
            return false;
        using var noGradients = torch.no_grad();
        for (var i = 0; i < _best.Length; i++)
            model.Weights[i].Tensor.copy_(_best[i]);
        return true;
    }

    /// <summary>Goes on from a stored state.</summary>
    public void Resume(double? best, int bestEpoch, string? stoppedBy, IReadOnlyDictionary<string, WeightValues> weights)
    {
        (Best, BestEpoch, StoppedBy) = (best, bestEpoch, stoppedBy);
        if (weights.Count == 0)
            return;
        Keep();
        for (var i = 0; i < _best!.Length; i++)
            weights[model.Weights[i].Name].CopyTo(_best[i]);
    }

    public void Dispose()
    {
        foreach (var tensor in _best ?? [])
            tensor.Dispose();
    }

    private void Keep()
    {
        using var noGradients = torch.no_grad();
        _best ??= [.. model.Weights.Select(w => torch.empty_like(w.Tensor).DetachFromDisposeScope())];
        for (var i = 0; i < _best.Length; i++)
            _best[i].copy_(model.Weights[i].Tensor);
    }
}
