using TorchSharp;

namespace QueueMaaS.Training.Specification;

/// <summary>What a layer computes with in one pass: its weights, and whether the model is being trained.</summary>
public sealed class LayerRun
{
    private readonly IReadOnlyDictionary<string, torch.Tensor> _weights;
    private readonly ForwardPass _pass;

    private readonly bool _staysHalf;

    internal LayerRun(IReadOnlyDictionary<string, torch.Tensor> weights, torch.nn.Module? module, ForwardPass pass, bool staysHalf)
    {
        _weights = weights;
        _pass = pass;
        _staysHalf = staysHalf;
        Module = module;
    }

    /// <summary>True while training: dropout drops and batch norm counts.</summary>
    public bool Training => _pass.Training;

    /// <summary>The layer's native module, where it has one.</summary>
    public torch.nn.Module? Module { get; }

    /// <summary>A weight.</summary>
    public torch.Tensor this[string name] => _weights[name];

    /// <summary>A weight, or null where the layer has none of this name.</summary>
    public torch.Tensor? Optional(string name) => _weights.GetValueOrDefault(name);

    /// <summary>
    /// A number as a tensor. Numbers that TorchSharp passes as temporary <c>Scalar</c> objects may be freed by the garbage collector in the middle of the native call
    /// (docs/adr/0003); a tensor is held by the pass's dispose scope.
    /// </summary>
    public torch.Tensor Number(double value) => torch.tensor((float)value, device: _pass.Device);

    /// <summary>A linear map in the precision of the pass.</summary>
    public torch.Tensor Linear(torch.Tensor input, string weight, string? bias) =>
        Product((x, w, b) => torch.nn.functional.linear(x, w, b), input, weight, bias);

    /// <summary>Computes a product in the precision of the pass. What comes out is in it, too, where the layer takes such input (<see cref="LayerSpecification.TakesHalf"/>), else in single precision.</summary>
    public torch.Tensor Product(Func<torch.Tensor, torch.Tensor, torch.Tensor?, torch.Tensor> compute, torch.Tensor input, string weight, string? bias)
    {
        ArgumentNullException.ThrowIfNull(compute);
        var offset = bias is null ? null : Optional(bias);
        if (!_pass.Half)
            return compute(input, this[weight], offset);
        var product = compute(input.to(torch.bfloat16), this[weight].to(torch.bfloat16), offset?.to(torch.bfloat16));
        return _staysHalf ? product : product.to(torch.float32);
    }

    /// <summary>True where a model that averages over several views of its input is to do so: wherever it answers, but not while it is trained or watched.</summary>
    public bool AllViews => _pass.AllViews;

    /// <summary>Numbers from 0 up to 1, drawn by the step's own generator: the same for the same seed and step, whatever else the process draws.</summary>
    public torch.Tensor Uniform(ReadOnlySpan<long> shape) => torch.rand(shape, device: _pass.Device, generator: _pass.Random ?? throw new InvalidOperationException("Only a training pass has a generator."));
}

/// <summary>One pass through a model.</summary>
/// <param name="Training">True while training.</param>
/// <param name="Random">What dropout draws with; only needed while training.</param>
/// <param name="Device">Where the weights are.</param>
internal sealed record ForwardPass(bool Training, torch.Generator? Random, torch.Device Device)
{
    /// <summary>True: products in bfloat16.</summary>
    public bool Half { get; init; }

    /// <summary>True: the layers that look at several views of the input do so.</summary>
    public bool AllViews { get; init; }
}
