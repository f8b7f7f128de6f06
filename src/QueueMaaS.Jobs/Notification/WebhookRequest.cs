using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Jobs.Notification;

/// <summary>Makes the signed request of a delivery (Standard Webhooks).</summary>
public sealed class WebhookRequests(IJobStore jobs, IOptions<WebhookOptions> options, TimeProvider time)
{
    /// <summary>The request, and what of it is kept in the log: everything but the signature.</summary>
    public async Task<(HttpRequestMessage Request, string Log)> MakeAsync(DueDelivery due, CancellationToken cancellationToken)
    {
        var (delivery, endpoint) = due;
        var body = await BodyAsync(delivery, endpoint, cancellationToken);
        var now = time.GetUtcNow();
        var request = new HttpRequestMessage(HttpMethod.Post, delivery.Url) { Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json")) };
        request.Headers.Add(WebhookSignature.IdHeader, delivery.Id);
        request.Headers.Add(WebhookSignature.TimestampHeader, now.ToUnixTimeSeconds().ToString());
        // The receiver goes on with the producer's trace, whether or not this process records it.
        if ((Activity.Current?.Id ?? delivery.TraceParent) is { } trace)
            request.Headers.Add("traceparent", trace);
        var log = $"{string.Concat(request.Headers.Select(header => $"{header.Key}: {string.Join(", ", header.Value)}\n"))}\n{body}";
        request.Headers.Add(WebhookSignature.SignatureHeader, string.Join(' ', Secrets(delivery, endpoint, now).Select(secret => WebhookSigningKey.Sign(secret, delivery.Id, now, body))));
        return (request, log);
    }

    /// <summary>Every secret that holds, the newest first: while one is replaced, receivers that know only the old or only the new one can verify.</summary>
    private IEnumerable<string> Secrets(WebhookDelivery delivery, WebhookEndpoint? endpoint, DateTimeOffset now)
    {
        if (endpoint is not null)
            return JsonSerializer.Deserialize<EndpointSecret[]>(endpoint.Secrets, QueueMaaSJson.Relaxed)!.Where(secret => secret.Until is null || secret.Until > now).Select(secret => secret.Secret);
        return [delivery.Secret ?? options.Value.Secret ?? throw new InvalidOperationException("no secret is configured any more")];
    }

    private async Task<string> BodyAsync(WebhookDelivery delivery, WebhookEndpoint? endpoint, CancellationToken cancellationToken)
    {
        if (delivery.Data is { } data && delivery.Type is not (WebhookTypes.Progress or WebhookTypes.Log))
            return JsonSerializer.Serialize(new { delivery.Type, Timestamp = delivery.CreatedAt, Data = JsonElement.Parse(data) }, QueueMaaSJson.Relaxed);
        var url = $"{options.Value.PublicUrl.TrimEnd('/')}/v1/jobs/{Uri.EscapeDataString(delivery.JobId)}";
        var error = delivery.Error is null ? null : JsonSerializer.Deserialize<Problem>(delivery.Error, QueueMaaSJson.Relaxed);
        var about = new WebhookData(delivery.JobId, delivery.Kind, delivery.JobState, delivery.Sequence, delivery.Attempt, url, error)
        {
            Progress = delivery.Data is null ? null : JsonElement.Parse(delivery.Data),
            Output = endpoint?.IncludeOutput == true && delivery.JobState == JobState.Succeeded ? await OutputAsync(delivery, cancellationToken) : null,
        };
        return JsonSerializer.Serialize(new WebhookPayload(delivery.Type, delivery.CreatedAt, about), QueueMaaSJson.Relaxed);
    }

    private async Task<JsonElement?> OutputAsync(WebhookDelivery delivery, CancellationToken cancellationToken) =>
        await jobs.FindAsync(delivery.Tenant, delivery.JobId, cancellationToken) is { Output: { } output } && output.Length <= options.Value.MaxOutputChars ? JsonElement.Parse(output) : null;
}
