using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Notification;

/// <summary>Sends stored deliveries, apart from the work: a receiver that is slow or dead touches no job and, within the concurrency limit, no other receiver.</summary>
public sealed partial class WebhookNotifier : BackgroundService
{
    private static readonly TimeSpan LookAnyway = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(50);
    private readonly IWebhookStore _store;
    private readonly IJobSignals _signals;
    private readonly WebhookOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<WebhookNotifier> _logger;
    private readonly HttpClient _http;
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly SemaphoreSlim _slots;

    public WebhookNotifier(IWebhookStore store, IJobSignals signals, WebhookTargets targets, IOptions<WebhookOptions> options, TimeProvider time, ILogger<WebhookNotifier> logger)
    {
        _store = store;
        _signals = signals;
        _options = options.Value;
        _time = time;
        _logger = logger;
        _slots = new SemaphoreSlim(_options.Concurrency);
        // A redirect could lead to an address that was never judged.
        _http = new HttpClient(new SocketsHttpHandler { ConnectCallback = targets.ConnectAsync, AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(1) }) { Timeout = _options.Timeout };
        _http.DefaultRequestHeaders.UserAgent.ParseAdd("QueueMaaS-Webhooks/1.0");
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var subscription = _signals.Subscribe(_ => Wake());
        var looked = 0L;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                // Taken deliveries are held a little longer than a try can last, so that a notifier that dies gives them up.
                var due = await _store.TakeDueAsync(_options.Concurrency, _options.Timeout + TimeSpan.FromSeconds(10), stoppingToken);
                foreach (var delivery in due)
                {
                    await _slots.WaitAsync(stoppingToken);
                    _ = SendAsync(delivery, stoppingToken);
                }

                if (due.Count > 0)
                    continue;
                // Most changes have no webhook: after a look in vain the next signals are gathered.
                var sinceLook = _time.GetElapsedTime(looked);
                looked = _time.GetTimestamp();
                if (sinceLook < BetweenLooks)
                    await Task.Delay(BetweenLooks, _time, stoppingToken);
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
        base.Dispose();
    }

    private async Task SendAsync(WebhookDelivery delivery, CancellationToken stoppingToken)
    {
        try
        {
            var started = _time.GetTimestamp();
            var attempt = new WebhookTry { DeliveryId = delivery.Id, Number = delivery.Tries + 1, At = _time.GetUtcNow() };
            await PostAsync(delivery, attempt, stoppingToken);
            attempt.Milliseconds = _time.GetElapsedTime(started).TotalMilliseconds;
            Conclude(delivery, attempt);
            await _store.RecordTryAsync(delivery, attempt, stoppingToken);
            // The next delivery of the same job may go now.
            Wake();
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
            _slots.Release();
        }
    }

    private async Task PostAsync(WebhookDelivery delivery, WebhookTry attempt, CancellationToken stoppingToken)
    {
        try
        {
            var body = JsonSerializer.Serialize(Payload(delivery), QueueMaaSJson.Relaxed);
            var now = _time.GetUtcNow();
            var secret = delivery.Secret ?? _options.Secret ?? throw new InvalidOperationException("no secret is configured any more");
            using var request = new HttpRequestMessage(HttpMethod.Post, delivery.Url) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
            request.Headers.Add(WebhookSignature.IdHeader, delivery.Id);
            request.Headers.Add(WebhookSignature.TimestampHeader, now.ToUnixTimeSeconds().ToString());
            request.Headers.Add(WebhookSignature.SignatureHeader, WebhookSignature.Sign(secret, delivery.Id, now, body));
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stoppingToken);
            attempt.Status = (int)response.StatusCode;
            if (!response.IsSuccessStatusCode)
                attempt.Error = $"The receiver answered {(int)response.StatusCode}.";
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            attempt.Error = exception is TaskCanceledException ? $"The receiver did not answer within {_options.Timeout.TotalSeconds:0} s." : exception.GetBaseException().Message;
        }
    }

    private void Conclude(WebhookDelivery delivery, WebhookTry attempt)
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
            delivery.NextTryAt = _time.GetUtcNow() + (_options.RetrySchedule[attempt.Number - 1] * (1 + (Random.Shared.NextDouble() / 5)));
        }
    }

    private WebhookPayload Payload(WebhookDelivery delivery) => new(
        delivery.Type, delivery.CreatedAt,
        new WebhookData(
            delivery.JobId, delivery.Kind, delivery.JobState, delivery.Sequence, delivery.Attempt, $"{_options.PublicUrl.TrimEnd('/')}/v1/jobs/{Uri.EscapeDataString(delivery.JobId)}",
            delivery.Error is null ? null : JsonSerializer.Deserialize<Problem>(delivery.Error, QueueMaaSJson.Relaxed)));

    private void Wake()
    {
        try
        {
            _wake.Release();
        }
        catch (SemaphoreFullException)
        {
            // It is awake already.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Sending webhooks: {Reason}")]
    private static partial void LogFailed(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Webhook {DeliveryId} of job {JobId} is given up after {Tries} tries: {Reason}")]
    private static partial void LogGivenUp(ILogger logger, string deliveryId, string jobId, int tries, string reason);
}
