using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Estimation;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Dispatch;

/// <summary>What a job will probably cost in seconds of computing: from what the workers measured of its model's batches, else a guess by kind. Asked at every job, so it answers from memory and looks again beside.</summary>
public sealed partial class PredictedCosts(IModelCatalog models, ILoadBoard board, TimeProvider time, ILogger<PredictedCosts> logger)
{
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(5);
    private readonly ConcurrentDictionary<(string Tenant, string Model), Known> _known = new();

    /// <summary>A guess for what no worker has measured yet.</summary>
    public static double Guess(JobKind kind) => kind switch { JobKind.Inference => 0.001, JobKind.Chunk => 0.1, JobKind.Batch or JobKind.Sweep => 0.01, _ => 60 };

    public double Of(JobPointer pointer) => Of(pointer.Kind, pointer.Tenant, pointer.Model);

    /// <summary>What one job of this kind, tenant and model will probably cost.</summary>
    public double Of(JobKind kind, string tenant, string? named)
    {
        if (kind != JobKind.Inference || named is not { } model)
            return Guess(kind);
        var key = (tenant, model);
        var known = _known.GetOrAdd(key, static _ => new Known(Guess(JobKind.Inference), 0));
        if ((known.At == 0 || time.GetElapsedTime(known.At) > Fresh) && _known.TryUpdate(key, known with { At = time.GetTimestamp() }, known))
            _ = LookAsync(key);
        return known.Seconds;
    }

    /// <summary>The same, or null where it would be a guess: no worker has measured the model's batches yet.</summary>
    public double? Measured(JobPointer pointer)
    {
        var seconds = Of(pointer);
        return pointer.Model is { } model && _known.TryGetValue((pointer.Tenant, model), out var known) && known.IsMeasured ? seconds : null;
    }

    private async Task LookAsync((string Tenant, string Model) key)
    {
        try
        {
            if (!VersionReference.TryParse(key.Model, out var reference) || await models.FindAsync(key.Tenant, reference, CancellationToken.None) is not { } version)
                return;
            var loads = await board.FindAsync(version.Artifact, CancellationToken.None);
            if (loads.Count > 0)
                _known[key] = new Known(loads.Average(load => load.PerRow + (load.PerBatch / load.BatchSize)), time.GetTimestamp(), IsMeasured: true);
        }
        catch (Exception exception)
        {
            LogLookFailed(logger, key.Model, exception.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "What jobs of {Model} cost could not be looked up ({Reason}); the last figure stands")]
    private static partial void LogLookFailed(ILogger logger, string model, string reason);

    private sealed record Known(double Seconds, long At, bool IsMeasured = false);
}
