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

        if (TooNew(exception.Message) is { } tooNew)
            return new(Problem.Create(ProblemCodes.UnsupportedOperator, tooNew), exception);
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

    /// <summary>What the runtime says of a model that is newer than it is advice for its own developers; null where it is not that.</summary>
    private static string? TooNew(string message)
    {
        if (NewerOperators().Match(message) is { Success: true } operators)
        {
            var (needs, most, domain) = (operators.Groups["needs"].Value, operators.Groups["most"].Value, operators.Groups["domain"].Value);
            var name = domain.Length == 0 || domain == "ai.onnx" ? "opset" : $"opset of domain '{domain}',";
            return $"The model needs {name} {needs}, and ONNX Runtime {RuntimeVersion()} knows up to {most}. Export it with opset {most} or lower (in PyTorch: torch.onnx.export(…, opset_version={most})).";
        }

        return NewerFormat().Match(message) is { Success: true } format
            ? $"The model is in version {format.Groups["needs"].Value} of the ONNX file format (IR version), and ONNX Runtime {RuntimeVersion()} reads up to {format.Groups["most"].Value}. Export it with an older version of the onnx package, or with its `ir_version` set to {format.Groups["most"].Value}."
            : null;
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

    [GeneratedRegex(@"Opset (?<needs>\d+) is under development.*Current official support for domain (?<domain>\S*) is till opset (?<most>\d+)", RegexOptions.ExplicitCapture | RegexOptions.Singleline, 1000)]
    private static partial Regex NewerOperators();

    [GeneratedRegex(@"Unsupported model IR version: (?<needs>\d+), max supported IR version: (?<most>\d+)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex NewerFormat();

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
