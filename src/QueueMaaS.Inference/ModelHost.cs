using System.ComponentModel.DataAnnotations;
using System.Diagnostics.Metrics;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Preparation.Answers;
using QueueMaaS.Inference.Preparation.Images;
using QueueMaaS.Inference.Sessions;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Jobs.Estimation;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Inference;

/// <inheritdoc cref="IModelHost"/>
public sealed class ModelHost : IModelHost, IInferenceDemand
{
    private readonly InferenceMetrics _metrics;
    private readonly ModelCache _models;
    private readonly AnswerReuse _answers;
    private readonly long _maxAnswerBytes;

    /// <summary>An empty host.</summary>
    /// <exception cref="ValidationException">An option is outside its range.</exception>
    public ModelHost(InferenceOptions options, TimeProvider? time = null, IMeterFactory? meters = null, ModelLoader? loader = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        Validator.ValidateObject(options, new ValidationContext(options), validateAllProperties: true);
        _metrics = new(meters);
        _maxAnswerBytes = options.MaxAnswerBytes;
        var maxBytes = ModelLoader.OrHalf(options.MaxLoadedBytes);
        _answers = new(options.MaxCacheBytes, time ?? TimeProvider.System, _metrics);
        _models = new(options.MaxLoadedModels, maxBytes, served => LoadedModel.Load(served, options, loader ?? new(), time ?? TimeProvider.System, _metrics));
        _metrics.Watch(() => _models.Count, () => _models.Bytes);
    }

    /// <summary>Model versions in memory or being loaded.</summary>
    public int LoadedModels => _models.Count;

    /// <inheritdoc/>
    public int Requests => _models.Users;

    /// <summary>True where the version is in memory.</summary>
    public bool IsLoaded(ServedModel model) => _models.Peek(model) is not null;

    /// <inheritdoc/>
    public PreparedRequest Prepare(ServedModel model, InferenceInput input, RequestFiles? files = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return RaggedPadding.Pad(model, InferenceRequestCheck.Prepare(model.Signature, model.Pipeline, input, files ?? new(), model.Batching.Ragged));
    }

    /// <inheritdoc/>
    public async Task<InferenceOutput> InferAsync(ServedModel model, PreparedRequest request, InferenceCall call, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(call);
        InferenceRequestCheck.CheckTopK(call.TopK);
        var answer = await RunAsync(model, request, call, cancellationToken);
        call.OnAnswer?.Invoke(answer);
        var made = PipelineAnswers.Read(model.Pipeline, answer.Outputs, call.TopK, request.Placement);
        var withOutputs = call.Outputs is not null || !request.FromPipeline || made.IsEmpty;
        return new()
        {
            Model = model.Name,
            Version = model.Version,
            Outputs = withOutputs ? Select(answer.Outputs, call.Outputs, _maxAnswerBytes) : null,
            Labels = made.Labels,
            Detections = made.Detections,
            Values = made.Values,
            Embeddings = made.Embeddings,
            Batch = answer.Receipt,
        };
    }

    /// <inheritdoc/>
    public PreparedRequest Prepare(ServedModel model, IReadOnlyList<TensorBuffer> inputs)
    {
        ArgumentNullException.ThrowIfNull(model);
        var signature = model.Batching.Ragged is { } ragged ? RaggedPadding.Expected(model.Signature, ragged, inputs.Select(static i => i.Name)) : model.Signature;
        return RaggedPadding.Pad(model, InferenceRequestCheck.FromBuffers(model.Signature, RaggedPadding.WithMask(model.Signature, model.Batching.Ragged, TensorReader.Match(inputs, signature))));
    }

    /// <inheritdoc/>
    public async Task LoadAsync(ServedModel model, CancellationToken cancellationToken = default)
    {
        using var lease = await _models.AcquireAsync(model, cancellationToken);
    }

    /// <inheritdoc/>
    public Task<BatchResponse> RunAsync(ServedModel model, PreparedRequest request, InferenceCall call, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(call);
        if (Refuse(model, request, call) is { } refusal)
            return Task.FromException<BatchResponse>(refusal);
        var reuses = model.Batching is not { ShareIdentical: false, CacheSeconds: 0 };
        // What most requests need is a single task.
        return reuses || request.UnpaddedLength is not null
            ? RunAsync(model, request, call, reuses, cancellationToken)
            : ComputeAsync(model, request, call, cancellationToken);
    }

    private async Task<BatchResponse> RunAsync(ServedModel model, PreparedRequest request, InferenceCall call, bool reuses, CancellationToken cancellationToken)
    {
        var response = await (reuses
            ? _answers.GetAsync(model, request, call, token => ComputeAsync(model, request, call, token), cancellationToken)
            : ComputeAsync(model, request, call, cancellationToken));
        return RaggedPadding.Cut(model, request, response);
    }

    private static ProblemException? Refuse(ServedModel model, PreparedRequest request, InferenceCall call)
    {
        if (call.Priority is < 0 or >= BatchQueue.Priorities)
            return new(ProblemCodes.InvalidValue, $"'priority' is {call.Priority}; it must be between 0 and {BatchQueue.Priorities - 1}.", ("field", "priority"));
        if (!model.Batching.RejectNonFinite || FiniteCheck.Find(request.Inputs) is not var (input, at))
            return null;
        return new(
            ProblemCodes.InvalidValue, $"Input '{input.Name}' has a number that is not finite (NaN or infinity) at place {at}, and the model version is set to refuse those (`batching.rejectNonFinite`).", ("input", input.Name), ("index", at));
    }

    private async Task<BatchResponse> ComputeAsync(ServedModel model, PreparedRequest request, InferenceCall call, CancellationToken cancellationToken)
    {
        using var lease = await _models.AcquireAsync(model, cancellationToken);
        return await lease.Model.Batcher.InferAsync(
            new()
            {
                Inputs = request.Inputs,
                Rows = Math.Max(1, request.Rows),
                Lane = request.Lane,
                Alone = !request.Batchable,
                Priority = call.Priority,
                Deadline = call.Deadline,
                RunLate = call.TimeoutAction is { } action ? action == TimeoutAction.RunLate : null,
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public BatchEstimate? Estimate(ServedModel model, PreparedRequest request, InferenceCall call)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(call);
        return _models.Peek(model)?.Batcher.Estimate(Math.Max(1, request.Rows), request.Lane, call.Priority);
    }

    /// <inheritdoc/>
    public IReadOnlyList<ModelLoad> Loads(DateTimeOffset now) => [.. _models.Loaded().Select(loaded => loaded.Load(now)).OfType<ModelLoad>()];

    /// <inheritdoc/>
    public IReadOnlyList<ModelStatistics> Statistics() => _metrics.Statistics();

    /// <inheritdoc/>
    public PreparedRequest PreparePixels(ServedModel model, ReadOnlySpan<byte> planar)
    {
        ArgumentNullException.ThrowIfNull(model);
        var pixels = ImagePixels.For(model.Signature, model.Pipeline);
        var placement = ImagePlacement.Of(model.Pipeline!.Image!.Width, model.Pipeline.Image.Height);
        return InferenceRequestCheck.FromImage(model.Signature, pixels, new(planar.ToArray(), placement));
    }

    /// <inheritdoc/>
    public PreparedRequest PrepareImage(ServedModel model, PlacedImage image)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(image);
        return InferenceRequestCheck.FromImage(model.Signature, ImagePixels.For(model.Signature, model.Pipeline), image);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _models.DisposeAsync();
        _answers.Dispose();
        _metrics.Dispose();
    }

    private static Tensor[] Select(IReadOnlyList<TensorBuffer> outputs, IReadOnlyList<string>? wanted, long mostBytes)
    {
        var chosen = wanted is null ? outputs : [.. wanted.Distinct(StringComparer.Ordinal).Select(name => outputs.FirstOrDefault(o => o.Name == name) ?? throw new ProblemException(
            ProblemCodes.TensorNameMismatch, $"The model has no output '{name}'. Its outputs are {string.Join(", ", outputs.Select(o => $"'{o.Name}'"))}."))];
        var written = new Tensor[chosen.Count];
        for (var i = 0; i < written.Length; i++)
            (written[i], mostBytes) = TensorWriter.Write(chosen[i], mostBytes);
        return written;
    }
}
