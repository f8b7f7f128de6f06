using QueueMaaS.Contracts;
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
    private readonly Dictionary<string, torch.Tensor[]> _buffers = new(StringComparer.Ordinal);
    private readonly Scalar?[] _decays;

    protected WeightUpdate(BuiltModel model, OptimizationSettings settings, double defaultDecay = 0)
    {
        Settings = settings;
        Weights = [.. model.Weights.Where(w => w.Trained)];
        Decays = [.. Weights.Select(w => DecayOf(w, settings, defaultDecay))];
        Scales = [.. Weights.Select(w => GroupOf(w, settings)?.LearningRateScale ?? 1)];
        _decays = [.. Decays.Select(d => d == 0 ? null : Hold(d))];
    }

    /// <summary>The optimisers' names.</summary>
    public static IReadOnlyList<string> Known { get; } = ["gradientDescent", "sgd", "adagrad", "rmsprop", "adam", "adamw", "muon"];

    /// <summary>Changes of the weights so far.</summary>
    public long Steps { get; private set; }

    protected OptimizationSettings Settings { get; }

    protected IReadOnlyList<ModelWeight> Weights { get; }

    /// <summary>Of each weight.</summary>
    protected IReadOnlyList<double> Decays { get; }

    private IReadOnlyList<double> Scales { get; }

    /// <summary>True where decay takes from the weight itself and not by way of the gradient.</summary>
    protected virtual bool DecoupledDecay => false;

    /// <summary>The update rule of this name for the weights that are trained.</summary>
    public static WeightUpdate Create(string optimizer, BuiltModel model, OptimizationSettings settings) => optimizer switch
    {
        "gradientDescent" => new MomentumUpdate(model, settings, momentum: 0),
        "sgd" => new MomentumUpdate(model, settings, momentum: 0.9),
        "adagrad" => new AdaGradUpdate(model, settings),
        "rmsprop" => new RmsPropUpdate(model, settings),
        "adam" => new AdamUpdate(model, settings, decoupled: false),
        "adamw" => new AdamUpdate(model, settings, decoupled: true),
        "muon" => new MuonUpdate(model, settings),
        _ => throw new ArgumentOutOfRangeException(nameof(optimizer), optimizer, $"There are {string.Join(", ", Known)}."),
    };

    /// <summary>Forgets the gradients of the last step.</summary>
    public void ClearGradients()
    {
        foreach (var weight in Weights)
        {
            using var gradient = weight.Tensor.grad;
            gradient?.zero_();
        }
    }

    /// <summary>Applies the gradients with a step size.</summary>
    public void Apply(double learningRate)
    {
        using var noGradients = torch.no_grad();
        GradientClipping.Apply(Weights, Settings);
        Steps++;
        for (var i = 0; i < Weights.Count; i++)
        {
            using var scope = torch.NewDisposeScope();
            var weight = Weights[i].Tensor;
            if (weight.grad is not { } gradient || Scales[i] == 0)
                continue;
            if (_decays[i] is { } decay && !DecoupledDecay)
                gradient = gradient.add(weight, decay);
            Update(i, weight, gradient, learningRate * Scales[i]);
        }
    }

    /// <summary>What the rule remembers, by name of the buffer and of the weight, for a checkpoint.</summary>
    public IEnumerable<(string Name, torch.Tensor Tensor)> State() =>
        _buffers.OrderBy(b => b.Key, StringComparer.Ordinal).SelectMany(b => b.Value.Select((tensor, i) => ($"{b.Key}.{Weights[i].Name}", tensor)));

    /// <summary>Goes on after this many steps; the buffers of <see cref="State"/> are written by the caller.</summary>
    public void Resume(long steps) => Steps = steps;

    public void Dispose()
    {
        _held.ForEach(h => h.Dispose());
        foreach (var tensor in _buffers.Values.SelectMany(b => b))
            tensor.Dispose();
    }

    /// <summary>The momentum of each weight: that of its group, or of the job, or the rule's own.</summary>
    protected double[] Momenta(double byDefault) => [.. Weights.Select(w => GroupOf(w, Settings)?.Momentum ?? Settings.Momentum ?? byDefault)];

    protected abstract void Update(int index, torch.Tensor weight, torch.Tensor gradient, double learningRate);

    /// <summary>A number that lives as long as this object.</summary>
    protected Scalar Hold(double value)
    {
        var scalar = value.ToScalar();
        _held.Add(scalar);
        return scalar;
    }

    /// <summary>Zeros in the shape of each weight, which live as long as this object and are part of its state.</summary>
    protected torch.Tensor[] HoldZeros(string name)
    {
        using var noGradients = torch.no_grad();
        var zeros = Weights.Select(w => torch.zeros_like(w.Tensor)).ToArray();
        foreach (var tensor in zeros)
            tensor.DetachFromDisposeScope();
        _buffers[name] = zeros;
        return zeros;
    }

    private static WeightGroup? GroupOf(ModelWeight weight, OptimizationSettings settings) => settings.Groups?.FirstOrDefault(g => NamePattern.Matches(g.Match, weight.Name));

    private static double DecayOf(ModelWeight weight, OptimizationSettings settings, double byDefault) =>
        GroupOf(weight, settings)?.WeightDecay ?? (weight.Role == WeightRole.Weight || settings.DecayAll ? settings.WeightDecay ?? byDefault : 0);
}
