using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using QueueMaaS.Jobs.Settings;

namespace QueueMaaS.Telemetry;

/// <summary>Where traces, metrics and logs are sent (configuration section <c>Telemetry</c>). <c>/metrics</c> is served in any case.</summary>
public sealed class TelemetryOptions
{
    public const string Section = "Telemetry";

    /// <summary>An OpenTelemetry collector, such as <c>http://collector:4317</c>. Default: none, and nothing is sent anywhere.</summary>
    [Address("http://collector:4317", "http", "https")]
    public string? OtlpEndpoint { get; set => field = string.IsNullOrWhiteSpace(value) ? null : value; }

    /// <summary>How it is spoken to: <c>grpc</c> (port 4317 as a rule) or <c>http/protobuf</c> (4318; the signals' paths, <c>/v1/traces</c> and so on, are added to the address). Default <c>grpc</c>.</summary>
    [AllowedValues("grpc", "http/protobuf")]
    public string OtlpProtocol { get; set; } = "grpc";

    /// <summary>Headers of each request, <c>name=value</c> with commas between, such as a collector's key. Default: none.</summary>
    [PasswordPropertyText(true)]
    public string? OtlpHeaders { get; set => field = string.IsNullOrWhiteSpace(value) ? null : value; }

    /// <summary>Send spans. Default yes.</summary>
    public bool Traces { get; set; } = true;

    /// <summary>Send metrics. Default yes.</summary>
    public bool Metrics { get; set; } = true;

    /// <summary>Send the log, too. It is written to the console in any case. Default yes.</summary>
    public bool Logs { get; set; } = true;

    /// <summary>The share of traces that is kept, from 0 to 1, of those that the producer has not decided on. Default 1.</summary>
    [Range(0.0, 1.0)]
    public double TraceShare { get; set; } = 1;

    /// <summary>How often metrics are sent. Default 15 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan MetricsEvery { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>The name under which this deployment appears (<c>service.name</c>). Default <c>queuemaas</c>.</summary>
    [Required, StringLength(100)]
    public string ServiceName { get; set; } = "queuemaas";
}
