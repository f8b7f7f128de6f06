using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Optimisation;

/// <summary>
/// Changes the weights by their gradients after each step.
/// TorchSharp's own optimisers pass numbers to libtorch as temporary <c>Scalar</c> objects that nothing holds during the native call: under memory pressure
/// the garbage collector frees one in the middle of it, and a training ends at a random step with "Expected false to be true … Scalar.h".
/// Here every number is held until the call is over.
/// </summary>
internal abstract class WeightUpdate : IDisposable
{
    private readonly List<IDisposable> _held = [];

    protected WeightUpdate(BuiltModel model) => Parameters = [.. model.Weights.Where(w => w.Trained).Select(w => w.Tensor)];

    protected IReadOnlyList<torch.Tensor> Parameters { get; }

    /// <summary><c>sgd</c> (momentum 0.9) or <c>adam</c>.</summary>
    public static WeightUpdate Create(string optimizer, BuiltModel model, double learningRate) => optimizer switch
    {
        "sgd" => new MomentumUpdate(model, learningRate),
        "adam" => new AdamUpdate(model, learningRate),
        _ => throw new ArgumentOutOfRangeException(nameof(optimizer), optimizer, "There are 'adam' and 'sgd'."),
    };

    /// <summary>Forgets the gradients of the last step.</summary>
    public void ClearGradients()
    {
        foreach (var parameter in Parameters)
        {
            using var gradient = parameter.grad;
            gradient?.zero_();
        }
    }

    /// <summary>Applies the gradients.</summary>
    public void Apply()
    {
        using var noGradients = torch.no_grad();
        BeginStep();
        for (var i = 0; i < Parameters.Count; i++)
        {
            using var scope = torch.NewDisposeScope();
            if (Parameters[i].grad is { } gradient)
                Update(i, Parameters[i], gradient);
        }
    }

    public void Dispose() => _held.ForEach(h => h.Dispose());

    protected virtual void BeginStep()
    {
    }

    protected abstract void Update(int index, torch.Tensor parameter, torch.Tensor gradient);

    /// <summary>A number that lives as long as this object.</summary>
    protected Scalar Hold(double value)
    {
        var scalar = value.ToScalar();
        _held.Add(scalar);
        return scalar;
    }

    /// <summary>Zeros in the shape of each parameter, which live as long as this object.</summary>
    protected torch.Tensor[] HoldZeros()
    {
        using var noGradients = torch.no_grad();
        var zeros = Parameters.Select(p => torch.zeros_like(p)).ToArray();
        foreach (var tensor in zeros)
            _held.Add(tensor.DetachFromDisposeScope());
        return zeros;
    }
}
