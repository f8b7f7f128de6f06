using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using System.Text.RegularExpressions;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>What <c>/metrics</c> and <c>/health</c> say, and that the documentation says the same.</summary>
public abstract partial class MetricsCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_metrics_are_those_of_the_documentation_with_their_types_and_labels()
    {
        var scraped = await ScrapeAfterWorkAsync();
        var documented = Documented();
        var made = Instruments();
        made.ShouldBe(documented.ToDictionary(metric => metric.Key, metric => metric.Value.Type), ignoreOrder: true, "docs/telemetry.md has one line for each metric that the program makes");

        var exposed = TypeLine().Matches(scraped).ToDictionary(match => match.Groups["name"].Value, match => match.Groups["type"].Value);
        foreach (var (name, type) in exposed.Where(metric => metric.Key.StartsWith("queuemaas_", StringComparison.Ordinal)))
        {
            documented.ShouldContainKey(name);
            type.ShouldBe(documented[name].Type, name);
            Labels(scraped, name).ShouldBe(documented[name].Labels, ignoreOrder: true, customMessage: name);
        }

        // What work of every sort must have shown.
        exposed.Keys.ShouldContain("queuemaas_attempts_ended_total");
        exposed.Keys.ShouldContain("queuemaas_batch_size_rows");
        exposed.Keys.ShouldContain("queuemaas_webhook_tries_total");
        exposed.Keys.ShouldContain("queuemaas_bus_unprocessable_total");
        exposed.Keys.ShouldContain("queuemaas_queue_predicted_seconds");
    }

    [Fact]
    public async Task Promtool_accepts_the_metrics()
    {
        var start = new ProcessStartInfo("promtool", ["check", "metrics"]) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        using var promtool = Process.Start(start)!;
        await promtool.StandardInput.WriteAsync(await ScrapeAfterWorkAsync());
        promtool.StandardInput.Close();
        var output = await promtool.StandardOutput.ReadToEndAsync(Cancel) + await promtool.StandardError.ReadToEndAsync(Cancel);
        await promtool.WaitForExitAsync(Cancel);
        output.ShouldBeEmpty();
        promtool.ExitCode.ShouldBe(0);
    }

    [Fact]
    public async Task Health_names_each_part_with_its_version_and_since_when()
    {
        var first = await HealthAsync();
        first.GetProperty("status").GetString().ShouldBe("healthy");
        var parts = first.GetProperty("checks");
        parts.GetProperty("database").GetProperty("data").GetProperty("version").GetString()!.ShouldMatch(@"^\d+\.");
        parts.GetProperty("disk").GetProperty("data").GetProperty("freeBytes").GetDouble().ShouldBeGreaterThan(0);
        if (service.RabbitMq is not null)
        {
            parts.GetProperty("broker").GetProperty("data").GetProperty("version").GetString()!.ShouldMatch(@"^[34]\.\d+\.");
            parts.GetProperty("redis").GetProperty("data").GetProperty("version").GetString()!.ShouldMatch(@"^\d+\.");
            parts.GetProperty("clock").GetProperty("data").GetProperty("offsetSeconds").GetDouble().ShouldBeInRange(-5, 5);
        }

        var since = parts.GetProperty("database").GetProperty("since").GetDateTimeOffset();
        (await HealthAsync()).GetProperty("checks").GetProperty("database").GetProperty("since").GetDateTimeOffset().ShouldBe(since, "it has been well all the time");
    }

    private async Task<JsonElement> HealthAsync() => JsonElement.Parse(await service.Http.GetStringAsync("health/ready", Cancel));

    private async Task<string> ScrapeAfterWorkAsync()
    {
        var path = Requests.NewId();
        var job = await service.Api.SubmitAsync(Requests.Double(1, 2) with { Webhook = new WebhookTarget { Url = service.Webhooks.Url(path), Events = [WebhookEvent.Completed] } }, cancellationToken: Cancel);
        _ = Requests.Values(await service.Api.WaitAsync(job.Id, Cancel));
        await service.Webhooks.NextAsync(path);
        await service.Bus.SubmitAsync(Requests.Double(1, 2) with { Id = Requests.NewId(), Priority = 77 }, Cancel);
        for (var tries = 0; ; tries++)
        {
            var text = await service.Http.GetStringAsync("metrics", Cancel);
            if ((text.Contains("queuemaas_bus_unprocessable_total", StringComparison.Ordinal) && text.Contains("queuemaas_webhook_tries_total", StringComparison.Ordinal) && text.Contains("queuemaas_health{", StringComparison.Ordinal)) || tries > 200)
                return text;
            await Task.Delay(100, Cancel);
        }
    }

    /// <summary>The table of docs/telemetry.md.</summary>
    private static Dictionary<string, (string Type, string[] Labels)> Documented()
    {
        return TableRow().Matches(File.ReadAllText(Path.Combine(Node.RepositoryRoot(), "docs", "telemetry.md")))
            .ToDictionary(row => row.Groups["name"].Value, row => (row.Groups["type"].Value, row.Groups["labels"].Value.Split([',', ' ', '`'], StringSplitOptions.RemoveEmptyEntries)));
    }

    /// <summary>Every instrument that the program has made, under the name that Prometheus sees.</summary>
    private static Dictionary<string, string> Instruments()
    {
        var found = new Dictionary<string, string>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (!instrument.Meter.Name.StartsWith("QueueMaaS.", StringComparison.Ordinal))
                return;
            var type = instrument.GetType().Name is var name && name.StartsWith("Histogram", StringComparison.Ordinal) ? "histogram" : name.StartsWith("Counter", StringComparison.Ordinal) ? "counter" : "gauge";
            var unit = instrument.Unit switch { null or "" => "", "s" => "_seconds", "By" => "_bytes", var other => $"_{other}" };
            var full = instrument.Name.EndsWith(unit, StringComparison.Ordinal) ? instrument.Name : instrument.Name + unit;
            found[type == "counter" ? $"{full}_total" : full] = type;
        };
        listener.Start();
        return found;
    }

    private static string[] Labels(string scraped, string metric) => [.. scraped.Split('\n')
        .Select(line => Sample().Match(line)).Where(sample => sample.Success && (sample.Groups["name"].Value == metric || (sample.Groups["name"].Value.StartsWith(metric, StringComparison.Ordinal) && sample.Groups["name"].Value[metric.Length..] is "_bucket" or "_sum" or "_count")))
        .SelectMany(sample => Label().Matches(sample.Groups["labels"].Value).Select(label => label.Groups["label"].Value)).Where(label => label is not "le").Distinct()];

    [GeneratedRegex(@"^\| `(?<name>queuemaas_\w+)` \| (?<type>\w+) \| (?<labels>[^|]*)\|", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex TableRow();

    [GeneratedRegex(@"^# TYPE (?<name>\w+) (?<type>\w+)", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex TypeLine();

    [GeneratedRegex(@"^(?<name>\w+)(?:\{(?<labels>.*)\})? ", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Sample();

    [GeneratedRegex(@"(?<label>\w+)=""(?:[^""\\]|\\.)*""", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Label();
}

[Collection("embedded")]
public sealed class Embedded_metrics(EmbeddedService service) : MetricsCases(service);

[Collection("servers")]
public sealed class Servers_metrics(ServersService service) : MetricsCases(service);

/// <summary>A machine whose clock is off, beside a real database.</summary>
public sealed class ClockCases
{
    [Theory]
    [InlineData(60, "60.0 s ahead of")]
    [InlineData(-60, "60.0 s behind")]
    public async Task A_clock_that_is_off_by_a_minute_is_seen_and_said(int seconds, string said)
    {
        await using var space = await ServerSpace.CreateAsync();
        var folder = Directory.CreateTempSubdirectory("queuemaas-clock-");
        await using (var app = Serving.QueueMaaSHost.Build(
            [.. space.Settings.Select(setting => $"--{setting.Key}={setting.Value}"), "--urls=http://127.0.0.1:0", "--Storage:MigrateAtStart=true", $"--Storage:DataFolder={folder.FullName}", "--Logging:LogLevel:Default=None"],
            services => Microsoft.Extensions.DependencyInjection.ServiceCollectionServiceExtensions.AddSingleton<TimeProvider>(services, new OffsetClock(TimeSpan.FromSeconds(seconds)))))
        {
            await Serving.QueueMaaSHost.PrepareDatabaseAsync(app, TestContext.Current.CancellationToken);
            await app.StartAsync(TestContext.Current.CancellationToken);
            using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
            var health = JsonElement.Parse(await http.GetStringAsync("health/ready", TestContext.Current.CancellationToken));
            health.GetProperty("checks").GetProperty("clock").GetProperty("status").GetString().ShouldBe("degraded");
            health.GetProperty("checks").GetProperty("clock").GetProperty("description").GetString()!.ShouldContain(said);
            (await http.GetStringAsync("metrics", TestContext.Current.CancellationToken)).ShouldMatch($@"queuemaas_clock_offset_seconds\S* {(seconds < 0 ? "-" : "")}(59\.9|60)");
            await app.StopAsync(TestContext.Current.CancellationToken);
        }

        folder.Delete(recursive: true);
    }

    private sealed class OffsetClock(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + by;
    }
}
