using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Optimisation;

/// <summary>An exponential average of all weights and running figures (Polyak and Juditsky, 1992; the decay grows from 0 at the beginning so that the first weights are forgotten).</summary>
internal sealed class WeightAverage : IDisposable
{
    private readonly double _decay;
    private readonly IReadOnlyList<ModelWeight> _weights;
    private readonly torch.Tensor[] _averages;

    public WeightAverage(BuiltModel model, double decay)
    {
        _decay = decay;
        _weights = model.Weights;
        using var noGradients = torch.no_grad();
        _averages = [.. _weights.Select(w => w.Tensor.detach().clone().DetachFromDisposeScope())];
    }

    /// <summary>Takes the weights after a change into the average.</summary>
    public void Add(long steps)
    {
        var decay = Math.Min(_decay, (1.0 + steps) / (10.0 + steps));
        using var noGradients = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        for (var i = 0; i < _averages.Length; i++)
            _averages[i].lerp_(_weights[i].Tensor, torch.tensor((float)(1 - decay), device: _averages[i].device));
    }

    /// <summary>The averages by weight, for a checkpoint.</summary>
    public IEnumerable<(string Name, torch.Tensor Tensor)> State() => _averages.Select((tensor, i) => (_weights[i].Name, tensor));

    /// <summary>Exchanges the model's weights and the averages; a second time brings them back.</summary>
    public void Swap()
    {
        using var noGradients = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        for (var i = 0; i < _averages.Length; i++)
        {
            var kept = _weights[i].Tensor.detach().clone();
            _weights[i].Tensor.copy_(_averages[i]);
            _averages[i].copy_(kept);
        }
    }

    public void Dispose()
    {
        foreach (var tensor in _averages)
            tensor.Dispose();
    }
}
