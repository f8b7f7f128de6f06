using Microsoft.ML.OnnxRuntime;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Models;

namespace QueueMaaS.Inference.Sessions;

/// <summary>A model in memory: its weights and its plan, shared by all of its <see cref="OnnxSession"/>s.</summary>
public sealed class OnnxModel : IOnnxModel
{
    private static readonly TimeSpan WithoutSettings = TimeSpan.FromSeconds(10);

    private OnnxModel(InferenceSession session, TimeSpan runLimit, long maxAnswerBytes)
    {
        Session = session;
        MaxAnswerBytes = maxAnswerBytes;
        Guard = new RunGuard(runLimit);
        Signature = SignatureReader.Read(session);
        HasBatchAxis = SignatureReader.HasBatchAxis(session);
    }

    /// <inheritdoc/>
    public ModelSignature Signature { get; }

    /// <inheritdoc/>
    public bool HasBatchAxis { get; }

    internal InferenceSession Session { get; }

    /// <summary>As <see cref="InferenceOptions.MaxAnswerBytes"/>.</summary>
    internal long MaxAnswerBytes { get; }

    /// <summary>What keeps its runs within their time.</summary>
    internal RunGuard Guard { get; private set; }

    /// <inheritdoc/>
    public void Limit(TimeSpan run) => Guard = new RunGuard(run);

    /// <inheritdoc/>
    public IModelInstance NewInstance() => new OnnxSession(this);

    /// <summary>Loads the model in the file at <paramref name="path"/>.</summary>
    /// <param name="path">An ONNX file without external data.</param>
    /// <param name="intraOpThreads">Threads within an operator on the CPU, at least 1.</param>
    /// <param name="options">Say which device computes, how long a run may take, and how large an answer may be. Default: the CPU, 10 s, no limit.</param>
    /// <exception cref="ProblemException"><c>not_an_onnx_model</c> or <c>unsupported_operator</c>.</exception>
    public static OnnxModel Load(string path, int intraOpThreads, InferenceOptions? options = null)
    {
        var session = Open(path, intraOpThreads, options);
        try
        {
            return new(session, options?.RunTimeout ?? WithoutSettings, options?.MaxAnswerBytes ?? AnswerLimit.None);
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Session.Dispose();

    internal static InferenceSession Open(string path, int intraOpThreads, InferenceOptions? inference = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(intraOpThreads, 1);
        if (!File.Exists(path))
            throw new FileNotFoundException("There is no such model file.", path);
        using var options = new SessionOptions
        {
            IntraOpNumThreads = intraOpThreads,
            InterOpNumThreads = 1,
            ExecutionMode = ExecutionMode.ORT_SEQUENTIAL,
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
            // What fails is told to the caller; the runtime's own lines on standard error would only repeat it, with source positions.
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
        };
        try
        {
            if (inference is not null)
                ExecutionProvider.AddTo(options, inference);
            return new(path, options);
        }
        catch (OnnxRuntimeException e)
        {
            throw OnnxFailure.OnLoad(e, path);
        }
    }
}
