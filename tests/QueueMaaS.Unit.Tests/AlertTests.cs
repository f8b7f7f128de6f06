using System.Diagnostics;
using System.Text.RegularExpressions;

namespace QueueMaaS.Unit.Tests;

/// <summary>The alert rules and the dashboard, as they are deployed.</summary>
public sealed partial class AlertTests
{
    private static readonly string Prometheus = Path.Combine(Repository.Root, "compose", "prometheus");

    [Fact]
    public async Task The_alerts_fire_where_they_should_and_are_silent_on_a_healthy_deployment()
    {
        var (exitCode, output) = await Promtool.RunAsync("test", "rules", Path.Combine(Prometheus, "alerts.test.yml"));
        exitCode.ShouldBe(0, output);
        output.ShouldContain("SUCCESS");
    }

    [Fact]
    public void Every_alert_is_tested_and_has_a_section_in_the_runbook()
    {
        var rules = File.ReadAllText(Path.Combine(Prometheus, "alerts.yml"));
        var alerts = Alert().Matches(rules).Select(match => match.Groups["name"].Value).ToArray();
        alerts.Length.ShouldBeGreaterThan(10);
        var tests = File.ReadAllText(Path.Combine(Prometheus, "alerts.test.yml"));
        var runbook = File.ReadAllText(Path.Combine(Repository.Root, "docs", "telemetry.md"));
        foreach (var alert in alerts)
        {
            // Once where it fires, once where all are silent.
            Regex.Count(tests, $@"alertname: {alert}\n", RegexOptions.None, TimeSpan.FromSeconds(1)).ShouldBeGreaterThanOrEqualTo(2, alert);
            tests.ShouldContain($"docs/telemetry.md#{alert.ToLowerInvariant()}");
            rules.ShouldContain($"docs/telemetry.md#{alert.ToLowerInvariant()}");
            runbook.ShouldContain($"### {alert}\n");
        }
    }

    [Fact]
    public void The_dashboard_and_the_alerts_name_only_metrics_that_exist()
    {
        var documented = MetricName().Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs", "telemetry.md"))).Select(match => match.Value).ToHashSet();
        var dashboard = File.ReadAllText(Path.Combine(Repository.Root, "compose", "grafana", "dashboards", "queuemaas.json"));
        using var parsed = System.Text.Json.JsonDocument.Parse(dashboard);
        var expressions = parsed.RootElement.GetProperty("panels").EnumerateArray()
            .SelectMany(panel => panel.TryGetProperty("targets", out var targets) ? targets.EnumerateArray().ToArray() : [])
            .Select(target => target.GetProperty("expr").GetString()!)
            .Concat(Expression().Matches(File.ReadAllText(Path.Combine(Prometheus, "alerts.yml"))).Select(match => match.Groups["name"].Value)).ToArray();
        expressions.Length.ShouldBeGreaterThan(40);
        var named = expressions.SelectMany(expression => MetricName().Matches(expression)).Select(match => Part().Replace(match.Value, "")).Distinct().ToArray();
        named.ShouldContain("queuemaas_jobs");
        named.Where(name => !documented.Contains(name)).ShouldBeEmpty("see the table in docs/telemetry.md, which a test holds against what is served");
    }

    [Theory]
    [InlineData("sum(queuemaas_jobs)", true)]
    [InlineData("sum(queuemaas_jobs", false)]
    public async Task Promtool_is_asked_and_its_refusal_is_seen(string expression, bool fits)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, $"groups: [{{ name: g, rules: [{{ record: r, expr: '{expression}' }}] }}]\n", TestContext.Current.CancellationToken);
            (await Promtool.RunAsync("check", "rules", file)).ExitCode.ShouldBe(fits ? 0 : 1);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task The_dashboards_queries_are_read_by_prometheus()
    {
        using var parsed = System.Text.Json.JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(Repository.Root, "compose", "grafana", "dashboards", "queuemaas.json"), TestContext.Current.CancellationToken));
        var rules = parsed.RootElement.GetProperty("panels").EnumerateArray()
            .SelectMany(panel => panel.TryGetProperty("targets", out var targets) ? targets.EnumerateArray().ToArray() : [])
            .Select((target, index) => $"  - record: panel:{index}\n    expr: {target.GetProperty("expr").GetString()!.Replace("$__rate_interval", "1m", StringComparison.Ordinal)}\n");
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, $"groups:\n- name: dashboard\n  rules:\n{string.Concat(rules)}", TestContext.Current.CancellationToken);
            var (exitCode, output) = await Promtool.RunAsync("check", "rules", file);
            exitCode.ShouldBe(0, output);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [GeneratedRegex(@"- alert: (?<name>\w+)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Alert();

    [GeneratedRegex(@"expr: (?<name>.*)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Expression();

    [GeneratedRegex(@"\b(?:queuemaas|http_server|dotnet)_[a-z0-9_]+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex MetricName();

    [GeneratedRegex(@"_(?:bucket|sum|count)$", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Part();
}

/// <summary>Prometheus' own tool, which <c>./test.sh</c> installs where it is missing.</summary>
internal static class Promtool
{
    public static async Task<(int ExitCode, string Output)> RunAsync(params string[] arguments)
    {
        Process process;
        try
        {
            process = Process.Start(new ProcessStartInfo("promtool", arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new InvalidOperationException("promtool is needed: Debian's and Ubuntu's package `prometheus`, or https://prometheus.io/download. ./test.sh installs it.", exception);
        }

        using (process)
        {
            var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            return (process.ExitCode, await output + await errors);
        }
    }
}

/// <summary>Where the repository's files are.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    private static string Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "QueueMaaS.sln")))
            folder = folder.Parent!;
        return folder.FullName;
    }
}
