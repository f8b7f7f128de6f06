using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Optimisation;

/// <summary>Adam (arXiv 1412.6980), and AdamW (arXiv 1711.05101), whose decay takes from the weight itself.</summary>
internal sealed class AdamUpdate : WeightUpdate
{
    private const double AdamWDecay = 0.01;

    private readonly bool _decoupled;
    private readonly double _betaMean;
    private readonly double _betaSquare;
    private readonly torch.Tensor[] _mean;
    private readonly torch.Tensor[] _square;
    private readonly Scalar _beta1;
    private readonly Scalar _beta2;
    private readonly Scalar _rest1;
    private readonly Scalar _rest2;
    private readonly Scalar _epsilon;

    public AdamUpdate(BuiltModel model, OptimizationSettings settings, bool decoupled)
        : base(model, settings, decoupled ? AdamWDecay : 0)
    {
        _decoupled = decoupled;
        (_betaMean, _betaSquare) = (settings.Beta1 ?? 0.9, settings.Beta2 ?? 0.999);
        _mean = HoldZeros("mean");
        _square = HoldZeros("square");
        _beta1 = Hold(_betaMean);
        _beta2 = Hold(_betaSquare);
        _rest1 = Hold(1 - _betaMean);
        _rest2 = Hold(1 - _betaSquare);
        _epsilon = Hold(settings.Epsilon ?? 1e-8);
    }

    protected override bool DecoupledDecay => _decoupled;

    protected override void Update(int index, torch.Tensor weight, torch.Tensor gradient, double learningRate)
    {
        if (_decoupled && Decays[index] != 0)
        {
            using var left = (1 - learningRate * Decays[index]).ToScalar();
            weight.mul_(left);
        }

        var (mean, square) = (_mean[index], _square[index]);
        mean.mul_(_beta1).add_(gradient, _rest1);
        square.mul_(_beta2).addcmul_(gradient, gradient, _rest2);
        using var correction = Math.Sqrt(1 - Math.Pow(_betaSquare, Steps)).ToScalar();
        using var rate = (-learningRate / (1 - Math.Pow(_betaMean, Steps))).ToScalar();
        var deviation = square.sqrt().div_(correction).add_(_epsilon);
        weight.addcdiv_(mean, deviation, rate);
    }
}
