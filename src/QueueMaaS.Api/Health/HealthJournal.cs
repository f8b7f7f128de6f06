using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;

namespace QueueMaaS.Api.Health;

/// <summary>Remembers since when each part is as it is, says each change once in the log, and shows it as a metric.</summary>
public sealed partial class HealthJournal : IHealthCheckPublisher, IDisposable
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "QueueMaaS.Health";

    // What is over in a moment, such as a bus that is still starting, is not worth a line in the log.
    private static readonly TimeSpan SaidAfter = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, PartState> _parts = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, double> _figures = new(StringComparer.Ordinal);
    private readonly Meter _meter = new(MeterName);
    private readonly TimeProvider _time;
    private readonly ILogger<HealthJournal> _logger;

    public HealthJournal(TimeProvider time, ILogger<HealthJournal> logger)
    {
        _time = time;
        _logger = logger;
        _meter.CreateObservableGauge("queuemaas_health", ObserveParts, description: "Each part as this process finds it: 1 healthy, 0.5 works with a loss, 0 ill.");
        Figure("queuemaas_disk_free_bytes", DiskFree, "By", "Free space on the disk of the data folder.");
        Figure("queuemaas_certificate_left_seconds", CertificateLeft, "s", "How long the server's certificate that ends first still holds.");
        Figure("queuemaas_clock_offset_seconds", ClockOffset, "s", "How far this machine's clock is ahead of the database's (PostgreSQL).");
    }

    /// <summary>Names under which checks hand over figures that are metrics too.</summary>
    public const string DiskFree = "freeBytes";

    /// <inheritdoc cref="DiskFree"/>
    public const string CertificateLeft = "leftSeconds";

    /// <inheritdoc cref="DiskFree"/>
    public const string ClockOffset = "offsetSeconds";

    /// <summary>Takes a report in and answers it with the times since when each part is so.</summary>
    public IReadOnlyList<PartHealth> Observe(HealthReport report)
    {
        var parts = new List<PartHealth>(report.Entries.Count);
        foreach (var (name, entry) in report.Entries)
        {
            // What a check threw is for the log: it may name addresses.
            var description = entry.Description ?? (entry.Exception is null ? null : $"The check failed ({entry.Exception.GetType().Name}).");
            var state = Note(name, entry.Status, description);
            foreach (var (key, value) in entry.Data)
            {
                if (value is double figure)
                    _figures[key] = figure;
            }

            parts.Add(new PartHealth(name, entry.Status, state.Since, description, entry.Data));
        }

        return parts;
    }

    /// <inheritdoc/>
    public Task PublishAsync(HealthReport report, CancellationToken cancellationToken)
    {
        Observe(report);
        return Task.CompletedTask;
    }

    public void Dispose() => _meter.Dispose();

    private PartState Note(string name, HealthStatus status, string? description)
    {
        while (true)
        {
            var known = _parts.TryGetValue(name, out var before);
            var same = known && before!.Status == status;
            if (same && (before!.Said || status == HealthStatus.Healthy || _time.GetElapsedTime(before.Seen) < SaidAfter))
                return before;
            var now = same ? before! with { Said = true } : new PartState(status, _time.GetUtcNow(), _time.GetTimestamp(), Said: false);
            // Two requests may see the same change; one of them says it.
            if (known ? !_parts.TryUpdate(name, now, before!) : !_parts.TryAdd(name, now))
                continue;
            if (same)
                LogIll(_logger, name, Word(status), now.Since, description ?? "no reason given");
            else if (status == HealthStatus.Healthy && before?.Said == true)
                LogWell(_logger, name, (now.Since - before.Since).TotalSeconds, Word(before.Status));
            return now;
        }
    }

    private void Figure(string name, string key, string unit, string description) =>
        _meter.CreateObservableGauge(name, () => _figures.TryGetValue(key, out var value) ? [new Measurement<double>(value)] : Array.Empty<Measurement<double>>(), unit, description);

    private IEnumerable<Measurement<double>> ObserveParts() =>
        _parts.Select(static part => new Measurement<double>(part.Value.Status switch { HealthStatus.Healthy => 1, HealthStatus.Degraded => 0.5, _ => 0 }, new KeyValuePair<string, object?>("part", part.Key)));

    internal static string Word(HealthStatus status) => status.ToString().ToLowerInvariant();

    [LoggerMessage(Level = LogLevel.Warning, Message = "The part `{Part}` is {Status} since {Since:u}: {Reason}")]
    private static partial void LogIll(ILogger logger, string part, string status, DateTimeOffset since, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "The part `{Part}` is well again after {Seconds:0} s of being {Status}")]
    private static partial void LogWell(ILogger logger, string part, double seconds, string status);

    private sealed record PartState(HealthStatus Status, DateTimeOffset Since, long Seen, bool Said);
}

/// <summary>One part of the process at one moment.</summary>
/// <param name="Name">The part.</param>
/// <param name="Status">How it is.</param>
/// <param name="Since">Since when, as far as this process has seen.</param>
/// <param name="Description">What is wrong and what follows from it; null where nothing is.</param>
/// <param name="Data">Facts, such as a server's version.</param>
public sealed record PartHealth(string Name, HealthStatus Status, DateTimeOffset Since, string? Description, IReadOnlyDictionary<string, object> Data);
