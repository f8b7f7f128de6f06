using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace QueueMaaS.JobBench;

/// <summary>One process of the service with given roles, that can be killed and started again.</summary>
internal sealed class ServiceProcess : IDisposable
{
    private readonly string _roles;
    private readonly IReadOnlyDictionary<string, string> _settings;
    private Process _process;

    public ServiceProcess(string roles, IReadOnlyDictionary<string, string> settings)
    {
        _roles = roles;
        _settings = settings;
        Url = $"http://127.0.0.1:{FreePort()}";
        _process = Start();
    }

    public string Url { get; }

    public int Id => _process.Id;

    /// <summary>Waits until it says that it is ready.</summary>
    public async Task WaitUntilReadyAsync()
    {
        using var http = new HttpClient();
        for (var tries = 0; ; tries++)
        {
            try
            {
                if ((await http.GetAsync($"{Url}/health/ready")).IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException) when (tries < 600)
            {
                // Not listening yet.
            }

            await Task.Delay(100);
        }
    }

    /// <summary><c>kill -9</c>, and another in its place.</summary>
    public void Replace()
    {
        Dispose();
        _process = Start();
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private Process Start()
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "QueueMaaS.dll"), "serve", "--roles", _roles]) { UseShellExecute = false };
        foreach (var (name, value) in _settings)
            start.Environment[name.Replace(":", "__", StringComparison.Ordinal)] = value;
        start.Environment["Urls"] = Url;
        return Process.Start(start)!;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
