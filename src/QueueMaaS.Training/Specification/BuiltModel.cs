using QueueMaaS.Contracts;
using TorchSharp;

namespace QueueMaaS.Training.Specification;

/// <summary>A specification with its weights, ready to be trained, run or exported.</summary>
public sealed class BuiltModel : IDisposable
{
    private readonly List<torch.nn.Module<torch.Tensor, torch.Tensor>> _modules;

    private BuiltModel(ModelSpecification specification, TensorShape input, TensorShape output, List<torch.nn.Module<torch.Tensor, torch.Tensor>> modules)
    {
        Specification = specification;
        Input = input;
        Output = output;
        _modules = modules;
    }

    /// <summary>The layers.</summary>
    public ModelSpecification Specification { get; }

    /// <summary>The shape of one image.</summary>
    public TensorShape Input { get; }

    /// <summary>The shape of one result.</summary>
    public TensorShape Output { get; }

    /// <summary>The modules, one per layer.</summary>
    public IReadOnlyList<torch.nn.Module<torch.Tensor, torch.Tensor>> Modules => _modules;

    /// <summary>Numbers that are learned.</summary>
    public long ParameterCount => Parameters().Sum(p => p.numel());

    /// <summary>Builds the modules with first weights that depend on <paramref name="seed"/> alone.</summary>
    /// <exception cref="ProblemException"><c>specification_invalid</c>, or <c>training_runtime_unavailable</c>.</exception>
    public static BuiltModel Build(ModelSpecification specification, TensorShape input, long seed)
    {
        ArgumentNullException.ThrowIfNull(specification);
        var shapes = specification.InferShapes(input);
        Runtime.TorchRuntime.EnsureLoaded();
        var random = new Random(Seeds.Fold(seed));
        var modules = specification.Layers.Select((layer, i) => layer.CreateModule(i == 0 ? input : shapes[i - 1], random)).ToList();
        return new(specification, input, shapes[^1], modules);
    }

    /// <summary>Runs the layers one after the other.</summary>
    public torch.Tensor Forward(torch.Tensor input) => _modules.Aggregate(input, (x, module) => module.call(x));

    /// <summary>All weights and biases.</summary>
    public IEnumerable<TorchSharp.Modules.Parameter> Parameters() => _modules.SelectMany(m => m.parameters());

    /// <inheritdoc/>
    public void Dispose() => _modules.ForEach(m => m.Dispose());
}

/// <summary>Seeds of the generators.</summary>
internal static class Seeds
{
    /// <summary>A 64-bit seed as the 32 bits that <see cref="Random"/> takes.</summary>
    public static int Fold(long seed) => unchecked((int)(seed ^ (seed >> 32)));
}
