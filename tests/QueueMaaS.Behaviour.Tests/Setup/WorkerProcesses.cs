using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Npgsql;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Testing;

namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>QueueMaaS as operators run it: an API process and workers, each a process of its own, on real servers.</summary>
public sealed class WorkerProcesses : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-faults-").FullName;
    private readonly List<WorkerProcess> _started = [];
    private ServerSpace? _space;
    private HttpClient? _http;

    public TestServers Servers => _space!.Servers;
    public QueueMaaSClient Api { get; private set; } = null!;

    /// <summary>The API process.</summary>
    public WorkerProcess Server => _started[0];

    public async ValueTask InitializeAsync()
    {
        _space = await ServerSpace.CreateAsync();
        var api = Start("api,notify");
        _http = new HttpClient { BaseAddress = new Uri(api.Url), Timeout = TimeSpan.FromMinutes(3) };
        Api = new QueueMaaSClient(_http);
        await api.WaitUntilReadyAsync(_http);
    }

    /// <summary>Starts a process with these roles.</summary>
    public WorkerProcess Start(string roles)
    {
        var process = new WorkerProcess(roles, _folder, _space!.Settings);
        _started.Add(process);
        return process;
    }

    /// <summary>The settings and the data folder of these processes, for one that lives in the test's own.</summary>
    public string[] Settings => [.. _space!.Settings.Select(setting => $"--{setting.Key}={setting.Value}"), $"--Storage:DataFolder={_folder}", "--Jobs:Lease=00:00:03", "--Jobs:TrainingLease=00:00:04"];

    /// <summary>What the API process tells Prometheus.</summary>
    public Task<string> MetricsAsync() => _http!.GetStringAsync("metrics");

    public async Task<IReadOnlyList<JobEvent>> HistoryAsync(string id) =>
        JsonSerializer.Deserialize<IReadOnlyList<JobEvent>>(await _http!.GetStringAsync($"v1/jobs/{id}/history"), QueueMaaSJson.Relaxed)!;

    /// <summary>How many workers have stored counts for a watch.</summary>
    public async Task<long> CountedByAsync(string watch)
    {
        await using var connection = new NpgsqlConnection(_space!.Settings["Storage:PostgreSql"]);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("select count(distinct worker) from traffic_summaries where watch_id = @watch", connection) { Parameters = { new("watch", watch) } };
        return (long)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>A job as it is, or once it has ended; asked again while a server is away.</summary>
    public async Task<Job> GetThroughOutagesAsync(string id, int wait)
    {
        while (true)
        {
            using var response = await _http!.GetAsync($"v1/jobs/{id}?wait={wait}");
            if (response.IsSuccessStatusCode)
                return JsonSerializer.Deserialize<Job>(await response.Content.ReadAsStringAsync(), QueueMaaSJson.Relaxed)!;
            response.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        }
    }

    /// <summary>A job once it has ended, through outages of the servers.</summary>
    public async Task<Job> WaitThroughOutagesAsync(string id)
    {
        while (true)
        {
            var job = await GetThroughOutagesAsync(id, wait: 10);
            if (job.FinishedAt is not null)
                return job;
        }
    }

    /// <summary>Kills what earlier tests have left with these roles, so that a test knows who does its work.</summary>
    public void KillAll(string roles)
    {
        foreach (var process in _started.Where(process => process.Roles == roles))
            process.KillHard();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _started)
            process.KillHard();
        _http?.Dispose();
        if (_space is not null)
            await _space.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}

/// <summary>One process of the service.</summary>
public sealed class WorkerProcess
{
    private readonly Process _process;

    public WorkerProcess(string roles, string folder, IReadOnlyDictionary<string, string> settings, string? url = null, System.Text.StringBuilder? output = null, string? program = null)
    {
        Roles = roles;
        Url = url ?? $"http://127.0.0.1:{FreePort()}/";
        program ??= Path.Combine(AppContext.BaseDirectory, "QueueMaaS.dll");
        var start = new ProcessStartInfo("dotnet", [program, "serve", "--roles", roles]) { UseShellExecute = false, RedirectStandardOutput = output is not null, RedirectStandardError = output is not null };
        var own = new Dictionary<string, string>(settings)
        {
            ["Urls"] = Url,
            ["Storage:DataFolder"] = folder,
            ["Storage:MigrateAtStart"] = "true",
            ["Jobs:Lease"] = "00:00:03",
            ["Jobs:TrainingLease"] = "00:00:04",
            ["Jobs:RedispatchAfter"] = "00:00:03",
            ["Webhooks:AllowPrivateTargets"] = "true",
            ["Logging:LogLevel:Default"] = "Critical",
            ["Logging:LogLevel:Microsoft"] = "Critical",
            ["Logging:LogLevel:MassTransit"] = "None",
        };
        // What a test sets itself wins.
        foreach (var (name, value) in settings)
            own[name] = value;
        foreach (var (name, value) in own)
            start.Environment[name.Replace(":", "__", StringComparison.Ordinal)] = value;
        _process = Process.Start(start)!;
        if (output is null)
            return;
        _process.OutputDataReceived += (_, line) => Add(output, line.Data);
        _process.ErrorDataReceived += (_, line) => Add(output, line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public string Roles { get; }

    public string Url { get; }

    public int Id => _process.Id;

    /// <summary>The most bytes of memory that the process has held so far.</summary>
    public long PeakMemory => 1024 * long.Parse(File.ReadLines($"/proc/{Id}/status").First(line => line.StartsWith("VmHWM:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>As <c>kill -9</c>: the process gets no chance to tell anyone.</summary>
    public void KillHard()
    {
        if (!_process.HasExited)
            _process.Kill();
    }

    /// <summary>Asks the process to stop (SIGTERM) and waits until it has, with its output read to the end.</summary>
    public async Task EndAsync()
    {
        using var kill = Process.Start("kill", ["-TERM", $"{_process.Id}"]);
        await _process.WaitForExitAsync(new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token);
    }

    /// <summary>Waits until the process has ended by itself, with its output read to the end.</summary>
    public async Task<int> ExitCodeAsync()
    {
        await _process.WaitForExitAsync(new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token);
        return _process.ExitCode;
    }

    private static void Add(System.Text.StringBuilder output, string? line)
    {
        lock (output)
            output.AppendLine(line);
    }

    public async Task WaitUntilReadyAsync(HttpClient http)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            limit.Token.ThrowIfCancellationRequested();
            if (_process.HasExited)
                throw new InvalidOperationException($"The process ended with exit code {_process.ExitCode}.");
            try
            {
                using var response = await http.GetAsync("health/ready", limit.Token);
                if (response.IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException)
            {
                await Task.Yield();
            }
        }
    }

    internal static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
