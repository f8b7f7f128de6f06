using System.Globalization;
using System.Security.Cryptography;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;

namespace QueueMaaS.Behaviour.Tests.Containers;

/// <summary>
/// The services of <c>docker-compose.yml</c> as its documentation starts them, built from this source, with names, ports and
/// passwords of their own beside whatever else runs on the machine. Grafana and Jaeger stay out: nothing here asks them.
/// </summary>
public sealed class ComposeDeployment : IAsyncDisposable
{
    private const string Project = "queuemaas-test";

    private static readonly string[] Services = ["rabbitmq", "postgres", "redis", "migrate", "api", "inference", "training", "prometheus"];

    private readonly Dictionary<string, string> _environment = [];
    private readonly HttpClient _http;
    private Task? _start;

    public ComposeDeployment()
    {
        foreach (var name in (string[])["POSTGRES", "RABBITMQ", "REDIS", "GRAFANA"])
            _environment[$"QUEUEMAAS_{name}_PASSWORD"] = RandomNumberGenerator.GetHexString(32, lowercase: true);
        foreach (var name in (string[])["HTTP", "RABBITMQ", "RABBITMQ_MANAGEMENT", "PROMETHEUS"])
            _environment[$"QUEUEMAAS_{name}_ADDRESS"] = $"127.0.0.1:{WorkerProcess.FreePort()}";
        _http = new HttpClient { BaseAddress = new Uri($"http://{_environment["QUEUEMAAS_HTTP_ADDRESS"]}/"), Timeout = TimeSpan.FromMinutes(3) };
        Api = new QueueMaaSClient(_http);
        Prometheus = new Uri($"http://{_environment["QUEUEMAAS_PROMETHEUS_ADDRESS"]}/");
    }

    /// <summary>The services that are QueueMaaS itself.</summary>
    public static IReadOnlyList<string> Roles { get; } = ["api", "inference", "training"];

    public QueueMaaSClient Api { get; }

    public Uri Prometheus { get; }

    /// <summary>Starts it for the first test that asks: an ordinary run, which leaves these tests out, makes this object all the same.</summary>
    public Task StartAsync() => _start ??= BringUpAsync();

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (_start is not null)
            await ComposeAsync("down", "--volumes", "--remove-orphans", "--timeout", "10");
    }

    public Task<string> ComposeAsync(params string[] arguments) => Docker.RunAsync(_environment, ["compose", "--project-name", Project, "--progress", "quiet", .. arguments]);

    /// <summary>The containers of a service, oldest first.</summary>
    public async Task<IReadOnlyList<string>> ContainersAsync(string service) =>
        (await ComposeAsync("ps", "--all", "--quiet", service)).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>One thing about the only container of a service, in Docker's own template language.</summary>
    public async Task<string> InspectAsync(string service, string template) => await Docker.RunAsync("inspect", "--format", template, (await ContainersAsync(service)).ShouldHaveSingleItem());

    /// <summary>Runs so many containers of a service, and returns when all are healthy.</summary>
    public Task ScaleAsync(string service, int count) =>
        ComposeAsync("up", "--detach", "--wait", "--no-deps", "--no-recreate", "--scale", string.Create(CultureInfo.InvariantCulture, $"{service}={count}"), service);

    /// <summary>Starts a container of another image as one more process of this deployment, and gives its name once its own health check is content.</summary>
    public async Task<string> JoinAsync(string image, int port, string roles)
    {
        var api = (await ContainersAsync("api")).Single();
        var settings = (await Docker.RunAsync("inspect", "--format", "{{range .Config.Env}}{{println .}}{{end}}", api)).Split('\n').Where(line => line.Contains("__", StringComparison.Ordinal));
        var name = $"{Project}-joined-{port}";
        await Docker.RunAsync(
        [
            "run", "--detach", "--name", name, "--network", $"{Project}_default", "--volumes-from", api, "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--publish", $"127.0.0.1:{port}:8080", .. settings.SelectMany(setting => (string[])["--env", setting]), image, "serve", "--roles", roles,
        ]);
        for (var seconds = 0; await Docker.RunAsync("inspect", "--format", "{{.State.Health.Status}}", name) != "healthy"; seconds++)
        {
            if (seconds == 120)
            {
                var said = await Docker.RunAsync("logs", "--tail", "30", name);
                await LeaveAsync(name);
                throw new TimeoutException("Not healthy within two minutes: " + said);
            }

            await Task.Delay(1000);
        }

        return name;
    }

    public async Task LeaveAsync(string container) => await Docker.TryAsync("rm", "--force", container);

    private async Task BringUpAsync()
    {
        // What a run that was killed has left.
        await ComposeAsync("down", "--volumes", "--remove-orphans");
        Console.WriteLine("Building the image and starting docker-compose.yml …");
        try
        {
            await ComposeAsync(["up", "--build", "--detach", "--wait", .. Services]);
        }
        catch (InvalidOperationException exception)
        {
            throw new InvalidOperationException($"{exception.Message}\n{await ComposeAsync("ps", "--all")}\n{await ComposeAsync("logs", "--tail", "30")}", exception);
        }
    }
}
