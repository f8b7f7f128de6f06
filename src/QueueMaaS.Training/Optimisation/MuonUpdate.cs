using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;
using QueueMaaS.Training.Specification.Layers;
using TorchSharp;

namespace QueueMaaS.Training.Optimisation;

/// <summary>
/// Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/): the momentum of a matrix is replaced by the nearest matrix whose singular values are about 1, found by five steps of a
/// Newton-Schulz iteration. For the weights of all layers but the last and embeddings; these, biases and scales are changed by momentum looking ahead.
/// </summary>
internal sealed class MuonUpdate : WeightUpdate
{
    private const int Iterations = 5;
    private const double Momentum = 0.95;

    private readonly torch.Tensor[] _velocity;
    private readonly Scalar[] _momenta;
    private readonly bool[] _matrices;
    // The quintic a·x + b·x³ + c·x⁵ of the source, steepest at zero.
    private readonly Scalar _a;
    private readonly Scalar _b;
    private readonly Scalar _c;

    public MuonUpdate(BuiltModel model, OptimizationSettings settings)
        : base(model, settings)
    {
        _velocity = HoldZeros("velocity");
        _momenta = [.. Momenta(Momentum).Select(Hold)];
        var layers = model.Specification.Nodes;
        var last = layers.Last(n => model.Weights.Any(w => w.Layer == n.Id)).Id;
        var embeddings = layers.Where(n => n.Layer is EmbeddingLayer or PositionLayer).Select(n => n.Id).ToHashSet(StringComparer.Ordinal);
        _matrices = [.. Weights.Select(w => w.Role == WeightRole.Weight && w.Tensor.dim() >= 2 && w.Layer != last && !embeddings.Contains(w.Layer))];
        (_a, _b, _c) = (Hold(3.4445), Hold(-4.7750), Hold(2.0315));
    }

    protected override void Update(int index, torch.Tensor weight, torch.Tensor gradient, double learningRate)
    {
        using var rate = (-learningRate).ToScalar();
        var velocity = _velocity[index];
        velocity.mul_(_momenta[index]).add_(gradient);
        var ahead = gradient.add(velocity, _momenta[index]);
        if (!_matrices[index])
        {
            weight.add_(ahead, rate);
            return;
        }

        if (Settings.NormalizeWeights)
            weight.mul_(torch.tensor((float)Math.Sqrt(weight.shape[0]), device: weight.device).div(Length(weight)));
        weight.add_(Orthogonal(ahead.reshape(weight.shape[0], -1)).reshape(weight.shape), rate);
    }

    private torch.Tensor Orthogonal(torch.Tensor gradient)
    {
        var tall = gradient.shape[0] > gradient.shape[1];
        var x = tall ? gradient.transpose(0, 1) : gradient;
        // The length bounds the greatest singular value.
        x = x.div(Length(x));
        for (var i = 0; i < Iterations; i++)
        {
            var square = x.matmul(x.transpose(0, 1));
            var polynomial = square.mul(_b).add(square.matmul(square), _c);
            x = polynomial.matmul(x).add(x, _a);
        }

        return tall ? x.transpose(0, 1) : x;
    }

    private static torch.Tensor Length(torch.Tensor x) => x.square().sum().sqrt().maximum(torch.tensor(1e-7f, device: x.device));
}
