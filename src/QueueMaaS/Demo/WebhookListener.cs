using System.Collections.Concurrent;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using QueueMaaS.Contracts;

namespace QueueMaaS.Demo;

/// <summary>A receiver of webhooks such as a user would write: reads the body as sent, checks the signature, remembers what came.</summary>
internal sealed class WebhookListener : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<(string JobId, string Type), TaskCompletionSource<bool>> _received = new();

    public WebhookListener(string secret)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.MapPost("/hook", async (HttpRequest request) =>
        {
            using var reader = new StreamReader(request.Body);
            var body = await reader.ReadToEndAsync();
            var valid = WebhookSignature.Verify(
                secret, request.Headers[WebhookSignature.IdHeader], request.Headers[WebhookSignature.TimestampHeader], request.Headers[WebhookSignature.SignatureHeader], body, DateTimeOffset.UtcNow);
            var payload = System.Text.Json.JsonSerializer.Deserialize<WebhookPayload>(body, QueueMaaSJson.Relaxed)!;
            Waiter(payload.Data.JobId, payload.Type).TrySetResult(valid);
            return valid ? Results.NoContent() : Results.Unauthorized();
        });
    }

    public async Task<string> StartAsync(CancellationToken cancellationToken)
    {
        await _app.StartAsync(cancellationToken);
        return _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First() + "/hook";
    }

    /// <summary>Waits for a webhook; answers whether its signature was right.</summary>
    public Task<bool> WaitAsync(string jobId, string type, TimeSpan atMost, CancellationToken cancellationToken) => Waiter(jobId, type).Task.WaitAsync(atMost, cancellationToken);

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private TaskCompletionSource<bool> Waiter(string jobId, string type) =>
        _received.GetOrAdd((jobId, type), _ => new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously));
}
