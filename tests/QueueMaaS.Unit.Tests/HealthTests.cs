using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using QueueMaaS.Api.Health;
using QueueMaaS.Serving;

namespace QueueMaaS.Unit.Tests;

/// <summary>Health of the embedded program as it is built, with a clock and limits of the test's choosing.</summary>
public sealed class HealthTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-health-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_nearly_full_disk_is_seen_and_said()
    {
        await using var app = Build(TimeProvider.System, "--Health:MinFreeBytes=9000000000000000");
        var report = await app.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(TestContext.Current.CancellationToken);
        var disk = report.Entries["disk"];
        disk.Status.ShouldBe(HealthStatus.Degraded);
        disk.Description!.ShouldContain("nearly full");
        disk.Description!.ShouldContain("Health:MinFreeBytes");
    }

    [Fact]
    public async Task A_clock_that_jumps_is_seen_and_said_for_a_while()
    {
        var clock = new SteppedClock();
        await using var app = Build(clock);
        var health = app.Services.GetRequiredService<HealthCheckService>();
        (await ClockAsync(health)).Status.ShouldBe(HealthStatus.Healthy);
        clock.Pass(TimeSpan.FromSeconds(30));
        (await ClockAsync(health)).Status.ShouldBe(HealthStatus.Healthy, "time that passes is no jump");
        clock.Step(TimeSpan.FromMinutes(-1));
        var jumped = await ClockAsync(health);
        jumped.Status.ShouldBe(HealthStatus.Degraded);
        jumped.Description!.ShouldContain("jumped by -60.0 s");
        clock.Pass(TimeSpan.FromMinutes(6));
        (await ClockAsync(health)).Status.ShouldBe(HealthStatus.Healthy, "everybody lives by the new time");
    }

    [Fact]
    public void A_part_is_said_to_be_ill_once_and_well_once_with_how_long_it_lasted()
    {
        var time = new FakeTimeProvider();
        var log = new Lines();
        using var journal = new HealthJournal(time, log);
        var ill = Report(HealthStatus.Unhealthy);
        journal.Observe(Report(HealthStatus.Healthy));
        time.Advance(TimeSpan.FromSeconds(10));
        var since = journal.Observe(ill)[0].Since;
        log.ShouldBeEmpty("it may be over in a moment");
        for (var look = 0; look < 6; look++)
        {
            time.Advance(TimeSpan.FromSeconds(10));
            journal.Observe(ill)[0].Since.ShouldBe(since);
        }

        log.ShouldHaveSingleItem().ShouldContain("database");
        time.Advance(TimeSpan.FromSeconds(10));
        journal.Observe(Report(HealthStatus.Healthy));
        log.Count.ShouldBe(2);
        log[1].ShouldContain("well again after 70 s");
    }

    private static HealthReport Report(HealthStatus status) =>
        new(new Dictionary<string, HealthReportEntry> { ["database"] = new(status, "No answer.", TimeSpan.Zero, null, null) }, TimeSpan.Zero);

    private static async Task<HealthReportEntry> ClockAsync(HealthCheckService health) =>
        (await health.CheckHealthAsync(static check => check.Name == "clock", TestContext.Current.CancellationToken)).Entries["clock"];

    private Microsoft.AspNetCore.Builder.WebApplication Build(TimeProvider time, params string[] settings) =>
        QueueMaaSHost.Build(["--Bus:RabbitMq=", "--Storage:PostgreSql=", "--Storage:Redis=", $"--Storage:DataFolder={_folder}", .. settings], services => services.AddSingleton(time));

    /// <summary>A wall clock that can be put forward and back beside a monotonic one that cannot.</summary>
    private sealed class SteppedClock : TimeProvider
    {
        private DateTimeOffset _now = DateTimeOffset.UtcNow;
        private long _monotonic;

        public override DateTimeOffset GetUtcNow() => _now;

        public override long GetTimestamp() => _monotonic;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Pass(TimeSpan time)
        {
            _now += time;
            _monotonic += time.Ticks;
        }

        public void Step(TimeSpan by) => _now += by;
    }

    private sealed class Lines : List<string>, ILogger<HealthJournal>
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => NullLogger.Instance.BeginScope(state);

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Add(formatter(state, exception));
    }
}
