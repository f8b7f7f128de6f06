using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Messaging.Submission;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>
/// Consumes the submissions by the broker's own client: each message becomes a job in <see cref="SubmissionIntake"/>, has its reply sent, and is acknowledged, in groups
/// under load. A connection, channel or queue that is lost is set up again; what was not acknowledged comes once more, and finds its job by its id.
/// </summary>
internal sealed partial class SubmissionQueue(
    RabbitConnection connection, SubmissionIntake intake, RabbitReplies replies, UnprocessableQueue unprocessable, BusOptions options, ILogger<SubmissionQueue> logger) : BackgroundService, IHealthCheck
{
    // Larger bodies are read beside each other; for small ones, handing them over costs more than reading them.
    private const int SmallBody = 16 * 1024;
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan PatienceWhenStopping = TimeSpan.FromSeconds(5);

    // A message that cannot be finished would come back at once, as fast as the broker can give it out.
    private static readonly TimeSpan BeforeGivingBack = TimeSpan.FromSeconds(1);
    private volatile bool _consumes;
    private volatile bool _hasConsumed;
    private int _underWay;

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (_consumes)
            return Task.FromResult(HealthCheckResult.Healthy("Submissions are taken from the bus"));
        // Before the first time, producers may not even have an exchange to publish to.
        return Task.FromResult(_hasConsumed
            ? HealthCheckResult.Degraded("No submissions are taken from the bus: they wait in RabbitMQ, and are taken once it answers again.")
            : HealthCheckResult.Unhealthy("No submissions are taken from the bus yet."));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var pause = ShortestPause;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ConsumeAsync(() => pause = ShortestPause, stoppingToken);
                continue;
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogLost(logger, exception.Message, pause.TotalSeconds);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            await Task.Delay(pause, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }

    /// <summary>Consumes until the channel or the queue is lost, or the process stops; then what is under way ends first.</summary>
    private async Task ConsumeAsync(Action started, CancellationToken stoppingToken)
    {
        await using var channel = await connection.OpenChannelAsync(stoppingToken);
        await DeclareAsync(channel, stoppingToken);
        using var session = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        var acknowledgements = new Acknowledgements(
            (tag, multiple) => channel.BasicAckAsync(tag, multiple), tag => channel.BasicNackAsync(tag, multiple: false, requeue: true), Math.Max(1, options.SubmissionPrefetch / 4));
        var window = new SubmissionWindow(options.SubmissionPrefetch);
        var acknowledging = acknowledgements.RunAsync();
        try
        {
            // How many a consumer may hold is said when it begins: another number takes another consumer.
            while (true)
            {
                await ConsumeAsync(channel, window, acknowledgements, started, session.Token);
                LogWindow(logger, window.Size);
            }
        }
        finally
        {
            _consumes = false;
            await session.CancelAsync();
            while (Volatile.Read(ref _underWay) > 0)
                await Task.Delay(Look, CancellationToken.None);
            acknowledgements.Complete();
            await acknowledging;
        }
    }

    /// <summary>Consumes until the window is to have another size. What the consumer holds then is finished beside the next one.</summary>
    private async Task ConsumeAsync(IChannel channel, SubmissionWindow window, Acknowledgements acknowledgements, Action started, CancellationToken cancellationToken)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var size = window.Size;
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += (_, delivery) =>
        {
            // The client's buffer is its own again once this returns.
            var message = Read(delivery);
            Interlocked.Increment(ref _underWay);
            _ = message.Body.Length > SmallBody
                ? Task.Run(() => HandleAsync(delivery, message, acknowledgements, cancellationToken), CancellationToken.None)
                : HandleAsync(delivery, message, acknowledgements, cancellationToken);
            window.Observe(message.Body.Length);
            if (window.Size != size)
                ended.TrySetResult();
            return Task.CompletedTask;
        };
        // The broker ends a consumer whose queue is deleted, and one whose channel is closed.
        consumer.UnregisteredAsync += (_, _) => LoseAsync();
        consumer.ShutdownAsync += (_, _) => LoseAsync();
        await channel.BasicQosAsync(0, (ushort)size, global: false, cancellationToken);
        var tag = await channel.BasicConsumeAsync(BusNames.SubmitExchange, autoAck: false, consumer, cancellationToken);
        _consumes = _hasConsumed = true;
        started();
        try
        {
            await ended.Task.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            await CancelAsync(channel, tag);
            throw;
        }

        await channel.BasicCancelAsync(tag, noWait: false, cancellationToken);

        Task LoseAsync()
        {
            ended.TrySetException(new InvalidOperationException("the broker ended the consumer"));
            return Task.CompletedTask;
        }
    }

    private async Task HandleAsync(BasicDeliverEventArgs delivery, SubmissionMessage message, Acknowledgements acknowledgements, CancellationToken cancellationToken)
    {
        try
        {
            var (reply, isKept) = await intake.TakeAsync(message, cancellationToken);
            if (reply.Problem is { } problem)
                await PutAsideAsync(message, delivery.BasicProperties, problem, isKept, cancellationToken);
            await replies.SendAsync(message, delivery.BasicProperties, reply, cancellationToken);
            acknowledgements.Add(delivery.DeliveryTag);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Not acknowledged: another process, or the next connection, gets it.
        }
        catch (Exception exception)
        {
            LogNotTaken(logger, exception.Message);
            await Task.Delay(BeforeGivingBack, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            acknowledgements.GiveBack(delivery.DeliveryTag);
        }
        finally
        {
            Interlocked.Decrement(ref _underWay);
        }
    }

    /// <summary>Once it is in the table, a process that stops still finishes: the message would come again, and be there twice.</summary>
    private async Task PutAsideAsync(SubmissionMessage message, IReadOnlyBasicProperties came, Problem problem, bool isKept, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource();
        await using var stopping = cancellationToken.Register(() => limit.CancelAfter(PatienceWhenStopping));
        await unprocessable.KeepAsync(message, came, problem, isKept, limit.Token);
    }

    private static SubmissionMessage Read(BasicDeliverEventArgs delivery)
    {
        var properties = delivery.BasicProperties;
        var headers = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in properties.Headers ?? new Dictionary<string, object?>())
        {
            if (AmqpText.Of(value) is { } text)
                headers[name] = text;
        }

        return SubmissionMessage.From(delivery.Body.ToArray(), headers, properties.MessageId, properties.ContentType);
    }

    /// <summary>The exchange that producers know, and the queue behind it.</summary>
    private async Task DeclareAsync(IChannel channel, CancellationToken cancellationToken)
    {
        await channel.ExchangeDeclareAsync(BusNames.SubmitExchange, ExchangeType.Fanout, durable: true, autoDelete: false, cancellationToken: cancellationToken);
        if (!await connection.DeclareKeepingQueueAsync(BusNames.SubmitExchange, cancellationToken))
            LogLimited(logger, BusNames.SubmitExchange);
        await channel.QueueBindAsync(BusNames.SubmitExchange, BusNames.SubmitExchange, routingKey: "", cancellationToken: cancellationToken);
    }

    private static async Task CancelAsync(IChannel channel, string tag)
    {
        try
        {
            await channel.BasicCancelAsync(tag, noWait: false, CancellationToken.None);
        }
        catch (Exception exception) when (exception is AlreadyClosedException or OperationInterruptedException or IOException or TimeoutException or OperationCanceledException)
        {
            // A broker that is away has nothing more to give out.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Submissions on the bus are not taken ({Reason}); next try in {Seconds} s. They wait in the broker's queue")]
    private static partial void LogLost(ILogger logger, string reason, double seconds);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Up to {Count} submissions are taken from the bus at a time, by how large they are")]
    private static partial void LogWindow(ILogger logger, int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The queue {Queue} was declared by an earlier version: from version 4 on RabbitMQ drops a message of it that comes back 20 times. Delete the queue while it is empty; it is declared again without that limit")]
    private static partial void LogLimited(ILogger logger, string queue);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A submission could not be finished ({Reason}); the broker gives it out again")]
    private static partial void LogNotTaken(ILogger logger, string reason);
}
