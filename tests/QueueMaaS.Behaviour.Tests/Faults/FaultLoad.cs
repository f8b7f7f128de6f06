using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Cases;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;
using RabbitMQ.Client;

namespace QueueMaaS.Behaviour.Tests.Faults;

/// <summary>Producers that go on through every fault, as producers should: the same id again until the service, or the broker, has confirmed.</summary>
internal sealed class FaultLoad(FaultCluster cluster, WebhookReceiver webhooks) : IAsyncDisposable
{
    public const string WebhookPath = "faults";
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(20) };
    private readonly SemaphoreSlim _connecting = new(1);
    private IConnection? _connection;
    private IChannel? _channel;
    private int _next;
    private int _broker;

    /// <summary>Every accepted job, with the number that its result must show.</summary>
    public ConcurrentDictionary<string, int> Accepted { get; } = new(StringComparer.Ordinal);

    /// <summary>Accepted jobs whose webhook must come.</summary>
    public ConcurrentDictionary<string, byte> WithWebhook { get; } = new(StringComparer.Ordinal);

    /// <summary>Answers of the API that are neither an acceptance nor an honest refusal (503 or 429 with Retry-After).</summary>
    public ConcurrentBag<string> Dishonest { get; } = [];

    public int Refused { get; private set; }

    public Task SubmitAsync(int jobs) => Task.WhenAll(Enumerable.Range(0, jobs).Select(_ => SubmitOneAsync(Interlocked.Increment(ref _next))));

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (_connection is not null)
            await _connection.DisposeAsync();
        _connecting.Dispose();
    }

    private async Task SubmitOneAsync(int number)
    {
        var id = $"fault-{number}";
        var submission = Requests.Double(number, 1) with { Id = id, MaxAttempts = 20, Webhook = number % 10 == 0 ? new WebhookTarget { Url = webhooks.Url(WebhookPath), Events = [WebhookEvent.Completed] } : null };
        var body = JsonSerializer.Serialize(submission, QueueMaaSJson.Relaxed);
        for (var tries = 0; !(number % 2 == 0 ? await PostAsync(body, (number / 2) + tries) : await PublishAsync(body)); tries++)
            await Task.Delay(Pause);
        Accepted[id] = number;
        if (submission.Webhook is not null)
            WithWebhook[id] = 0;
    }

    private async Task<bool> PostAsync(string body, int turn)
    {
        var apis = cluster.ApiUrls;
        try
        {
            using var content = Requests.Json(body);
            using var response = await _http.PostAsync(new Uri(apis[turn % apis.Count] + "v1/jobs"), content);
            if (response.IsSuccessStatusCode)
                return true;
            Refused++;
            if ((int)response.StatusCode is not (503 or 429) || response.Headers.RetryAfter is null)
                Dishonest.Add($"{(int)response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
            return false;
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
        {
            return false;
        }
    }

    private async Task<bool> PublishAsync(string body)
    {
        IChannel? channel = null;
        try
        {
            channel = await ConnectAsync();
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            await channel.BasicPublishAsync(BusNames.SubmitExchange, "", mandatory: true, new BasicProperties { ContentType = "application/json", DeliveryMode = DeliveryModes.Persistent }, Encoding.UTF8.GetBytes(body), limit.Token);
            return true;
        }
        catch (Exception)
        {
            // Whatever it was, nothing is confirmed: again, with the same id, and on another channel (docs/bus.md says why).
            Interlocked.CompareExchange(ref _channel, null, channel);
            return false;
        }
    }

    private async Task<IChannel> ConnectAsync()
    {
        await _connecting.WaitAsync();
        try
        {
            if (_channel is { IsOpen: true })
                return _channel;
            if (_connection is not null)
                await _connection.DisposeAsync();
            _connection = await new ConnectionFactory { Uri = new Uri(cluster.Brokers[_broker++ % cluster.Brokers.Count]), AutomaticRecoveryEnabled = false }.CreateConnectionAsync();
            return _channel = await _connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true));
        }
        finally
        {
            _connecting.Release();
        }
    }
}
