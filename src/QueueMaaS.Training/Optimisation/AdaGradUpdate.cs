using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Optimisation;

/// <summary>AdaGrad (Duchi, Hazan and Singer, 2011).</summary>
internal sealed class AdaGradUpdate : WeightUpdate
{
    private readonly torch.Tensor[] _sum;
    private readonly Scalar _one;
    private readonly Scalar _epsilon;

    public AdaGradUpdate(BuiltModel model, OptimizationSettings settings)
        : base(model, settings)
    {
        _sum = HoldZeros("sum");
        _one = Hold(1);
        _epsilon = Hold(settings.Epsilon ?? 1e-10);
    }

    protected override void Update(int index, torch.Tensor weight, torch.Tensor gradient, double learningRate)
    {
        using var rate = (-learningRate).ToScalar();
        var sum = _sum[index].addcmul_(gradient, gradient, _one);
        weight.addcdiv_(gradient, sum.sqrt().add_(_epsilon), rate);
    }
}
