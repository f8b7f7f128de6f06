using System.Diagnostics;
using System.Globalization;
using System.Runtime.Versioning;

namespace QueueMaaS.Testing;

/// <summary>One node of the machine's own RabbitMQ, with everything it writes in its own folder.</summary>
/// <param name="binaries">The programs.</param>
/// <param name="folder">Its folder, which exists.</param>
/// <param name="port">Where it speaks AMQP, on 127.0.0.1; part of its name, too.</param>
/// <param name="distribution">Where it speaks to other nodes.</param>
/// <param name="portMapper">Where Erlang's port mapper listens, which tells nodes where the others are.</param>
/// <param name="password">Of the user <c>queuemaas</c>; the nodes of one cluster share it.</param>
internal sealed class RabbitMqNode(LocalBinaries binaries, string folder, int port, int distribution, int portMapper, string password)
{
    public string Name => $"queuemaas{port}@localhost";

    public string Folder => folder;

    /// <summary>What its programs need to know.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; } = new Dictionary<string, string>
    {
        ["HOME"] = folder,
        ["ERL_EPMD_PORT"] = $"{portMapper}",
        ["ERL_EPMD_ADDRESS"] = "127.0.0.1",
        ["RABBITMQ_NODENAME"] = $"queuemaas{port}@localhost",
        ["RABBITMQ_DIST_PORT"] = $"{distribution}",
        ["RABBITMQ_CONFIG_FILE"] = Path.Combine(folder, "rabbitmq.conf"),
        ["RABBITMQ_CONF_ENV_FILE"] = Path.Combine(folder, "rabbitmq-env.conf"),
        ["RABBITMQ_ADVANCED_CONFIG_FILE"] = Path.Combine(folder, "advanced.config"),
        ["RABBITMQ_ENABLED_PLUGINS_FILE"] = Path.Combine(folder, "enabled_plugins"),
        ["RABBITMQ_MNESIA_BASE"] = Path.Combine(folder, "data"),
        ["RABBITMQ_PID_FILE"] = Path.Combine(folder, "pid"),
        ["RABBITMQ_LOG_BASE"] = folder,
        ["RABBITMQ_LOGS"] = "-",
        ["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = "-kernel inet_dist_use_interface {127,0,0,1}",
    };

    /// <summary>Writes its settings.</summary>
    /// <param name="tls">Lines that take the place of the plain listener; null: without TLS.</param>
    /// <param name="cluster">Lines that name the other nodes; null: it stays alone.</param>
    /// <param name="cancellationToken">Ends the writing.</param>
    [UnsupportedOSPlatform("windows")]
    public async Task PrepareAsync(string? tls, string? cluster, CancellationToken cancellationToken)
    {
        await File.WriteAllTextAsync(
            Path.Combine(folder, "rabbitmq.conf"),
            $"""
            {tls ?? $"listeners.tcp.default = 127.0.0.1:{port}"}
            default_user = queuemaas
            default_pass = {password}
            disk_free_limit.absolute = {DiskLimits.Usual}
            log.console.level = warning
            {cluster}

            """,
            cancellationToken);
        await File.WriteAllTextAsync(Path.Combine(folder, "enabled_plugins"), "[].\n", cancellationToken);
        var cookie = Path.Combine(folder, ".erlang.cookie");
        await File.WriteAllTextAsync(cookie, password, cancellationToken);
        File.SetUnixFileMode(cookie, UnixFileMode.UserRead);
    }

    public SupervisedProcess Launch() => SupervisedProcess.Start("rabbitmq", folder, "TERM", [binaries.RabbitMq], Environment);

    /// <summary>As <c>kill -9</c> of the node's own process.</summary>
    public void KillHard()
    {
        using var process = Process.GetProcessById(int.Parse(File.ReadAllText(Path.Combine(folder, "pid")), CultureInfo.InvariantCulture));
        process.Kill();
        process.WaitForExit();
    }
}
