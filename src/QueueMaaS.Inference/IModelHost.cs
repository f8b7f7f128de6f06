using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Preparation.Images;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Jobs.Estimation;

namespace QueueMaaS.Inference;

/// <summary>A model version as it is served.</summary>
/// <param name="Name">The model's name.</param>
/// <param name="Version">Its version; a version never changes.</param>
/// <param name="Path">Its ONNX file on this machine.</param>
/// <param name="Signature">What it takes and gives.</param>
/// <param name="Pipeline">How images, rows and texts become tensors and outputs become answers; null where it takes and gives tensors only.</param>
/// <param name="Batching">Limits of its batches.</param>
/// <param name="Card">What was found out about it; null where nothing was.</param>
public sealed record ServedModel(
    string Name, int Version, string Path, ModelSignature Signature, ModelPipeline? Pipeline, BatchingSettings Batching, ModelCard? Card = null)
{
    /// <summary>The version's file, <c>sha256:…</c>; null where it is no registered version.</summary>
    public string? Artifact { get; init; }

    /// <summary>Requests are not put together: the model takes no batches, or its rows were found to influence each other.</summary>
    public bool IsSingle => Batching.MaxBatchSize == 1 || (Card?.Batch is { Batched: false } && !Batching.IgnoreBatchCheck);

    /// <summary>Requests are padded along the ragged axis, so that those of different lengths share batches.</summary>
    public bool IsPadded => Batching.Ragged is not null && (Card?.Padding is not { Batched: false } || Batching.IgnoreBatchCheck);

    /// <summary>It computes in a process of its own.</summary>
    public bool IsIsolated(InferenceOptions options) => options?.Isolation switch
    {
        "all" => true,
        "none" => false,
        _ => Card?.Isolation is { Isolated: true },
    };

    /// <summary>Tells served models apart: versions of one name and number in different tenants may have different files or settings.</summary>
    public string Key { get; } = $"{Name}@{Version}|{Path}|{JsonSerializer.Serialize(Batching, QueueMaaSJson.Relaxed)}";

    /// <summary>A registered version whose file lies at <paramref name="path"/>.</summary>
    public static ServedModel Of(ModelVersion version, string path)
    {
        ArgumentNullException.ThrowIfNull(version);
        return new(version.Name, version.Version, path, version.Signature, version.Pipeline, version.Batching, version.Card) { Artifact = version.Artifact };
    }
}

/// <summary>How a request is to be computed.</summary>
public sealed record InferenceCall
{
    /// <summary>0 to 9, higher first. Default 5.</summary>
    public int Priority { get; init; } = 5;
    /// <summary>Not computed from then on. Default: none.</summary>
    public DateTimeOffset? Deadline { get; init; }
    /// <summary>What is done once the deadline has passed. Default: as the model version says.</summary>
    public TimeoutAction? TimeoutAction { get; init; }
    /// <summary>Labels per row, 1 to 100. Default: the pipeline's, else 3.</summary>
    public int? TopK { get; init; }
    /// <summary>Names of the outputs wanted. Default: all; none for images, rows and texts where the pipeline makes an answer.</summary>
    public IReadOnlyList<string>? Outputs { get; init; }
    /// <summary>Called with the answer as the model gave it, before anything is made of it, on the way to the caller: it must not wait. Default: nobody.</summary>
    public Action<BatchResponse>? OnAnswer { get; init; }
}

/// <summary>Computes requests to any number of model versions: loads them on first use, batches concurrent requests, keeps the recently used in memory. Thread-safe; disposing of it finishes what was accepted.</summary>
public interface IModelHost : IAsyncDisposable
{
    /// <summary>Reads and checks a request; loads nothing.</summary>
    /// <param name="model">The version it is for.</param>
    /// <param name="input">The request.</param>
    /// <param name="files">What the request needs beside its JSON: an image that it refers to, the tokenizer for its texts.</param>
    /// <exception cref="ProblemException">As <see cref="InferenceRequestCheck.Check"/>, or <c>image_unreadable</c>.</exception>
    PreparedRequest Prepare(ServedModel model, InferenceInput input, RequestFiles? files = null);

    /// <summary>Checks tensors that are in memory already, and makes a request of them; loads nothing.</summary>
    /// <param name="model">The version it is for.</param>
    /// <param name="inputs">The model's inputs in any order.</param>
    /// <exception cref="ProblemException"><c>tensor_name_mismatch</c>, <c>tensor_datatype_mismatch</c> or <c>tensor_shape_mismatch</c>.</exception>
    PreparedRequest Prepare(ServedModel model, IReadOnlyList<TensorBuffer> inputs);

    /// <summary>Computes a prepared request, in a batch with others where that fits, and gives the outputs as they are: all of them, in the model's order. <see cref="InferenceCall.TopK"/> and <see cref="InferenceCall.Outputs"/> are not looked at.</summary>
    /// <exception cref="ProblemException">As <see cref="InferAsync"/>.</exception>
    Task<BatchResponse> RunAsync(ServedModel model, PreparedRequest request, InferenceCall call, CancellationToken cancellationToken = default);

    /// <summary>Loads the model now, so that the first request does not wait for it.</summary>
    /// <exception cref="ProblemException"><c>not_an_onnx_model</c> or <c>unsupported_operator</c>.</exception>
    Task LoadAsync(ServedModel model, CancellationToken cancellationToken = default);

    /// <summary>Computes a prepared request, in a batch with others where that fits.</summary>
    /// <exception cref="ProblemException"><c>model_execution_failed</c>, <c>deadline_exceeded</c>, <c>queue_full</c>, <c>not_an_onnx_model</c>, <c>unsupported_operator</c> or <c>invalid_value</c>.</exception>
    Task<InferenceOutput> InferAsync(ServedModel model, PreparedRequest request, InferenceCall call, CancellationToken cancellationToken = default);

    /// <summary>When a request that came now would be computed; null where the model is not in memory or too few of its batches were measured.</summary>
    BatchEstimate? Estimate(ServedModel model, PreparedRequest request, InferenceCall call);

    /// <summary>How busy the versions in memory are whose cost has been measured.</summary>
    /// <param name="now">The time to put on the reports.</param>
    IReadOnlyList<ModelLoad> Loads(DateTimeOffset now);

    /// <summary>What was computed since the process started, by model version.</summary>
    IReadOnlyList<ModelStatistics> Statistics();

    /// <summary>Makes a request of an image that is decoded already.</summary>
    /// <param name="model">A version with an image pipeline.</param>
    /// <param name="planar">Bytes, channels × height × width, in the pipeline's size.</param>
    /// <exception cref="ProblemException"><c>image_input_unsupported</c>.</exception>
    PreparedRequest PreparePixels(ServedModel model, ReadOnlySpan<byte> planar);

    /// <summary>Makes a request of an image that was brought to the model's size already.</summary>
    /// <param name="model">A version with an image pipeline.</param>
    /// <param name="image">Its pixels, and where the original lies in them.</param>
    /// <exception cref="ProblemException"><c>image_input_unsupported</c>.</exception>
    PreparedRequest PrepareImage(ServedModel model, PlacedImage image);
}
