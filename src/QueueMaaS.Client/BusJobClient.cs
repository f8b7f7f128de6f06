using System.Diagnostics;
using MassTransit;
using QueueMaaS.Contracts;

namespace QueueMaaS.Client;

/// <summary>Submits jobs over the bus as plain JSON, as a producer in any language would.</summary>
public sealed class BusJobClient(IBus bus)
{
    /// <summary>
    /// Publishes a submission to <see cref="BusNames.SubmitExchange"/>. Completes when the broker has confirmed the message; the service accepts the job
    /// when it comes to it. Give the submission an <see cref="JobSubmission.Id"/> to follow it: a repeat with the same id is the same job.
    /// </summary>
    /// <param name="submission">The job; an id is made for it where it has none.</param>
    /// <param name="cancellationToken">Gives up waiting for the confirm.</param>
    /// <returns>The job's id.</returns>
    public async Task<string> SubmitAsync(JobSubmission submission, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(submission);
        var named = submission.Id is null ? submission with { Id = Guid.CreateVersion7().ToString() } : submission;
        var endpoint = await bus.GetSendEndpoint(new Uri($"exchange:{BusNames.SubmitExchange}"));
        // Whether or not the producer listens to its bus library's spans, the job belongs to the trace that it was submitted in.
        var trace = Activity.Current is { IdFormat: ActivityIdFormat.W3C } current ? current.Id : null;
        await endpoint.Send(named, context => context.Headers.Set("traceparent", trace), cancellationToken);
        return named.Id!;
    }
}
