using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Optimisation;

/// <summary>Stochastic gradient descent with a momentum of 0.9.</summary>
internal sealed class MomentumUpdate : WeightUpdate
{
    private readonly torch.Tensor[] _velocity;
    private readonly Scalar _momentum;
    private readonly Scalar _rate;

    public MomentumUpdate(BuiltModel model, double learningRate)
        : base(model)
    {
        _velocity = HoldZeros();
        _momentum = Hold(0.9);
        _rate = Hold(-learningRate);
    }

    protected override void Update(int index, torch.Tensor parameter, torch.Tensor gradient)
    {
        var velocity = _velocity[index];
        velocity.mul_(_momentum).add_(gradient);
        parameter.add_(velocity, _rate);
    }
}
