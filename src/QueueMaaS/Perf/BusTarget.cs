using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace QueueMaaS.Perf;

/// <summary>Publishes inference jobs as any producer does, and hears of their end by the events on the bus: the whole way through queue, worker and tables.</summary>
internal sealed class BusTarget : ILoadTarget
{
    private readonly IConnection _connection;
    private readonly IChannel[] _channels;
    // Made once: the load should not cost more than what it measures.
    private readonly byte[][] _inputs;
    private readonly ConcurrentDictionary<string, TaskCompletionSource<Outcome>> _waiting = new(StringComparer.Ordinal);
    private int _next;

    private BusTarget(IConnection connection, IChannel[] channels, byte[][] inputs)
    {
        _connection = connection;
        _channels = channels;
        _inputs = inputs;
    }

    /// <exception cref="PerfException">The broker, the API or the model is not there.</exception>
    public static async Task<BusTarget> ConnectAsync(PerfSettings settings, CancellationToken cancellationToken)
    {
        using var http = new HttpClient { BaseAddress = settings.Url, DefaultRequestHeaders = { Authorization = settings.Authorization } };
        var inputs = SampleInputs.Make(await DescribeAsync(http, settings, cancellationToken), settings.Shapes, settings.AsBase64)
            .Select(tensors => JsonSerializer.SerializeToUtf8Bytes(new JsonObject { ["model"] = settings.Model, ["inputs"] = tensors }, QueueMaaSJson.Relaxed)).ToArray();
        try
        {
            var connection = await new ConnectionFactory { Uri = new Uri(settings.RabbitMq!) }.CreateConnectionAsync("queuemaas perf", cancellationToken);
            // The broker confirms each message; that a job ends says more than its confirm, so nobody waits for those.
            var channels = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: false), cancellationToken)));
            var target = new BusTarget(connection, channels, inputs);
            await target.ListenAsync(cancellationToken);
            return target;
        }
        catch (Exception exception) when (exception is RabbitMQ.Client.Exceptions.BrokerUnreachableException or RabbitMQ.Client.Exceptions.OperationInterruptedException or UriFormatException)
        {
            throw new PerfException($"RabbitMQ cannot be used: {exception.GetBaseException().Message}");
        }
    }

    public async Task<Outcome> SendAsync(CancellationToken cancellationToken)
    {
        var turn = (uint)Interlocked.Increment(ref _next);
        var id = $"perf-{Guid.CreateVersion7():n}";
        byte[] body = [.. "{\"id\":\""u8, .. Encoding.ASCII.GetBytes(id), .. "\",\"kind\":\"inference\",\"input\":"u8, .. _inputs[turn % _inputs.Length], (byte)'}'];
        var ended = new TaskCompletionSource<Outcome>(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting[id] = ended;
        try
        {
            var properties = new BasicProperties { ContentType = "application/json", DeliveryMode = DeliveryModes.Persistent };
            await _channels[turn % _channels.Length].BasicPublishAsync(BusNames.SubmitExchange, "", mandatory: false, properties, body, cancellationToken);
            return await ended.Task.WaitAsync(TimeSpan.FromMinutes(2), cancellationToken);
        }
        catch (TimeoutException)
        {
            return new("not ended within 2 minutes", 0);
        }
        finally
        {
            _waiting.TryRemove(id, out _);
        }
    }

    public async ValueTask DisposeAsync() => await _connection.DisposeAsync();

    private async Task ListenAsync(CancellationToken cancellationToken)
    {
        var channel = await _connection.CreateChannelAsync(cancellationToken: cancellationToken);
        var queue = await channel.QueueDeclareAsync("", durable: false, exclusive: true, autoDelete: true, cancellationToken: cancellationToken);
        foreach (var type in (string[])["succeeded", "failed", "expired", "cancelled"])
            await channel.QueueBindAsync(queue.QueueName, BusNames.EventsExchange, $"job.{type}.#", cancellationToken: cancellationToken);
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += (_, message) =>
        {
            var happened = JsonElement.Parse(message.Body.Span);
            if (_waiting.TryGetValue(happened.GetProperty("jobId").GetString()!, out var ended))
                ended.TrySetResult(happened.GetProperty("type").GetString() is "succeeded" ? default : new(happened.GetProperty("type").GetString(), 0));
            return Task.CompletedTask;
        };
        await channel.BasicConsumeAsync(queue.QueueName, autoAck: true, consumer, cancellationToken);
    }

    private static async Task<IReadOnlyList<TensorSignature>> DescribeAsync(HttpClient http, PerfSettings settings, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await http.GetAsync($"v1/models/{settings.Model}", cancellationToken);
            return response.IsSuccessStatusCode
                ? JsonElement.Parse(await response.Content.ReadAsStringAsync(cancellationToken)).Deserialize<ModelVersion>(QueueMaaSJson.Relaxed)!.Signature.Inputs
                : throw new PerfException($"{settings.Url}v1/models/{settings.Model} answers {(int)response.StatusCode}. The model must be there, on a process with the api role.");
        }
        catch (HttpRequestException exception)
        {
            throw new PerfException($"{settings.Url} cannot be reached: {exception.Message}");
        }
    }
}
