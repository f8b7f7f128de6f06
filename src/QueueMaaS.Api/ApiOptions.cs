using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Api;

/// <summary>The HTTP API (configuration section <c>Api</c>).</summary>
public sealed class ApiOptions
{
    public const string Section = "Api";

    /// <summary>The largest model, data set or artifact upload in bytes. Default 4 GiB.</summary>
    [Range(1024, long.MaxValue)]
    public long MaxUploadBytes { get; set; } = 4L << 30;

    /// <summary>The folder below which models may be imported by path. Default: none, and such imports are refused.</summary>
    public string? ImportFolder { get; set => field = string.IsNullOrWhiteSpace(value) ? null : value; }

    /// <summary>Allow imports from private, loopback and link-local addresses. Default no: a user could otherwise reach the service's own network.</summary>
    public bool AllowPrivateImports { get; set; }

    /// <summary>How long the download of a model may take. Default 30 minutes.</summary>
    [Range(typeof(TimeSpan), "00:00:05", "1.00:00:00")]
    public TimeSpan ImportTimeout { get; set; } = TimeSpan.FromMinutes(30);

    /// <summary>The longest that <c>Prefer: wait=N</c> and <c>?wait=N</c> hold a request. Default 60 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan MaxWait { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>A silent event stream sends a comment this often, so that proxies keep it open. Default 15 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:05:00")]
    public TimeSpan StreamHeartbeat { get; set; } = TimeSpan.FromSeconds(15);
}
