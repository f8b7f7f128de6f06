using System.Reflection;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using QueueMaaS.Api.Health;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Serving;

namespace QueueMaaS.Telemetry;

/// <summary>What the process tells of itself: metrics to whoever scrapes them, and everything to a collector where one is named.</summary>
internal static class TelemetryServices
{
    /// <summary>Names of spans come from these sources.</summary>
    private static readonly string[] Sources = [JobTelemetry.Name, "System.Net.Http"];

    /// <summary>What of .NET's own figures is kept: those whose Prometheus names and types promtool accepts and somebody would look at.</summary>
    private static readonly HashSet<string> Runtime = new(StringComparer.Ordinal)
    {
        "dotnet.exceptions", "dotnet.gc.collections", "dotnet.gc.heap.total_allocated", "dotnet.gc.last_collection.memory.committed_size", "dotnet.gc.pause.time",
        "dotnet.process.cpu.time", "dotnet.process.memory.working_set",
    };

    private static readonly double[] Seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120, 600, 3600];

    public static IServiceCollection AddQueueMaaSTelemetry(this IServiceCollection services, TelemetryOptions options, Roles roles)
    {
        var telemetry = services.AddOpenTelemetry()
            .ConfigureResource(resource => resource
                .AddService(options.ServiceName, serviceVersion: ProgramVersion.Text)
                .AddAttributes([new("queuemaas.roles", roles.ToString().ToLowerInvariant().Replace(" ", "", StringComparison.Ordinal)), new("host.name", Environment.MachineName), new("process.pid", (long)Environment.ProcessId)]))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(JobTelemetry.Name, InferenceMetrics.MeterName, HealthJournal.MeterName, "Microsoft.AspNetCore.Hosting", "System.Runtime")
                    .AddView(static instrument => instrument.Meter.Name == "System.Runtime" && !Runtime.Contains(instrument.Name) ? MetricStreamConfiguration.Drop : null)
                    .AddView("queuemaas_batch_size", new ExplicitBucketHistogramConfiguration { Boundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] })
                    .AddView("queuemaas_*_seconds", new ExplicitBucketHistogramConfiguration { Boundaries = Seconds })
                    .AddPrometheusExporter(static exporter => exporter.ScopeInfoEnabled = false);
                if (options is { OtlpEndpoint: not null, Metrics: true })
                    metrics.AddOtlpExporter((exporter, reader) =>
                    {
                        Point(exporter, options, "metrics");
                        reader.PeriodicExportingMetricReaderOptions.ExportIntervalMilliseconds = (int)options.MetricsEvery.TotalMilliseconds;
                    });
            });
        if (options.OtlpEndpoint is null)
            return services;
        if (options.Traces)
        {
            telemetry.WithTracing(traces => traces
                .AddSource(Sources)
                // Probes and scrapes come every few seconds and tell nothing.
                .AddAspNetCoreInstrumentation(http => http.Filter = static context => !IsProbe(context.Request.Path))
                .SetSampler(new ParentBasedSampler(new TraceIdRatioBasedSampler(options.TraceShare)))
                .AddOtlpExporter(exporter => Point(exporter, options, "traces")));
        }

        if (options.Logs)
        {
            telemetry.WithLogging(
                logs => logs.AddOtlpExporter(exporter => Point(exporter, options, "logs")),
                static logging => logging.IncludeFormattedMessage = true);
        }

        return services;
    }

    private static bool IsProbe(PathString path) =>
        path.StartsWithSegments("/health", StringComparison.OrdinalIgnoreCase) || path.StartsWithSegments("/metrics", StringComparison.OrdinalIgnoreCase) || path.StartsWithSegments("/v2/health", StringComparison.OrdinalIgnoreCase);

    private static void Point(OtlpExporterOptions exporter, TelemetryOptions options, string signal)
    {
        var overHttp = options.OtlpProtocol != "grpc";
        exporter.Protocol = overHttp ? OtlpExportProtocol.HttpProtobuf : OtlpExportProtocol.Grpc;
        exporter.Endpoint = new Uri(overHttp ? $"{options.OtlpEndpoint!.TrimEnd('/')}/v1/{signal}" : options.OtlpEndpoint!);
        exporter.Headers = options.OtlpHeaders;
    }
}

/// <summary>The version that this program was built as.</summary>
internal static class ProgramVersion
{
    public static string Text { get; } = typeof(ProgramVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";
}
