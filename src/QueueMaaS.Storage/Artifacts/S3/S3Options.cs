using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Storage.Artifacts.S3;

/// <summary>Artifacts on S3 or a storage that speaks its protocol (configuration section <c>S3</c>). Without a bucket they are files in the data folder.</summary>
public sealed class S3Options
{
    public const string Section = "S3";

    /// <summary>The bucket, which must exist. Default: none, and artifacts are files in <c>Storage:DataFolder</c>.</summary>
    public string? Bucket { get; set => field = Text(value); }

    /// <summary>Address of the storage, such as <c>https://minio.example.org:9000</c>. Default: Amazon's for the region.</summary>
    public string? Endpoint { get; set => field = Text(value); }

    /// <summary>The region that requests are signed for. Default <c>us-east-1</c>, which most other storages take.</summary>
    [Required]
    public string Region { get; set; } = "us-east-1";

    /// <summary>What all names in the bucket begin with, such as <c>queuemaas/</c>, so that several deployments can share it. Default: nothing.</summary>
    public string Prefix { get; set; } = "";

    /// <summary>The access key's id. Default: none, and the usual places of the AWS SDK are asked (environment, role of the pod or machine).</summary>
    [PasswordPropertyText(true)]
    public string? AccessKey { get; set => field = Text(value); }

    /// <summary>The secret that belongs to the access key.</summary>
    [PasswordPropertyText(true)]
    public string? SecretKey { get; set => field = Text(value); }

    /// <summary>The bucket stands in the path of an address (<c>endpoint/bucket</c>) and not before its host. Default: yes where <c>S3:Endpoint</c> is given, no for Amazon.</summary>
    public bool? PathStyle { get; set; }

    /// <summary>Send the SDK's own checksums with every request, too. Default no: each body is signed with its SHA-256 anyway, and many storages that are not Amazon's refuse them.</summary>
    public bool Checksums { get; set; }

    /// <summary>A larger artifact is sent in parts of this size, in bytes; larger parts where it would be more than 10,000. Default 16 MiB.</summary>
    [Range(5 << 20, 1 << 30)]
    public int PartBytes { get; set; } = 16 << 20;

    /// <summary>Parts of one artifact that are sent at a time. Default 4.</summary>
    [Range(1, 64)]
    public int Parallel { get; set; } = 4;

    /// <summary>A request that breaks is tried again so many times, with growing pauses. Default 4.</summary>
    [Range(0, 20)]
    public int Retries { get; set; } = 4;

    /// <summary>A request that brings no answer for this long has failed. Default 1 minute.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Folder for copies of artifacts that are read as files: models, data sets, images. Processes of one machine may share it. Default <c>artifact-cache</c> in the data folder.</summary>
    public string? CacheFolder { get; set => field = Text(value); }

    /// <summary>Those copies take up so many bytes at most: the ones used least recently go. A copy in use stays, so a single larger artifact still works. Default 20 GiB.</summary>
    [Range(1 << 20, long.MaxValue)]
    public long CacheBytes { get; set; } = 20L << 30;

    /// <summary>Where the artifacts are, for people.</summary>
    public string Place => $"s3://{Bucket}/{Prefix}{(Endpoint is null ? "" : $" at {Endpoint}")}";

    /// <summary>What does not go together in the settings; null where all does.</summary>
    public string? Contradiction()
    {
        if (Bucket is null)
            return AccessKey is null && SecretKey is null && Endpoint is null ? null : "S3:Bucket is missing: the other settings of S3 hold for a bucket. Leave them all out to keep artifacts in Storage:DataFolder.";
        if ((AccessKey is null) != (SecretKey is null))
            return "S3:AccessKey and S3:SecretKey belong together: give both, or none for the usual places of the AWS SDK.";
        if (Endpoint is not null && !(Uri.TryCreate(Endpoint, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"))
            return "S3:Endpoint must be an http or https address, such as `https://minio.example.org:9000`.";
        return Prefix.StartsWith('/') ? "S3:Prefix must not begin with a slash: names in a bucket have none in front." : null;
    }

    private static string? Text(string? value) => string.IsNullOrWhiteSpace(value) ? null : value;
}
