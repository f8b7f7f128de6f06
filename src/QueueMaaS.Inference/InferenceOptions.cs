using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Inference;

/// <summary>How models are run (configuration section <c>Inference</c>).</summary>
public sealed class InferenceOptions
{
    public const string Section = "Inference";

    /// <summary>Model versions held in memory; beyond it the idle one unused for longest is unloaded. Default 8.</summary>
    [Range(1, 1024)]
    public int MaxLoadedModels { get; set; } = 8;

    /// <summary>Memory for the weights of the models held, in bytes, counted by their files; beyond it the idle one unused for longest is unloaded. A model larger than that is held alone. Default 0: half of the memory that the process may use.</summary>
    [Range(0, long.MaxValue)]
    public long MaxLoadedBytes { get; set; }

    /// <summary>Compute made-up rows when a model is loaded, so that the first requests find its memory and its measured cost ready. Default true.</summary>
    public bool WarmUp { get; set; } = true;

    /// <summary>The longest that one batch may take to compute; then it is stopped and fails with <c>model_run_timeout</c>. After three in a row the model's requests are refused for five minutes. Default 1 minute.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "1.00:00:00")]
    public TimeSpan RunTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Which models run in processes of their own, with limits on their memory and time: <c>auto</c> those that were uploaded and whose card says so (loops, sizes that come from the values of a request, memory that one batch may not have), <c>all</c>, or <c>none</c>.
    /// Uploads are looked at in such a process too, except with <c>none</c>. Default <c>auto</c>.
    /// </summary>
    [AllowedValues("auto", "all", "none", ErrorMessage = "Inference:Isolation must be auto, all or none.")]
    public string Isolation { get; set; } = "auto";

    /// <summary>Most memory that a model in a process of its own may take, in bytes (on Linux, and with <c>Provider</c> <c>cpu</c>; elsewhere there is no limit). A run that needs more fails with <c>out_of_memory</c>. Default 0: half of the memory that the worker may use.</summary>
    [Range(0, long.MaxValue)]
    public long ModelMemoryBytes { get; set; }

    /// <summary>The longest that a model in a process of its own may take to be loaded. Default 5 minutes.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan LoadTimeout { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>What computes: <c>cpu</c>, <c>cuda</c> or <c>tensorrt</c>. The last two need a build with <c>-p:Accelerator=cuda</c> and a GPU. Default <c>cpu</c>.</summary>
    [AllowedValues("cpu", "cuda", "tensorrt", ErrorMessage = "Inference:Provider must be cpu, cuda or tensorrt.")]
    public string Provider { get; set; } = "cpu";

    /// <summary>Which GPU, counted from 0. Default 0.</summary>
    [Range(0, 255)]
    public int DeviceId { get; set; }

    /// <summary>Most GPU memory that a model version's arena may hold, in bytes. Default 0: no limit of its own.</summary>
    [Range(0, long.MaxValue)]
    public long DeviceMemoryBytes { get; set; }

    /// <summary>Record the kernels of a batch once and replay them (CUDA graphs): faster for small models of fixed shapes, refused by ONNX Runtime for models with control flow. Default false.</summary>
    public bool CudaGraphs { get; set; }

    /// <summary>Where TensorRT keeps the engines that it builds, so that a restart does not build them again. Default: nowhere.</summary>
    public string? TensorRtCache { get; set; }

    /// <summary>
    /// Batches of one model version that run at the same time. Default 0: on a CPU as many as there are cores, four at most, for models of up to 16 MiB, whose single operators are too small to share well between threads;
    /// else 1, since one batch already uses every core.
    /// </summary>
    [Range(0, 64)]
    public int Instances { get; set; }

    /// <summary>Threads that share one batch's computation. Default 0: as many as there are cores, divided by the instances.</summary>
    [Range(0, 1024)]
    public int IntraOpThreads { get; set; }

    /// <summary>Most rows queued in one model version's batcher. A larger request enters an empty queue in parts. Default 4,096.</summary>
    [Range(1, 10_000_000)]
    public int MaxQueueRows { get; set; } = 4096;

    /// <summary>Most memory held by the tensors queued in one model version's batcher, in bytes. Default 256 MiB.</summary>
    [Range(1024, long.MaxValue)]
    public long MaxQueueBytes { get; set; } = 256L << 20;

    /// <summary>Most memory for kept answers of model versions with <c>batching.cacheSeconds</c>, in bytes; beyond it those unused for longest go. Default 64 MiB.</summary>
    [Range(0, long.MaxValue)]
    public long MaxCacheBytes { get; set; } = 64L << 20;

    /// <summary>Most bytes of one answer: of its tensors together, and, where they are written as JSON, of that. What would be larger fails with <c>answer_too_large</c>, before it is copied or written. The items of a batch job are answers of their own. Default 64 MiB.</summary>
    [Range(1024, 1 << 30)]
    public long MaxAnswerBytes { get; set; } = 64L << 20;

    /// <summary>True: a full queue refuses with <c>queue_full</c>. Default false: callers wait for room, so that the pressure goes back to the broker.</summary>
    public bool RejectWhenFull { get; set; }

    /// <summary>Messages of inference pointers handled at the same time by one worker. Default 64.</summary>
    [Range(1, 4096)]
    public int Prefetch { get; set; } = 64;
}
