using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Api.Hosting;

/// <summary>How many jobs wait and run, by kind and state, for dashboards and autoscalers. Counted now and then rather than at each scrape.</summary>
internal sealed partial class JobGauges : BackgroundService
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(5);
    private const int RestAfterCount = 20;
    private readonly IJobStore _store;
    private readonly PredictedCosts _costs;
    private readonly TimeProvider _time;
    private readonly ILogger<JobGauges> _logger;
    private readonly Meter _meter = new(JobTelemetry.Name);
    private IReadOnlyList<JobBacklog> _backlog = [];
    private IReadOnlyDictionary<(JobKind Kind, JobState State), int> _counts = new Dictionary<(JobKind, JobState), int>();

    public JobGauges(IJobStore store, PredictedCosts costs, TimeProvider time, ILogger<JobGauges> logger)
    {
        _store = store;
        _costs = costs;
        _time = time;
        _logger = logger;
        _meter.CreateObservableGauge("queuemaas_jobs", Observe, description: "Unfinished jobs by kind and state.");
        _meter.CreateObservableGauge("queuemaas_queue_oldest_seconds", () => ByKind(kind => _backlog.Where(part => part.Kind == kind).Select(part => (_time.GetUtcNow() - part.OldestDueAt).TotalSeconds).Append(0).Max()), "s", "How long the queued job that waits for longest has been due, by kind.");
        _meter.CreateObservableGauge("queuemaas_queue_predicted_seconds", () => ByKind(kind => _backlog.Where(part => part.Kind == kind).Sum(part => part.Count * _costs.Of(part.Kind, part.Tenant, part.Model))), "s", "Computing time that the queued jobs will probably take on one worker, by kind.");
    }

    public override void Dispose()
    {
        _meter.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            var started = _time.GetTimestamp();
            try
            {
                _counts = await _store.CountAsync(stoppingToken);
                _backlog = await _store.BacklogAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogCountFailed(_logger, exception.Message);
            }

            // Counting a million jobs takes the database a second: it must not do so all the time.
            var rest = _time.GetElapsedTime(started) * RestAfterCount;
            await Task.Delay(rest > Every ? rest : Every, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static IEnumerable<Measurement<double>> ByKind(Func<JobKind, double> read) =>
        Enum.GetValues<JobKind>().Select(kind => new Measurement<double>(read(kind), new KeyValuePair<string, object?>("kind", kind.ToString().ToLowerInvariant())));

    private IEnumerable<Measurement<int>> Observe()
    {
        var counts = _counts;
        foreach (var kind in Enum.GetValues<JobKind>())
        {
            foreach (var state in new[] { JobState.Scheduled, JobState.Queued, JobState.Running, JobState.Retrying })
                yield return new Measurement<int>(counts.GetValueOrDefault((kind, state)), new("kind", kind.ToString().ToLowerInvariant()), new("state", state.ToString().ToLowerInvariant()));
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not count jobs ({Reason})")]
    private static partial void LogCountFailed(ILogger logger, string reason);
}
