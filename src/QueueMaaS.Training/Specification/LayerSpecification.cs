using QueueMaaS.Contracts;
using QueueMaaS.Training.Export;
using TorchSharp;

namespace QueueMaaS.Training.Specification;

/// <summary>
/// One layer of a model: how it changes the shape, how TorchSharp computes it and how ONNX writes it, in one place so that the two cannot drift apart.
/// Nothing but <see cref="CreateModule"/> and <see cref="Write"/> touches the native library.
/// </summary>
public abstract record LayerSpecification
{
    /// <summary>The layer with its settings, as messages name it: <c>conv2d(32, kernel 3)</c>.</summary>
    public abstract string Description { get; }

    /// <summary>The shape that comes out.</summary>
    /// <exception cref="LayerShapeException">What goes in does not fit.</exception>
    public abstract TensorShape Infer(TensorShape input);

    /// <summary>Builds the layer with its first weights, drawn from <paramref name="random"/>.</summary>
    public abstract torch.nn.Module<torch.Tensor, torch.Tensor> CreateModule(TensorShape input, Random random);

    /// <summary>Appends the layer to <paramref name="graph"/>, with the weights of <paramref name="module"/>.</summary>
    public abstract void Write(OnnxGraphWriter graph, torch.nn.Module<torch.Tensor, torch.Tensor> module);
}

/// <summary>What goes into a layer does not fit it. The model's inference adds the layer's place and makes it a <see cref="ProblemException"/>.</summary>
/// <param name="need">What the layer needs, as the end of "it needs …".</param>
public sealed class LayerShapeException(string need) : Exception(need);
