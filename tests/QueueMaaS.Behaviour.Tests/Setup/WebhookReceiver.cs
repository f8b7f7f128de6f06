using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>One request that a webhook made.</summary>
public sealed record ReceivedWebhook(string Path, string Body, IReadOnlyDictionary<string, string> Headers);

/// <summary>A webhook receiver that fails as often as a test asks for.</summary>
public sealed class WebhookReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, System.Threading.Channels.Channel<ReceivedWebhook>> _received = new();

    public WebhookReceiver(string url = "http://127.0.0.1:0")
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(url);
        _app = builder.Build();
        _app.MapPost("/{path}", async (string path, HttpRequest request) =>
        {
            using var reader = new StreamReader(request.Body);
            var webhook = new ReceivedWebhook(path, await reader.ReadToEndAsync(), request.Headers.ToDictionary(header => header.Key.ToLowerInvariant(), header => header.Value.ToString()));
            Channel(path).Writer.TryWrite(webhook);
            if (Answers.TryGetValue(path, out var answer))
                return await answer(request.HttpContext);
            return TakeFailure(path) ? Results.StatusCode(500) : Results.Ok();
        });
    }

    public string Secret { get; } = WebhookSignature.NewSecret();

    /// <summary>How many of the next requests to a path are answered with 500.</summary>
    public ConcurrentDictionary<string, int> Failures { get; } = new();

    /// <summary>What requests to a path are answered with, in place of 200.</summary>
    public ConcurrentDictionary<string, Func<HttpContext, Task<IResult>>> Answers { get; } = new();

    public string Url(string path) => $"{_app.Urls.First()}/{path}";

    public int Port => new Uri(_app.Urls.First()).Port;

    /// <summary>Requests to a path that no test has taken yet.</summary>
    public int Waiting(string path) => Channel(path).Reader.Count;

    /// <summary>The next request to a path that has come already; null where there is none.</summary>
    public ReceivedWebhook? TryTake(string path) => Channel(path).Reader.TryRead(out var webhook) ? webhook : null;

    public Task StartAsync() => _app.StartAsync();

    /// <summary>The next request to a path.</summary>
    public Task<ReceivedWebhook> NextAsync(string path) =>
        Channel(path).Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private bool TakeFailure(string path)
    {
        var left = Failures.GetValueOrDefault(path);
        return left > 0 && Failures.TryUpdate(path, left - 1, left);
    }

    private System.Threading.Channels.Channel<ReceivedWebhook> Channel(string path) => _received.GetOrAdd(path, _ => System.Threading.Channels.Channel.CreateUnbounded<ReceivedWebhook>());
}
