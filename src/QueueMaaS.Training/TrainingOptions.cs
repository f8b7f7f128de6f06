using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Training;

/// <summary>The training worker (configuration section <c>Training</c>).</summary>
public sealed class TrainingOptions
{
    public const string Section = "Training";

    /// <summary>The share of time that a training keeps while this process has inference to do, above 0 up to 1. Between two steps it stands back for the rest. 1: it never does. Default 0.25.</summary>
    [Range(0.01, 1)]
    public double ShareWhileInferring { get; set; } = 0.25;

    /// <summary>Decoded images are kept in files of at most so many bytes together, so that a second training on them starts at once. 0: none are. Default 4 GiB.</summary>
    [Range(0, long.MaxValue)]
    public long ImageCacheBytes { get; set; } = 4L << 30;

    /// <summary>Where those files are. Default: <c>queuemaas/images</c> in the user's cache folder (<c>XDG_CACHE_HOME</c>).</summary>
    public string? ImageCacheFolder { get; set; }
}
