using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Jobs.Notification;

/// <summary>
/// Sends stored deliveries, apart from the work: a receiver that is slow or dead touches no job, and as each receiver, and each host, has only so many places at a
/// time, no other receiver either.
/// </summary>
public sealed partial class WebhookNotifier : BackgroundService
{
    private const int LoggedChars = 4096;
    private const int MaxGroup = 64;
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan GatherPlaces = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan LookAnyway = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromDays(1);

    // A notifier that dies gives up what it has taken after this time, so it is short, and prolonged for what takes longer.
    private static readonly TimeSpan Hold = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan HoldEvery = TimeSpan.FromSeconds(2);
    private readonly IWebhookStore _store;
    private readonly IJobSignals _signals;
    private readonly WebhookRequests _requests;
    private readonly WebhookOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<WebhookNotifier> _logger;
    private readonly HttpClient _http;
    private readonly GroupCommit<MadeTry, bool> _record;
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly SemaphoreSlim _freed = new(0, 1);
    private readonly ReceiverPlaces _places;
    private readonly ConcurrentDictionary<string, long> _sending = new(StringComparer.Ordinal);
    private volatile bool _full;

    public WebhookNotifier(IWebhookStore store, IJobSignals signals, WebhookTargets targets, WebhookRequests requests, IOptions<WebhookOptions> options, TimeProvider time, ILogger<WebhookNotifier> logger)
    {
        ArgumentNullException.ThrowIfNull(targets);
        ArgumentNullException.ThrowIfNull(options);
        _store = store;
        _signals = signals;
        _requests = requests;
        _options = options.Value;
        _time = time;
        _logger = logger;
        _places = new ReceiverPlaces(_options.ConcurrencyPerTarget, _options.ConcurrencyPerHost, time);
        _record = new GroupCommit<MadeTry, bool>(RecordAsync, MaxGroup);
        // A redirect could lead to an address that was never judged. The trace's header is ours to set.
        _http = new HttpClient(new SocketsHttpHandler { ConnectCallback = targets.ConnectAsync, AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(1), ActivityHeadersPropagator = null }) { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.UserAgent.ParseAdd("QueueMaaS-Webhooks/1.0");
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(SendAsync(stoppingToken), HoldAsync(stoppingToken));

    /// <summary>Prolongs the hold of what is being sent for longer than most.</summary>
    private async Task HoldAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(HoldEvery, _time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                string[] slow = [.. _sending.Where(entry => _time.GetElapsedTime(entry.Value) >= HoldEvery).Select(entry => entry.Key)];
                if (slow.Length > 0)
                    await _store.HoldAsync(slow, _time.GetUtcNow() + Hold, stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                // Another notifier may send them as well once the hold is over: twice is what a receiver has to stand, never is not.
                LogFailed(_logger, exception.Message);
            }
        }
    }

    private async Task SendAsync(CancellationToken stoppingToken)
    {
        using var subscription = _signals.Subscribe(_ => Wake());
        var looked = 0L;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (await SendDueAsync(stoppingToken) > 0)
                    continue;
                // Most changes have no webhook: after a look in vain the next signals are gathered. Where a receiver had as much as it may, its next delivery goes when a place is free.
                var sinceLook = _time.GetElapsedTime(looked);
                looked = _time.GetTimestamp();
                if (sinceLook < BetweenLooks && await _freed.WaitAsync(BetweenLooks, stoppingToken))
                    await Task.Delay(GatherPlaces, _time, stoppingToken);
                else
                    await _wake.WaitAsync(LookAnyway, stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogFailed(_logger, exception.Message);
                await Task.Delay(LookAnyway, _time, stoppingToken);
            }
        }
    }

    public override void Dispose()
    {
        _http.Dispose();
        _wake.Dispose();
        _freed.Dispose();
        base.Dispose();
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await _record.DisposeAsync();
    }

    private async Task<int> SendDueAsync(CancellationToken stoppingToken)
    {
        var request = _places.Take(_options.Concurrency - _places.InFlight, Hold);
        _full = request.Limit <= 0 || request.IsAnyFull;
        if (request.Limit <= 0)
            return 0;
        var due = await _store.TakeDueAsync(request, stoppingToken);
        foreach (var delivery in due)
        {
            var receiver = ReceiverAddress.Of(delivery.Delivery);
            _places.Enter(receiver);
            _sending[delivery.Delivery.Id] = _time.GetTimestamp();
            _ = SendAsync(delivery, receiver, stoppingToken);
        }

        return due.Count;
    }

    private async Task SendAsync(DueDelivery due, ReceiverAddress receiver, CancellationToken stoppingToken)
    {
        var delivery = due.Delivery;
        try
        {
            using var activity = JobTelemetry.StartWebhook(delivery);
            var started = _time.GetTimestamp();
            var attempt = new WebhookTry { DeliveryId = delivery.Id, Number = delivery.Tries + 1, At = _time.GetUtcNow() };
            var pause = await PostAsync(due, attempt, stoppingToken);
            attempt.Milliseconds = _time.GetElapsedTime(started).TotalMilliseconds;
            DateTimeOffset? until = pause > TimeSpan.Zero ? _time.GetUtcNow() + pause : null;
            if (until is { } end)
                _places.Pause(receiver, end);
            Conclude(delivery, attempt, pause);
            JobTelemetry.RecordWebhook(delivery.State, _time.GetElapsedTime(started), attempt.Error, activity);
            await _record.AddAsync(new MadeTry(delivery, attempt, until), stoppingToken);
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
        {
            LogFailed(_logger, exception.Message);
        }
        catch (OperationCanceledException)
        {
            LogFailed(_logger, "shutdown; the delivery is tried again by the next notifier");
        }
        finally
        {
            _sending.TryRemove(delivery.Id, out _);
            _places.Leave(receiver);
            // The next delivery of the same job may go now, or another one to the same receiver.
            if (_full)
                Ring(_freed);
            Wake();
        }
    }

    /// <summary>Sends one request; answers how long the receiver asks to be left alone.</summary>
    private async Task<TimeSpan> PostAsync(DueDelivery due, WebhookTry attempt, CancellationToken stoppingToken)
    {
        try
        {
            var (request, log) = await _requests.MakeAsync(due, stoppingToken);
            using var sent = request;
            attempt.Request = log;
            // The client's own limit ends with the headers: one that goes on sending its body for ever would keep its place.
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            limit.CancelAfter(_options.Timeout);
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            attempt.Status = (int)response.StatusCode;
            attempt.Response = await ReadAsync(response, limit.Token);
            if (response.IsSuccessStatusCode)
                return TimeSpan.Zero;
            attempt.Error = $"The receiver answered {(int)response.StatusCode}.";
            return response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable ? PauseOf(response) : TimeSpan.Zero;
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            attempt.Error = exception is OperationCanceledException ? $"The receiver did not answer within {_options.Timeout.TotalSeconds:0} s." : exception.GetBaseException().Message;
            return TimeSpan.Zero;
        }
    }

    private TimeSpan PauseOf(HttpResponseMessage response)
    {
        var pause = response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - _time.GetUtcNow(),
            _ => TimeSpan.Zero,
        };
        return pause < TimeSpan.Zero ? TimeSpan.Zero : pause > LongestPause ? LongestPause : pause;
    }

    private static async Task<string> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellationToken), Encoding.UTF8);
        var buffer = new char[LoggedChars];
        var read = await reader.ReadBlockAsync(buffer, cancellationToken);
        // A database's text cannot hold it.
        return new string(buffer, 0, read).Replace('\0', '\uFFFD');
    }

    private void Conclude(WebhookDelivery delivery, WebhookTry attempt, TimeSpan pause)
    {
        delivery.Tries = attempt.Number;
        delivery.LastStatus = attempt.Status;
        delivery.LastError = attempt.Error;
        if (attempt.Error is null)
        {
            delivery.State = DeliveryState.Delivered;
            delivery.DeliveredAt = attempt.At;
        }
        else if (attempt.Number > _options.RetrySchedule.Length || attempt.Status == (int)HttpStatusCode.Gone)
        {
            delivery.State = DeliveryState.Failed;
            LogGivenUp(_logger, delivery.Id, delivery.JobId, attempt.Number, attempt.Error);
        }
        else
        {
            delivery.State = DeliveryState.Pending;
            var wait = _options.RetrySchedule[attempt.Number - 1] * (1 + (Random.Shared.NextDouble() / 5));
            delivery.NextTryAt = _time.GetUtcNow() + (wait > pause ? wait : pause);
        }
    }

    private async Task<IReadOnlyList<bool>> RecordAsync(IReadOnlyList<MadeTry> tries, CancellationToken cancellationToken)
    {
        await _store.RecordTriesAsync(tries, _options.DisableAfter, cancellationToken);
        return [.. tries.Select(static _ => true)];
    }

    private void Wake() => Ring(_wake);

    private static void Ring(SemaphoreSlim bell)
    {
        try
        {
            if (bell.CurrentCount == 0)
                bell.Release();
        }
        catch (SemaphoreFullException)
        {
            // It has been rung already.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Sending webhooks: {Reason}")]
    private static partial void LogFailed(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Webhook {DeliveryId} of job {JobId} is given up after {Tries} tries: {Reason}")]
    private static partial void LogGivenUp(ILogger logger, string deliveryId, string jobId, int tries, string reason);
}
