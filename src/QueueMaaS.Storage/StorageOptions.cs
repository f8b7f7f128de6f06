using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Storage;

/// <summary>Where jobs, results and files are kept (configuration section <c>Storage</c>).</summary>
public sealed class StorageOptions
{
    public const string Section = "Storage";

    /// <summary>Folder of the artifact files and of the embedded database. Every role must see the same folder, unless artifacts are on S3 (<c>S3:Bucket</c>). Default <c>queuemaas-data</c> under the working folder.</summary>
    [Required]
    public string DataFolder { get; set; } = "queuemaas-data";

    /// <summary>PostgreSQL connection string. Default: none, and SQLite in the data folder is used.</summary>
    [PasswordPropertyText(true)]
    public string? PostgreSql { get; set => field = string.IsNullOrWhiteSpace(value) ? null : value; }

    /// <summary>Redis connection string, such as <c>localhost:6379</c>. Default: none, and signals stay within the process.</summary>
    [PasswordPropertyText(true)]
    public string? Redis { get; set => field = string.IsNullOrWhiteSpace(value) ? null : value; }

    /// <summary>An upload in parts of which nothing more arrives is forgotten after this time. Default 1 day.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "30.00:00:00")]
    public TimeSpan UploadLifetime { get; set; } = TimeSpan.FromDays(1);

    /// <summary>Bring the database up to date when the program starts. Default: yes for SQLite, no for PostgreSQL, where <c>queuemaas migrate</c> does it.</summary>
    public bool? MigrateAtStart { get; set; }
}
