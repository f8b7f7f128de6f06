using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Isolation;

namespace QueueMaaS.Inference.Sessions;

/// <summary>Loads models, in this process or in processes of their own.</summary>
/// <param name="processes">How such a process is started; without it all models run in this process.</param>
/// <param name="log">Told of processes that end.</param>
public sealed partial class ModelLoader(ModelProcessStart? processes = null, ILogger<ModelLoader>? log = null)
{
    private readonly ILogger _log = log ?? NullLogger<ModelLoader>.Instance;

    /// <summary>True where models can have processes of their own.</summary>
    public bool CanIsolate => processes is not null;

    /// <summary>Loads the model in the file at <paramref name="path"/>.</summary>
    /// <param name="path">An ONNX file.</param>
    /// <param name="intraOpThreads">Threads within an operator on the CPU, at least 1.</param>
    /// <param name="options">Device and limits.</param>
    /// <param name="isolated">In a process of its own, where there can be one.</param>
    /// <param name="ended">Told how such a process ended that should not have. Default: only the log is.</param>
    /// <exception cref="ProblemException"><c>not_an_onnx_model</c> or <c>unsupported_operator</c>; in a process of its own also <c>out_of_memory</c>, <c>model_process_ended</c> or <c>model_run_timeout</c>.</exception>
    public IOnnxModel Load(string path, int intraOpThreads, InferenceOptions options, bool isolated, Action<string>? ended = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (!isolated || processes is null)
            return OnnxModel.Load(path, intraOpThreads, options);
        if (!File.Exists(path))
            throw new FileNotFoundException("There is no such model file.", path);
        var memory = MemoryFor(options);
        var order = new ModelProcessOrder { Path = path, Socket = "", IntraOpThreads = intraOpThreads, MemoryBytes = options.Provider == "cpu" ? memory : 0, Options = options };
        return new IsolatedModel(() => Start(order, options.LoadTimeout), options.RunTimeout, memory, options.MaxAnswerBytes, how =>
        {
            SayEnded(path, how);
            ended?.Invoke(how);
        });
    }

    /// <summary>What a model in a process of its own may take.</summary>
    internal static long MemoryFor(InferenceOptions options) => OrHalf(options.ModelMemoryBytes);

    /// <summary>The bytes that are set, or, for 0, half of the memory that the process may use.</summary>
    internal static long OrHalf(long bytes) => bytes > 0 ? bytes : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2;

    private ModelProcess Start(ModelProcessOrder order, TimeSpan limit)
    {
        for (var again = false; ; again = true)
        {
            try
            {
                return ModelProcess.Start(processes!, order, limit);
            }
            catch (ProblemException e) when (e.Problem.Code == ProblemCodes.ModelProcessEnded)
            {
                SayEnded(order.Path, e.InnerException?.Message ?? e.Message);
                // As with runs: the machine may have ended it for want of memory, so only a model that does it twice is to blame.
                if (again)
                    throw;
            }
        }
    }

    [LoggerMessage(LogLevel.Warning, "The process of the model in {Path} ended: {How}")]
    private partial void SayEnded(string path, string how);
}
