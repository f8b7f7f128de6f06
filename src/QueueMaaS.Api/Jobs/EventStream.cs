using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Api.Jobs;

/// <summary>A job's events as a server-sent event stream: those in the table first, then each as it is committed, until the job has ended.</summary>
internal static class EventStream
{
    private const int PageSize = 200;

    public static async Task StreamAsync(Caller caller, string id, HttpContext http, IJobStore store, JobWaiter waiter, IOptions<ApiOptions> options, TimeProvider time)
    {
        var cancellationToken = http.RequestAborted;
        _ = await store.FindAsync(caller.Tenant, id, cancellationToken) ?? throw JobRoutes.NotFound(id);
        var after = LastEventId(http.Request);
        http.Response.ContentType = "text/event-stream";
        http.Response.Headers.CacheControl = "no-cache";
        http.Response.Headers["X-Accel-Buffering"] = "no";
        using var listener = waiter.Listen(id);
        var lastWrite = time.GetTimestamp();
        while (true)
        {
            var next = listener.Next();
            var events = await store.EventsAsync(id, after, PageSize, cancellationToken);
            foreach (var e in events)
            {
                await http.Response.WriteAsync($"id: {e.Sequence}\nevent: {e.Type}\ndata: {JsonSerializer.Serialize(e, QueueMaaSJson.Relaxed)}\n\n", cancellationToken);
                after = e.Sequence;
            }

            if (events.Count == 0 && time.GetElapsedTime(lastWrite) >= options.Value.StreamHeartbeat)
                await http.Response.WriteAsync(": still here\n\n", cancellationToken);
            else if (events.Count == 0 && !http.Response.HasStarted)
                await http.Response.StartAsync(cancellationToken);
            if (events.Count > 0 || time.GetElapsedTime(lastWrite) >= options.Value.StreamHeartbeat)
            {
                await http.Response.Body.FlushAsync(cancellationToken);
                lastWrite = time.GetTimestamp();
            }

            if (events.Count == PageSize)
                continue;
            if (events is [.., var last] ? IsFinal(last) : await HasEndedAsync(store, caller.Tenant, id, after, cancellationToken))
                return;
            await waiter.WaitAsync(next, TimeSpan.FromSeconds(1), cancellationToken);
        }
    }

    private static bool IsFinal(JobEvent e) => Enum.TryParse<JobState>(e.Type, ignoreCase: true, out var state) && state.IsFinal();

    /// <summary>Whether a reader who has seen every event is waiting for nothing.</summary>
    private static async Task<bool> HasEndedAsync(IJobStore store, string tenant, string id, long after, CancellationToken cancellationToken) =>
        await store.FindAsync(tenant, id, cancellationToken) is not { } job || (job.State.IsFinal() && job.Sequence <= after);

    private static long LastEventId(HttpRequest request)
    {
        if (!request.Headers.TryGetValue("Last-Event-ID", out var text))
            return 0;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var sequence)
            ? sequence
            : throw new ProblemException(ProblemCodes.InvalidValue, "`Last-Event-ID` must be the id of an event of this stream, a whole number.", ("path", "Last-Event-ID"));
    }
}
