using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;

namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>An S3 server in a process and a folder of its own: <c>tests/node/s3.mjs</c>, which shares no code with us.</summary>
public sealed class S3Server : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-s3-").FullName;
    private string? _tls;
    private Process? _process;

    public const string Bucket = "artifacts-of-tests";
    public const string AccessKey = "AKTESTTESTTESTTEST";

    public string SecretKey { get; } = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(20));

    public int Port { get; private set; }

    /// <summary>Where the server keeps the objects of the bucket.</summary>
    public string BucketFolder => Path.Combine(_folder, Bucket);

    /// <summary>The settings that lead to it.</summary>
    public string[] Settings => SettingsAt(Port);

    /// <summary>The same through a proxy.</summary>
    public string[] SettingsAt(int port) =>
        [_tls is null ? $"--S3:Endpoint=http://127.0.0.1:{port}" : $"--S3:Endpoint=https://localhost:{port}", $"--S3:Bucket={Bucket}", $"--S3:AccessKey={AccessKey}", $"--S3:SecretKey={SecretKey}", "--S3:Prefix=tests/", "--S3:PartBytes=5242880"];

    /// <param name="tls">A folder with <c>server.pem</c> and <c>server.key</c>. Null: without TLS.</param>
    public static async Task<S3Server> StartAsync(string? tls = null)
    {
        var server = new S3Server { _tls = tls };
        await server.UpAsync();
        return server;
    }

    /// <summary>Starts it, at the port of before.</summary>
    public async Task UpAsync()
    {
        string[] arguments = ["s3.mjs", _folder, Bucket, AccessKey, SecretKey, $"{Port}", _tls ?? ""];
        var start = new ProcessStartInfo("node", arguments) { WorkingDirectory = Path.Combine(Node.RepositoryRoot(), "tests", "node"), UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true };
        _process = Process.Start(start)!;
        Port = int.Parse((await _process.StandardOutput.ReadLineAsync())!, CultureInfo.InvariantCulture);
    }

    /// <summary>Stops it at once.</summary>
    public async Task DownAsync()
    {
        _process!.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    /// <summary>The names of the whole objects, in order.</summary>
    public string[] Objects(string prefix = "tests/artifacts/") =>
    [
        .. Directory.EnumerateFiles(BucketFolder, "*._S3rver_object", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(BucketFolder, file)[..^"._S3rver_object".Length])
            .Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal),
    ];

    /// <summary>The file that an object's content is in; its time is the object's.</summary>
    public string FileOf(string name) => Path.Combine(BucketFolder, $"{name}._S3rver_object");

    /// <summary>Uploads in parts that were begun and not ended.</summary>
    public string[] Uploads() => Directory.Exists(Path.Combine(BucketFolder, "._S3rver_uploads")) ? Directory.GetDirectories(Path.Combine(BucketFolder, "._S3rver_uploads")) : [];

    public async ValueTask DisposeAsync()
    {
        await DownAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
