using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Optimisation;

/// <summary>RMSprop (Tieleman and Hinton, 2012), with momentum where asked for.</summary>
internal sealed class RmsPropUpdate : WeightUpdate
{
    private readonly torch.Tensor[] _square;
    private readonly torch.Tensor[]? _velocity;
    private readonly Scalar _smoothing;
    private readonly Scalar _rest;
    private readonly Scalar _epsilon;
    private readonly Scalar _momentum;
    private readonly Scalar _one;

    public RmsPropUpdate(BuiltModel model, OptimizationSettings settings)
        : base(model, settings)
    {
        var smoothing = settings.Beta2 ?? 0.99;
        _square = HoldZeros("square");
        _velocity = settings.Momentum is null or 0 ? null : HoldZeros("velocity");
        _smoothing = Hold(smoothing);
        _rest = Hold(1 - smoothing);
        _epsilon = Hold(settings.Epsilon ?? 1e-8);
        _momentum = Hold(settings.Momentum ?? 0);
        _one = Hold(1);
    }

    protected override void Update(int index, torch.Tensor weight, torch.Tensor gradient, double learningRate)
    {
        using var rate = (-learningRate).ToScalar();
        var deviation = _square[index].mul_(_smoothing).addcmul_(gradient, gradient, _rest).sqrt().add_(_epsilon);
        if (_velocity is null)
            weight.addcdiv_(gradient, deviation, rate);
        else
            weight.add_(_velocity[index].mul_(_momentum).addcdiv_(gradient, deviation, _one), rate);
    }
}
