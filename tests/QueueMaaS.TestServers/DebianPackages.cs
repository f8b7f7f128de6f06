using System.Diagnostics;
using System.Runtime.Versioning;

namespace QueueMaaS.Testing;

/// <summary>Installs the servers' packages on Debian and Ubuntu, without starting them as services.</summary>
internal static class DebianPackages
{
    private const string PolicyFile = "/usr/sbin/policy-rc.d";

    public static string All => string.Join(' ', Enum.GetValues<Server>().Select(Name));

    [SupportedOSPlatformGuard("linux")]
    public static bool CanInstall =>
        OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess && File.Exists("/etc/debian_version") && LocalBinaries.FindOnPath("apt-get") is not null;

    [SupportedOSPlatform("linux")]
    public static async Task InstallAsync(IReadOnlyList<Server> servers, Action<string> say, CancellationToken cancellationToken)
    {
        var packages = servers.Select(Name).ToArray();
        say($"Installing {string.Join(", ", packages)} with apt-get, once for this machine …");
        // The packages would start their servers on the standard ports; this file is Debian's way to forbid it.
        var forbid = !File.Exists(PolicyFile);
        if (forbid)
        {
            await File.WriteAllTextAsync(PolicyFile, "#!/bin/sh\nexit 101\n", cancellationToken);
            File.SetUnixFileMode(PolicyFile, (UnixFileMode)0b111_101_101);
        }

        try
        {
            await RunAsync(["update"], cancellationToken);
            await RunAsync(["install", "-y", "--no-install-recommends", .. packages], cancellationToken);
        }
        finally
        {
            if (forbid) File.Delete(PolicyFile);
        }
    }

    private static string Name(Server server) => server switch
    {
        Server.RabbitMq => "rabbitmq-server",
        Server.PostgreSql => "postgresql",
        _ => "redis-server",
    };

    private static async Task RunAsync(string[] arguments, CancellationToken cancellationToken)
    {
        // Another installation may be under way: wait for its lock instead of failing at once.
        var start = new ProcessStartInfo("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=180", "-o", "Dpkg::Use-Pty=0", .. arguments])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            Environment = { ["DEBIAN_FRONTEND"] = "noninteractive" },
        };
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var errors = process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        if (process.ExitCode != 0)
            throw new ServersUnavailableException($"apt-get {string.Join(' ', arguments)} failed with {process.ExitCode}: {await output}{await errors}");
    }
}
