using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Optimisation;

/// <summary>Adam (arXiv 1412.6980) with its usual constants: 0.9, 0.999, 1e-8.</summary>
internal sealed class AdamUpdate : WeightUpdate
{
    private const double Beta1 = 0.9;
    private const double Beta2 = 0.999;
    private const double Epsilon = 1e-8;

    private readonly double _learningRate;
    private readonly torch.Tensor[] _mean;
    private readonly torch.Tensor[] _square;
    private readonly Scalar _beta1;
    private readonly Scalar _beta2;
    private readonly Scalar _rest1;
    private readonly Scalar _rest2;
    private readonly Scalar _epsilon;
    private int _step;

    public AdamUpdate(BuiltModel model, double learningRate)
        : base(model)
    {
        _learningRate = learningRate;
        _mean = HoldZeros();
        _square = HoldZeros();
        _beta1 = Hold(Beta1);
        _beta2 = Hold(Beta2);
        _rest1 = Hold(1 - Beta1);
        _rest2 = Hold(1 - Beta2);
        _epsilon = Hold(Epsilon);
    }

    protected override void BeginStep() => _step++;

    protected override void Update(int index, torch.Tensor parameter, torch.Tensor gradient)
    {
        var (mean, square) = (_mean[index], _square[index]);
        mean.mul_(_beta1).add_(gradient, _rest1);
        square.mul_(_beta2).addcmul_(gradient, gradient, _rest2);
        using var correction = Math.Sqrt(1 - Math.Pow(Beta2, _step)).ToScalar();
        using var rate = (-_learningRate / (1 - Math.Pow(Beta1, _step))).ToScalar();
        var deviation = square.sqrt().div_(correction).add_(_epsilon);
        parameter.addcdiv_(mean, deviation, rate);
    }
}
