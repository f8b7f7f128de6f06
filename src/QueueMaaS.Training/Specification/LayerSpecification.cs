using System.Text.Json.Serialization;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Export;
using TorchSharp;

namespace QueueMaaS.Training.Specification;

/// <summary>
/// One layer of a model: what it does to shapes, which weights it has, how TorchSharp computes it and how ONNX writes it, in one place so that the two cannot drift apart.
/// A layer holds no weights. Its settings are its properties, which are also its members in the JSON of a job.
/// Nothing but <see cref="Forward"/> and <see cref="CreateModule"/> touches the native library: shapes are checked and models exported without it.
/// </summary>
public abstract record LayerSpecification
{
    /// <summary>The layer with its settings, as messages name it: <c>conv2d(32, kernel 3)</c>.</summary>
    [JsonIgnore]
    public abstract string Description { get; }

    /// <summary>How many inputs it takes, least and most. Default: one.</summary>
    [JsonIgnore]
    public virtual (int Least, int Most) InputCount => (1, 1);

    /// <summary>True where it takes token ids.</summary>
    [JsonIgnore]
    public virtual bool TakesTokens => false;

    /// <summary>True where a training in bfloat16 may hand it what a product gave as it is; others get single precision, which sums over many numbers need. Default false.</summary>
    [JsonIgnore]
    public virtual bool TakesHalf => false;

    /// <summary>The shape that comes out.</summary>
    /// <exception cref="LayerShapeException">What goes in does not fit.</exception>
    public abstract TensorShape Infer(IReadOnlyList<TensorShape> inputs);

    /// <summary>The weights it has for inputs of these shapes. Default: none.</summary>
    public virtual IReadOnlyList<WeightSpecification> Weights(IReadOnlyList<TensorShape> inputs) => [];

    /// <summary>A native module that computes the layer and holds its weights under the names of <see cref="Weights"/>; null where <see cref="Forward"/> computes with plain weights, as nearly all do.</summary>
    public virtual torch.nn.Module? CreateModule(IReadOnlyList<TensorShape> inputs) => null;

    /// <summary>Computes the layer on a batch.</summary>
    public abstract torch.Tensor Forward(LayerRun run, IReadOnlyList<torch.Tensor> inputs);

    /// <summary>Writes the layer's nodes with its weights and answers the name of their output.</summary>
    /// <param name="graph">Where to write.</param>
    /// <param name="inputs">The names of what goes in.</param>
    /// <param name="shapes">The shapes of what goes in.</param>
    public abstract string Write(OnnxGraphWriter graph, IReadOnlyList<string> inputs, IReadOnlyList<TensorShape> shapes);
}

/// <summary>A layer with one input, as nearly all are.</summary>
public abstract record SingleInputLayer : LayerSpecification
{
    /// <inheritdoc/>
    public sealed override TensorShape Infer(IReadOnlyList<TensorShape> inputs) => Infer((inputs ?? throw new ArgumentNullException(nameof(inputs)))[0]);

    /// <inheritdoc/>
    public sealed override IReadOnlyList<WeightSpecification> Weights(IReadOnlyList<TensorShape> inputs) => Weights((inputs ?? throw new ArgumentNullException(nameof(inputs)))[0]);

    /// <inheritdoc/>
    public sealed override torch.nn.Module? CreateModule(IReadOnlyList<TensorShape> inputs) => CreateModule((inputs ?? throw new ArgumentNullException(nameof(inputs)))[0]);

    /// <inheritdoc/>
    public sealed override torch.Tensor Forward(LayerRun run, IReadOnlyList<torch.Tensor> inputs) => Forward(run ?? throw new ArgumentNullException(nameof(run)), (inputs ?? throw new ArgumentNullException(nameof(inputs)))[0]);

    /// <inheritdoc/>
    public sealed override string Write(OnnxGraphWriter graph, IReadOnlyList<string> inputs, IReadOnlyList<TensorShape> shapes) =>
        Write(graph ?? throw new ArgumentNullException(nameof(graph)), (inputs ?? throw new ArgumentNullException(nameof(inputs)))[0], (shapes ?? throw new ArgumentNullException(nameof(shapes)))[0]);

    /// <summary>The shape that comes out.</summary>
    protected abstract TensorShape Infer(TensorShape input);

    /// <summary>The weights it has for an input of this shape.</summary>
    protected virtual IReadOnlyList<WeightSpecification> Weights(TensorShape input) => [];

    /// <summary>See the method of the same name for many inputs.</summary>
    protected virtual torch.nn.Module? CreateModule(TensorShape input) => null;

    /// <summary>Computes the layer on a batch.</summary>
    protected abstract torch.Tensor Forward(LayerRun run, torch.Tensor input);

    /// <summary>Writes the layer's nodes and answers the name of their output.</summary>
    protected abstract string Write(OnnxGraphWriter graph, string input, TensorShape shape);
}

/// <summary>What goes into a layer does not fit it. The model's inference adds the layer's place and makes it a <see cref="ProblemException"/>.</summary>
/// <param name="need">What the layer needs, as the end of "it needs …".</param>
public sealed class LayerShapeException(string need) : Exception(need);
