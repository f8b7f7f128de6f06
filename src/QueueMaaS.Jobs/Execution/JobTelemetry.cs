using System.Diagnostics;
using System.Diagnostics.Metrics;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Jobs.Execution;

/// <summary>Metrics and traces of jobs. Names follow Prometheus' base units.</summary>
public static class JobTelemetry
{
    public const string Name = "QueueMaaS.Jobs";

    private static readonly ActivitySource Activities = new(Name);
    private static readonly Meter Meter = new(Name);

    private static readonly Counter<long> AcceptedJobs = Meter.CreateCounter<long>("queuemaas_jobs_accepted", description: "Jobs accepted, by kind; repeats of one job count once.");
    private static readonly Counter<long> EagerStarts = Meter.CreateCounter<long>("queuemaas_eager_starts", description: "Jobs that started in the process that accepted them; all others go by the queue.");
    private static readonly Counter<long> UnprocessableMessages = Meter.CreateCounter<long>("queuemaas_bus_unprocessable", description: "Messages on the bus that could not become jobs, by code.");
    private static readonly Counter<long> StaleWriteCount = Meter.CreateCounter<long>("queuemaas_stale_writes", description: "Writes refused because the claim on their job no longer stood.");
    private static readonly Counter<long> ExpiredLeases = Meter.CreateCounter<long>("queuemaas_leases_expired", description: "Attempts ended because their worker was silent for longer than the lease.");
    private static readonly Counter<long> Ended = Meter.CreateCounter<long>("queuemaas_attempts_ended", description: "Attempts by kind and outcome: succeeded, failed (for good), retrying, cancelled, queued (handed back at shutdown).");
    private static readonly Histogram<double> QueueSeconds = Meter.CreateHistogram<double>("queuemaas_job_queue_seconds", "s", "From when a job was due to the start of its attempt.");
    private static readonly Histogram<double> RunSeconds = Meter.CreateHistogram<double>("queuemaas_job_run_seconds", "s", "From the start of the attempt to its end.");
    private static readonly Counter<long> WebhookTries = Meter.CreateCounter<long>("queuemaas_webhook_tries", description: "Tries to deliver a webhook, by outcome: delivered, pending (tried again later), failed (given up).");
    private static readonly Histogram<double> WebhookSeconds = Meter.CreateHistogram<double>("queuemaas_webhook_seconds", "s", "How long a receiver took to answer, or not to.");

    /// <summary>The span of a submission that came over the bus, below the producer's.</summary>
    public static Activity? StartSubmission(string? traceParent)
    {
        _ = ActivityContext.TryParse(traceParent, null, isRemote: true, out var parent);
        return Activities.StartActivity("submit", ActivityKind.Consumer, parent);
    }

    public static Activity? StartRun(JobRecord job)
    {
        _ = ActivityContext.TryParse(job.TraceParent, null, isRemote: true, out var parent);
        var activity = Activities.StartActivity($"run {job.Kind}", ActivityKind.Consumer, parent);
        activity?.SetTag("queuemaas.job_id", job.Id).SetTag("queuemaas.tenant", job.Tenant).SetTag("queuemaas.attempt", job.Attempt);
        if (job.Model is { } model)
            activity?.SetTag("queuemaas.model", model);
        return activity;
    }

    public static Activity? StartWebhook(WebhookDelivery delivery)
    {
        _ = ActivityContext.TryParse(delivery.TraceParent, null, isRemote: true, out var parent);
        // Not a child of whatever made the notifier look.
        Activity.Current = null;
        var activity = Activities.StartActivity("send webhook", ActivityKind.Client, parent);
        activity?.SetTag("queuemaas.job_id", delivery.JobId);
        return activity;
    }

    public static void RecordAccepted(JobKind kind) => AcceptedJobs.Add(1, Kind(kind));

    public static void RecordEagerStart() => EagerStarts.Add(1);

    public static void RecordUnprocessable(string code) => UnprocessableMessages.Add(1, new KeyValuePair<string, object?>("code", code));

    public static void RecordStaleWrite() => StaleWriteCount.Add(1);

    public static void RecordExpiredLeases(int count) => ExpiredLeases.Add(count);

    public static void RecordEnd(JobRecord job, AttemptEnd end, DateTimeOffset now, Activity? run)
    {
        Ended.Add(1, Kind(job.Kind), new("outcome", Word(end.State)));
        if (job.StartedAt is { } started)
        {
            QueueSeconds.Record(Math.Max(0, (started - job.DueAt).TotalSeconds), Kind(job.Kind));
            RunSeconds.Record((now - started).TotalSeconds, Kind(job.Kind));
        }

        run?.SetTag("queuemaas.outcome", Word(end.State));
        if (end.Error is { } error)
            run?.SetStatus(ActivityStatusCode.Error, error.Message).SetTag("error.type", error.Code);
    }

    public static void RecordWebhook(DeliveryState state, TimeSpan took, string? error, Activity? sending)
    {
        WebhookTries.Add(1, new KeyValuePair<string, object?>("outcome", Word(state)));
        WebhookSeconds.Record(took.TotalSeconds);
        if (error is not null)
            sending?.SetStatus(ActivityStatusCode.Error, error);
    }

    private static KeyValuePair<string, object?> Kind(JobKind kind) => new("kind", Word(kind));

    private static string Word<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();
}
