using System.ComponentModel.DataAnnotations;
using QueueMaaS.Jobs.Settings;

namespace QueueMaaS.OpenInference;

/// <summary>The Open Inference Protocol (configuration section <c>OpenInference</c>).</summary>
public sealed class OpenInferenceOptions
{
    public const string Section = "OpenInference";

    /// <summary>The largest request in bytes, once decompressed. Default 64 MiB.</summary>
    [Range(1024, int.MaxValue)]
    public int MaxRequestBytes { get; set; } = 64 << 20;

    /// <summary>Where gRPC listens (HTTP/2 without TLS), such as <c>http://0.0.0.0:8001</c>. Default: none, and only HTTP is served.</summary>
    [Address("http://0.0.0.0:8001", "http")]
    public string? GrpcUrl { get; set => field = string.IsNullOrWhiteSpace(value) ? null : value; }
}
