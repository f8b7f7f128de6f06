using System.Text.RegularExpressions;
using Microsoft.ML.OnnxRuntime;
using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Models;

/// <summary>Turns what ONNX Runtime says into what a user can act on; paths of this machine stay out of it.</summary>
internal static partial class OnnxFailure
{
    private const int MaxLength = 400;

    /// <summary>A model that cannot be loaded.</summary>
    public static ProblemException OnLoad(OnnxRuntimeException exception, string path)
    {
        var message = Clean(exception.Message, path);
        foreach (var pattern in (Regex[])[NotRegistered(), NoImplementation(), NotAFunction()])
        {
            var match = pattern.Match(message);
            if (match.Success)
            {
                var name = match.Groups["name"].Value;
                return new(Problem.Create(
                    ProblemCodes.UnsupportedOperator,
                    $"The model uses the operator '{name}', which ONNX Runtime {RuntimeVersion()} does not have (in the operator set and datatype that the model asks for). Export it with standard operators, or with an older operator set.",
                    ("operator", name)), exception);
            }
        }

        if (message.Contains("IR version", StringComparison.OrdinalIgnoreCase) || message.Contains("under development", StringComparison.OrdinalIgnoreCase))
        {
            return new(Problem.Create(
                ProblemCodes.UnsupportedOperator,
                $"The model is newer than ONNX Runtime {RuntimeVersion()}: {message} Export it with an older operator set or format version."), exception);
        }

        return new(Problem.Create(
            ProblemCodes.NotAnOnnxModel, $"The file has the form of an ONNX model, but ONNX Runtime cannot load it: {message} Export the model again and check it (in Python: onnx.checker.check_model)."), exception);
    }

    /// <summary>A computation that failed.</summary>
    public static ProblemException OnRun(Exception exception)
    {
        var message = Clean(exception.Message, path: null);
        if (message.Contains("Failed to allocate memory", StringComparison.OrdinalIgnoreCase) || message.Contains("bad_alloc", StringComparison.Ordinal) || message.Contains("bad allocation", StringComparison.Ordinal))
        {
            return new(Problem.Create(
                ProblemCodes.OutOfMemory, $"The memory did not suffice for the model's computation on this input: {message} Send fewer rows at a time, set a smaller `batching.maxBatchSize`, or give it more memory (Inference:ModelMemoryBytes, where the model has a process of its own)."), exception);
        }

        return new(Problem.Create(
            ProblemCodes.ModelExecutionFailed, $"The model's computation failed on this input: {message} Check the input's values and sizes against what the model was made for."), exception);
    }

    private static string Clean(string message, string? path)
    {
        var text = ErrorCode().Replace(message, "");
        if (path is not null)
            text = text.Replace(path, "the model", StringComparison.Ordinal);
        var status = text.IndexOf("Status Message: ", StringComparison.Ordinal);
        if (status >= 0)
            text = $"{Node().Match(text).Value} {text[(status + "Status Message: ".Length)..]}".Trim();
        // Source positions of the runtime's own build tell a user nothing.
        text = SourcePosition().Replace(text, "");
        text = Whitespace().Replace(text, " ").Trim();
        if (text.Length > MaxLength)
            text = text[..MaxLength] + "…";
        return text.EndsWith('.') || text.EndsWith('…') ? text : text + ".";
    }

    private static string RuntimeVersion() => OrtEnv.Instance().GetVersionString();

    [GeneratedRegex(@"No Op registered for (?<name>\S+) with domain_version", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex NotRegistered();

    [GeneratedRegex(@"Could not find an implementation for (?<name>[^\s(]+)\(", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex NoImplementation();

    [GeneratedRegex(@"(?<name>[^\s(]+)\(-?\d+\) is not a registered function/op", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex NotAFunction();

    [GeneratedRegex(@"^\[ErrorCode:[^\]]*\]\s*", RegexOptions.None, 1000)]
    private static partial Regex ErrorCode();

    [GeneratedRegex(@"Node:'[^']*'|running \S+ node", RegexOptions.None, 1000)]
    private static partial Regex Node();

    [GeneratedRegex(@"\S*\.(cc|cpp|h|hpp):\d+\s*|onnxruntime::\S+\(.*?\)\s*(\[.*?\])?\s*", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex SourcePosition();

    [GeneratedRegex(@"\s+", RegexOptions.None, 1000)]
    private static partial Regex Whitespace();
}
