using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Jobs.Catalog;

/// <summary>Files that the service fetches itself (configuration section <c>Imports</c>).</summary>
public sealed class ImportOptions
{
    public const string Section = "Imports";

    /// <summary>The folder below which files may be imported by path. Default: none, and such imports are refused.</summary>
    public string? Folder { get; set => field = string.IsNullOrWhiteSpace(value) ? null : value; }

    /// <summary>Allow imports from private, loopback and link-local addresses. Default no: a user could otherwise reach the service's own network.</summary>
    public bool AllowPrivate { get; set; }

    /// <summary>How long a download may take. Default 30 minutes.</summary>
    [Range(typeof(TimeSpan), "00:00:05", "1.00:00:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromMinutes(30);

    /// <summary>The largest file that is imported, in bytes. Default 64 GiB.</summary>
    [Range(1024, long.MaxValue)]
    public long MaxBytes { get; set; } = 64L << 30;
}
