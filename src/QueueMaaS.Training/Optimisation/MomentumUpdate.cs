using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Optimisation;

/// <summary>Gradient descent, with momentum (Polyak, 1964) and looking ahead (Nesterov, as in Sutskever et al., 2013) where asked for. Without momentum it keeps no state.</summary>
internal sealed class MomentumUpdate : WeightUpdate
{
    private readonly torch.Tensor[]? _velocity;
    private readonly Scalar[] _momenta;

    public MomentumUpdate(BuiltModel model, OptimizationSettings settings, double momentum)
        : base(model, settings)
    {
        var momenta = Momenta(momentum);
        _velocity = momenta.All(m => m == 0) ? null : HoldZeros("velocity");
        _momenta = [.. momenta.Select(Hold)];
    }

    protected override void Update(int index, torch.Tensor weight, torch.Tensor gradient, double learningRate)
    {
        using var rate = (-learningRate).ToScalar();
        if (_velocity is null)
        {
            weight.add_(gradient, rate);
            return;
        }

        var velocity = _velocity[index];
        velocity.mul_(_momenta[index]).add_(gradient);
        weight.add_(Settings.Nesterov ? gradient.add(velocity, _momenta[index]) : velocity, rate);
    }
}
