using System.ComponentModel.DataAnnotations;
using QueueMaaS.Jobs.Settings;

namespace QueueMaaS.Api;

/// <summary>The HTTP API (configuration section <c>Api</c>).</summary>
public sealed class ApiOptions
{
    public const string Section = "Api";

    /// <summary>The largest model, data set or artifact upload in bytes. Default 4 GiB.</summary>
    [Range(1024, long.MaxValue)]
    public long MaxUploadBytes { get; set; } = 4L << 30;

    /// <summary>The longest that <c>Prefer: wait=N</c> and <c>?wait=N</c> hold a request. Default 60 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan MaxWait { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>A silent event stream sends a comment this often, so that proxies keep it open. Default 15 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:05:00")]
    public TimeSpan StreamHeartbeat { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Web pages of these origins may call the API from a browser (CORS), with keys or tokens in headers; never with cookies. Default: none.</summary>
    [Address("https://app.example.org", "https", "http")]
    public string[] CorsOrigins { get; set; } = [];
}
