using QueueMaaS.Contracts;
using TorchSharp;

namespace QueueMaaS.Training.Specification;

/// <summary>A specification with its weights, ready to be trained, run or exported.</summary>
public sealed class BuiltModel : IDisposable
{
    private readonly List<BuiltLayer> _layers = [];
    private readonly List<ModelWeight> _weights = [];

    private BuiltModel(ModelSpecification specification, TensorShape input, TensorShape output, torch.Device device)
    {
        Specification = specification;
        Input = input;
        Output = output;
        Device = device;
        Random = new torch.Generator(0, device);
    }

    /// <summary>The layers.</summary>
    public ModelSpecification Specification { get; }

    /// <summary>The shape of one input.</summary>
    public TensorShape Input { get; }

    /// <summary>The shape of one result.</summary>
    public TensorShape Output { get; }

    /// <summary>Where the weights are.</summary>
    public torch.Device Device { get; }

    /// <summary>All weights, running figures included, in the order of the layers.</summary>
    public IReadOnlyList<ModelWeight> Weights => _weights;

    /// <summary>Numbers that are learned, frozen ones included.</summary>
    public long ParameterCount => _weights.Where(w => w.Role != WeightRole.Statistic).Sum(w => w.Tensor.numel());

    /// <summary>True: products of linear layers and convolutions are computed in bfloat16 while training, and stay so until a layer needs more.</summary>
    internal bool Half { get; set; }

    /// <summary>False: a model that averages over several views of its input looks at the input alone. Default true.</summary>
    internal bool AllViews { get; set; } = true;

    /// <summary>What dropout draws with; the trainer seeds it before every step.</summary>
    internal torch.Generator Random { get; }

    /// <summary>Builds the model with first weights that depend on <paramref name="seed"/> and their names alone.</summary>
    /// <exception cref="ProblemException"><c>specification_invalid</c>, or <c>training_runtime_unavailable</c>.</exception>
    public static BuiltModel Build(ModelSpecification specification, TensorShape input, long seed, torch.Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(specification);
        var shapes = specification.Inputs(input);
        Runtime.TorchRuntime.EnsureLoaded();
        var model = new BuiltModel(specification, input, shapes[^1].Output, device ?? torch.CPU);
        try
        {
            for (var i = 0; i < specification.Nodes.Count; i++)
                model.Add(specification.Nodes[i], shapes[i].Inputs, seed);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Runs the model on a batch as in inference: dropout does nothing, normalisations use what was counted.</summary>
    public torch.Tensor Forward(torch.Tensor input) => Forward(input, training: false, until: null);

    /// <summary>Runs the model on a batch as in training.</summary>
    internal torch.Tensor Train(torch.Tensor input) => Forward(input, training: true, until: null);

    /// <summary>Runs the model up to what goes into one layer.</summary>
    internal torch.Tensor InputOf(string node, torch.Tensor input) => Forward(input, training: false, until: node);

    /// <inheritdoc/>
    public void Dispose()
    {
        _layers.ForEach(l => l.Module?.Dispose());
        _weights.ForEach(w => w.Tensor.Dispose());
        Random.Dispose();
    }

    private torch.Tensor Forward(torch.Tensor input, bool training, string? until)
    {
        var half = Half && training;
        var views = AllViews && !training && until is null;
        var values = new Dictionary<string, torch.Tensor>(StringComparer.Ordinal) { [ModelSpecification.InputId] = Input.IsImage ? ChannelsLast(input) : input };
        var (learning, resting) = (new ForwardPass(training, Random, Device) { Half = half, AllViews = views }, new ForwardPass(false, Random, Device) { Half = half, AllViews = views });
        var last = input;
        foreach (var layer in _layers)
        {
            if (layer.Node.Id == until)
                return values[layer.Node.From[0]];
            torch.Tensor[] inputs = [.. layer.Node.From.Select(from => values[from])];
            if (half && !layer.Node.Layer.TakesHalf)
                inputs = [.. inputs.Select(i => i.dtype == torch.ScalarType.BFloat16 ? i.to(torch.float32) : i)];
            // A frozen layer's running figures stay as they were learned.
            last = layer.Node.Layer.Forward(new(layer.Weights, layer.Module, layer.Node.Frozen ? resting : learning, layer.Node.Layer.TakesHalf), inputs);
            values[layer.Node.Id] = last;
        }

        return half && last.dtype == torch.ScalarType.BFloat16 ? last.to(torch.float32) : last;
    }

    /// <summary>The same numbers, in memory pixel by pixel: convolutions, poolings and normalisations keep that order, and are faster in it.</summary>
    private static torch.Tensor ChannelsLast(torch.Tensor images) => images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2);

    private void Add(GraphNode node, IReadOnlyList<TensorShape> inputs, long seed)
    {
        using var scope = torch.NewDisposeScope();
        using var noGradients = torch.no_grad();
        var module = node.Layer.CreateModule(inputs);
        module?.to(Device);
        var own = module?.named_parameters().ToDictionary(p => p.name, p => (torch.Tensor)p.parameter, StringComparer.Ordinal);
        var byName = new Dictionary<string, torch.Tensor>(StringComparer.Ordinal);
        foreach (var weight in node.Layer.Weights(inputs))
        {
            var name = $"{node.Id}.{weight.Name}";
            var rule = node.Initialisation?.For(weight.Role);
            if (rule?.Kind == InitialKind.Dirac && weight.Shape.Count < 3)
                throw new ProblemException(ProblemCodes.SpecificationInvalid, $"The layer '{node.Id}' ({node.Layer.Description}) cannot begin with 'dirac', which is for convolutions.", ("layerId", node.Id));
            var values = InitialWeights.Draw(weight, rule, node.Initialisation?.Gain ?? 1, Seeds.Generator(seed, name));
            using var drawn = torch.tensor(values, [.. weight.Shape]);
            var tensor = own?[weight.Name] ?? drawn.to(Device, copy: true);
            if (own is not null)
                tensor.copy_(drawn);
            var trained = weight.Role != WeightRole.Statistic && !node.Frozen;
            tensor.requires_grad_(trained);
            tensor.DetachFromDisposeScope();
            byName[weight.Name] = tensor;
            _weights.Add(new(name, node.Id, weight.Role, trained, tensor));
        }

        _layers.Add(new(node, byName, module));
    }

    private sealed record BuiltLayer(GraphNode Node, IReadOnlyDictionary<string, torch.Tensor> Weights, torch.nn.Module? Module);
}

/// <summary>A weight of a built model.</summary>
/// <param name="Name"><c>layer.weight</c>: the layer's id and the weight's name.</param>
/// <param name="Layer">The layer's id.</param>
/// <param name="Role">What it is for.</param>
/// <param name="Trained">False for frozen weights and running figures.</param>
/// <param name="Tensor">The values, owned by the model.</param>
public sealed record ModelWeight(string Name, string Layer, WeightRole Role, bool Trained, torch.Tensor Tensor);
