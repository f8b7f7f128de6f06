using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using QueueMaaS.Contracts;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace QueueMaaS.JobBench;

/// <summary>A producer on the bus that hears of each job's end by its event, as any producer can.</summary>
internal sealed class BusLoad : IAsyncDisposable
{
    private const int Channels = 8;
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _waiting = new(StringComparer.Ordinal);
    private readonly IConnection _connection;
    private readonly IChannel[] _channels;
    private readonly IChannel _confirmed;

    private BusLoad(IConnection connection, IChannel[] channels, IChannel confirmed)
    {
        _connection = connection;
        _channels = channels;
        _confirmed = confirmed;
    }

    public int Failed { get; private set; }

    public static async Task<BusLoad> ConnectAsync(string rabbitMq)
    {
        var connection = await new ConnectionFactory { Uri = new Uri(rabbitMq) }.CreateConnectionAsync();
        // The broker confirms each message; that a job ends says more than its confirm, so nobody waits for those.
        var channels = await Task.WhenAll(Enumerable.Range(0, Channels).Select(_ => connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: false))));
        var confirmed = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true));
        var load = new BusLoad(connection, channels, confirmed);
        await load.ListenAsync();
        return load;
    }

    /// <summary>Sends jobs, so many at a time, and waits for the end of each. Answers seconds and the latency of each in milliseconds.</summary>
    public async Task<(double Seconds, double[] Milliseconds)> RunAsync(int jobs, int callers, string body)
    {
        var latencies = new double[jobs];
        var next = -1;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(async () =>
        {
            int turn;
            while ((turn = Interlocked.Increment(ref next)) < jobs)
            {
                var sent = Stopwatch.GetTimestamp();
                await SendAsync(body, _channels[caller % Channels]);
                latencies[turn] = Stopwatch.GetElapsedTime(sent).TotalMilliseconds;
            }
        })));
        return (Stopwatch.GetElapsedTime(started).TotalSeconds, latencies);
    }

    public async ValueTask DisposeAsync() => await _connection.DisposeAsync();

    private async Task SendAsync(string body, IChannel channel)
    {
        var id = Guid.CreateVersion7().ToString();
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting[id] = ended;
        await PublishAsync(id, body, channel);
        await ended.Task.WaitAsync(TimeSpan.FromMinutes(2));
    }

    /// <summary>Publishes one job and waits for the broker's confirm alone.</summary>
    public Task PublishAsync(string id, string body) => PublishAsync(id, body, _confirmed).AsTask();

    private static ValueTask PublishAsync(string id, string body, IChannel channel) => channel.BasicPublishAsync(
        BusNames.SubmitExchange, "", mandatory: false, new BasicProperties { ContentType = "application/json", DeliveryMode = DeliveryModes.Persistent, MessageId = id }, Encoding.UTF8.GetBytes(body));

    private async Task ListenAsync()
    {
        var channel = await _connection.CreateChannelAsync();
        var queue = await channel.QueueDeclareAsync("", durable: false, exclusive: true, autoDelete: true);
        foreach (var type in (string[])["succeeded", "failed"])
            await channel.QueueBindAsync(queue.QueueName, BusNames.EventsExchange, $"job.{type}.#");
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += (_, message) =>
        {
            var happened = JsonElement.Parse(message.Body.Span);
            if (happened.GetProperty("type").GetString() == "failed")
                Failed++;
            if (_waiting.TryRemove(happened.GetProperty("jobId").GetString()!, out var ended))
                ended.TrySetResult();
            return Task.CompletedTask;
        };
        await channel.BasicConsumeAsync(queue.QueueName, autoAck: true, consumer);
    }
}
