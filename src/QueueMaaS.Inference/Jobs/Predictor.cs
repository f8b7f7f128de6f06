using System.Diagnostics;
using System.Runtime.CompilerServices;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Models;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Preparation.Images;
using QueueMaaS.Inference.Preparation.Texts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Inference.Jobs;

/// <summary>Fetches what a request refers to (the model's file, an image, a tokenizer) and has it computed: what single jobs and the items of batch jobs share.</summary>
public sealed class Predictor(IModelHost host, IArtifactStore artifacts, TokenizerCache tokenizers)
{
    // The catalogue gives the same object for a version as long as it remembers it; what is made of it lives exactly as long.
    private readonly ConditionalWeakTable<ModelVersion, Known> _served = [];

    // A store that keeps copies of files on this machine keeps those that were asked for a short while ago: a model may be loaded anew at any time.
    private static readonly TimeSpan AskAgain = TimeSpan.FromMinutes(4);

    // No camera's file is larger, and the whole of it is in memory while it is decoded.
    private const long MaxImageBytes = 128L << 20;

    /// <summary>The version with its file on this machine.</summary>
    public async ValueTask<ServedModel> ServeAsync(ModelVersion version, CancellationToken cancellationToken)
    {
        if (_served.TryGetValue(version, out var known) && Stopwatch.GetElapsedTime(known.AskedAt) < AskAgain)
            return known.Model;
        var path = ModelPackage.Open(await artifacts.GetFileAsync(version.Artifact, cancellationToken));
        var served = known?.Model ?? ServedModel.Of(version, path);
        _served.AddOrUpdate(version, new Known(served, Stopwatch.GetTimestamp()));
        return served;
    }

    /// <summary>Reads and checks a request.</summary>
    public async Task<PreparedRequest> PrepareAsync(ServedModel model, InferenceInput input, CancellationToken cancellationToken)
    {
        // What needs a file is checked before that is read: a request that is wrong anyway costs no disk. The rest is checked while it is prepared.
        if (input.Image?.Artifact is not null || input.Text is not null || input.Texts is not null)
            InferenceRequestCheck.Check(model.Signature, model.Pipeline, input, model.Batching.Ragged);
        return host.Prepare(model, input, new RequestFiles
        {
            Image = input.Image?.Artifact is { } artifact ? await ReadImageAsync(artifact, cancellationToken) : null,
            Tokenizer = model.Pipeline?.Text is { } text && (input.Text is not null || input.Texts is not null) ? await tokenizers.GetAsync(text, cancellationToken) : null,
        });
    }

    /// <summary>Makes a request of an image in the model's size.</summary>
    public PreparedRequest PrepareImage(ServedModel model, PlacedImage image) => host.PrepareImage(model, image);

    /// <summary>Computes a request, in a batch with others where that fits.</summary>
    public Task<InferenceOutput> RunAsync(ServedModel model, PreparedRequest request, InferenceCall call, CancellationToken cancellationToken) =>
        host.InferAsync(model, request, call, cancellationToken);

    private sealed record Known(ServedModel Model, long AskedAt);

    private async Task<ReadOnlyMemory<byte>?> ReadImageAsync(string artifact, CancellationToken cancellationToken)
    {
        var path = await artifacts.GetFileAsync(artifact, cancellationToken);
        var length = new FileInfo(path).Length;
        return length <= MaxImageBytes
            ? await File.ReadAllBytesAsync(path, cancellationToken)
            : throw new ProblemException(ProblemCodes.TooLarge, $"`image.artifact` has {length} bytes; an image file of at most {MaxImageBytes >> 20} MiB is read. Make it smaller first.", ("bytes", length), ("limit", MaxImageBytes));
    }
}
