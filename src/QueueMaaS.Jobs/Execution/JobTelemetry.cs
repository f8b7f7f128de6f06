using System.Diagnostics;
using System.Diagnostics.Metrics;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Execution;

/// <summary>Metrics and traces of jobs. Names follow Prometheus' base units.</summary>
public static class JobTelemetry
{
    public const string Name = "QueueMaaS.Jobs";

    private static readonly ActivitySource Activities = new(Name);
    private static readonly Meter Meter = new(Name);

    public static readonly Counter<long> StaleWrites = Meter.CreateCounter<long>("queuemaas_stale_writes", description: "Writes refused because their claim no longer stood.");
    private static readonly Counter<long> Ended = Meter.CreateCounter<long>("queuemaas_attempts_ended", description: "Attempts by kind and outcome.");
    private static readonly Histogram<double> QueueSeconds = Meter.CreateHistogram<double>("queuemaas_job_queue_seconds", "s", "From acceptance to the start of the attempt.");
    private static readonly Histogram<double> RunSeconds = Meter.CreateHistogram<double>("queuemaas_job_run_seconds", "s", "From the start of the attempt to its end.");

    public static Activity? StartRun(JobRecord job)
    {
        _ = ActivityContext.TryParse(job.TraceParent, null, isRemote: true, out var parent);
        var activity = Activities.StartActivity($"run {job.Kind}", ActivityKind.Consumer, parent);
        activity?.SetTag("queuemaas.job_id", job.Id);
        return activity;
    }

    public static Activity? StartWebhook(Notification.WebhookDelivery delivery)
    {
        _ = ActivityContext.TryParse(delivery.TraceParent, null, isRemote: true, out var parent);
        // Not a child of whatever made the notifier look.
        Activity.Current = null;
        var activity = Activities.StartActivity("send webhook", ActivityKind.Client, parent);
        activity?.SetTag("queuemaas.job_id", delivery.JobId);
        return activity;
    }

    public static void RecordEnd(JobRecord job, AttemptEnd end, DateTimeOffset now)
    {
        var kind = new KeyValuePair<string, object?>("kind", job.Kind.ToString().ToLowerInvariant());
        Ended.Add(1, kind, new("outcome", end.State.ToString().ToLowerInvariant()));
        if (job.StartedAt is { } started)
        {
            QueueSeconds.Record((started - job.DueAt).TotalSeconds, kind);
            RunSeconds.Record((now - started).TotalSeconds, kind);
        }
    }
}
