using System.Text.RegularExpressions;
using Microsoft.ML.OnnxRuntime;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Models;

/// <summary>Reads a signature from a loaded session, and whether its first axes are one batch axis.</summary>
internal static partial class SignatureReader
{
    /// <summary>Names, datatypes and shapes. Weights that old files list among the inputs are not inputs.</summary>
    /// <exception cref="ProblemException"><c>unsupported_operator</c>: an input or output is no tensor, or of a datatype that the protocol does not have.</exception>
    public static ModelSignature Read(InferenceSession session) => new(
        session.InputNames.Select(n => Read("input", n, session.InputMetadata[n])).ToArray(),
        session.OutputNames.Select(n => Read("output", n, session.OutputMetadata[n])).ToArray());

    /// <summary>
    /// True where every input and output has a free first axis, and those whose axis has a name all have the same one.
    /// Exporters leave outputs with made-up names, which say nothing; whether the rows come back one for one is then seen when the model runs.
    /// </summary>
    public static bool HasBatchAxis(InferenceSession session)
    {
        var inputs = session.InputMetadata.Values;
        var outputs = session.OutputMetadata.Values;
        if (session.InputNames.Count == 0 || inputs.Concat(outputs).Any(m => m.Dimensions.Length == 0 || m.Dimensions[0] >= 0))
            return false;
        var given = inputs.Select(AxisName).ToHashSet(StringComparer.Ordinal);
        given.Remove("");
        return given.Count <= 1
            && (given.Count == 0 || outputs.Select(AxisName).All(n => n.Length == 0 || given.Contains(n) || MadeUp().IsMatch(n)));
    }

    private static string AxisName(NodeMetadata metadata) => metadata.SymbolicDimensions[0] ?? "";

    [GeneratedRegex(@"^unk_|_dim_\d+$", RegexOptions.None, 1000)]
    private static partial Regex MadeUp();

    private static TensorSignature Read(string kind, string name, NodeMetadata metadata)
    {
        if (metadata.OnnxValueType != OnnxValueType.ONNX_TYPE_TENSOR)
        {
            throw new ProblemException(
                ProblemCodes.UnsupportedOperator,
                $"The model's {kind} '{name}' is not a tensor but a {metadata.OnnxValueType.ToString().Replace("ONNX_TYPE_", "", StringComparison.Ordinal).ToLowerInvariant()}. Export the model with tensors only (for scikit-learn models: convert with zipmap=False).",
                (kind, name));
        }

        var datatype = TensorDatatype.Find(metadata.ElementDataType) ?? throw new ProblemException(
            ProblemCodes.UnsupportedOperator,
            $"The model's {kind} '{name}' has the element type {metadata.ElementDataType}, which the Open Inference Protocol does not have. Cast it to one of {TensorDatatype.Names} when exporting.",
            (kind, name), ("datatype", metadata.ElementDataType.ToString()));
        return new(name, datatype.Name, metadata.Dimensions.Select(d => d < 0 ? -1L : d).ToArray());
    }
}
