using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>The usual functions of one number.</summary>
public enum Activation
{
    /// <summary>max(x, 0).</summary>
    Relu,
    /// <summary>min(max(x, 0), 6).</summary>
    Relu6,
    /// <summary>x·Φ(x), exact (arXiv 1606.08415).</summary>
    Gelu,
    /// <summary>x·sigmoid(x).</summary>
    Silu,
    /// <summary>The hyperbolic tangent.</summary>
    Tanh,
    /// <summary>1 ÷ (1 + e⁻ˣ).</summary>
    Sigmoid,
    /// <summary>x above 0, slope·x below.</summary>
    LeakyRelu,
    /// <summary>x above 0, slope·(eˣ − 1) below (arXiv 1511.07289).</summary>
    Elu,
    /// <summary>x·min(max(x + 3, 0), 6) ÷ 6 (arXiv 1905.02244).</summary>
    HardSwish,
    /// <summary>min(max(x + 3, 0), 6) ÷ 6.</summary>
    HardSigmoid,
    /// <summary>ln(1 + eˣ).</summary>
    Softplus,
    /// <summary>x·tanh(softplus(x)) (arXiv 1908.08681).</summary>
    Mish,
}

/// <summary>Activations in TorchSharp and in ONNX.</summary>
internal static class ActivationFunctions
{
    public static string NameOf(Activation function) => char.ToLowerInvariant(function.ToString()[0]) + function.ToString()[1..];

    public static torch.Tensor Apply(LayerRun run, Activation function, double? slope, torch.Tensor x) => function switch
    {
        Activation.Relu => x.relu(),
        Activation.Relu6 => x.relu6(),
        Activation.Gelu => functional.gelu(x),
        Activation.Silu => functional.silu(x),
        Activation.Tanh => x.tanh(),
        Activation.Sigmoid => x.sigmoid(),
        Activation.LeakyRelu => x.maximum(x.mul(run.Number(slope ?? 0.01))),
        // x − relu(x) is the part below zero: no infinity can arise in the branch that is not taken.
        Activation.Elu => x.relu().add(x.sub(x.relu()).expm1().mul(run.Number(slope ?? 1))),
        Activation.HardSwish => functional.hardswish(x),
        Activation.HardSigmoid => functional.hardsigmoid(x),
        Activation.Softplus => functional.softplus(x),
        Activation.Mish => functional.mish(x),
        _ => throw new ArgumentOutOfRangeException(nameof(function), function, null),
    };

    public static string Write(OnnxGraphWriter graph, Activation function, double? slope, string x, string prefix)
    {
        switch (function)
        {
            case Activation.Relu6:
                return graph.Node("Clip", [x, graph.Constant(prefix + "zero", [0], []), graph.Constant(prefix + "six", [6], [])]);
            case Activation.Gelu:
                var erf = graph.Node("Erf", [graph.Node("Mul", [x, graph.Constant(prefix + "root", [(float)Math.Sqrt(0.5)], [])])]);
                var half = graph.Node("Mul", [x, graph.Constant(prefix + "half", [0.5f], [])]);
                return graph.Node("Mul", [half, graph.Node("Add", [erf, graph.Constant(prefix + "one", [1], [])])]);
            case Activation.Silu:
                return graph.Node("Mul", [x, graph.Node("Sigmoid", [x])]);
            case Activation.LeakyRelu:
                return graph.Node("LeakyRelu", [x], OnnxAttribute.Float("alpha", slope ?? 0.01));
            case Activation.Elu:
                return graph.Node("Elu", [x], OnnxAttribute.Float("alpha", slope ?? 1));
            case Activation.HardSigmoid:
                return graph.Node("HardSigmoid", [x], OnnxAttribute.Float("alpha", 1.0 / 6), OnnxAttribute.Float("beta", 0.5));
            case Activation.Mish:
                return graph.Node("Mul", [x, graph.Node("Tanh", [graph.Node("Softplus", [x])])]);
            default:
                return graph.Node(function.ToString(), [x]);
        }
    }
}
