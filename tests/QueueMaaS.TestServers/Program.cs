using System.Diagnostics;
using System.Runtime.InteropServices;
using QueueMaaS.Testing;

// Without arguments: starts the servers, prints where they are, runs until Ctrl-C.
// exec COMMAND ARGS…: starts them, runs the command with QUEUEMAAS_TEST_* set, stops them, ends with the command's exit code.
using var stop = new CancellationTokenSource();
using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);

if (args is not [] and not ["exec", _, ..])
{
    Console.Error.WriteLine("usage: QueueMaaS.TestServers [exec COMMAND ARGS…]");
    return 64;
}

try
{
    await using var servers = await TestServers.StartAsync(Say, stop.Token);
    return args is ["exec", .. var command] ? await ExecuteAsync(servers, command) : await HoldAsync(servers);
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    return 130;
}
catch (ServersUnavailableException exception)
{
    Console.Error.WriteLine(exception.Message);
    return 69;
}

void OnSignal(PosixSignalContext context)
{
    // Not at once: the servers are stopped first.
    context.Cancel = true;
    stop.Cancel();
}

// On standard error, so that standard output holds nothing but the export lines and can be given to eval.
static void Say(string line) => Console.Error.WriteLine(line);

async Task<int> HoldAsync(TestServers servers)
{
    Console.WriteLine($"export Storage__PostgreSql='{servers.PostgreSql}'");
    Console.WriteLine($"export Storage__Redis='{servers.Redis}'");
    Console.WriteLine($"export Bus__RabbitMq='{servers.RabbitMq}'");
    Say("Running until Ctrl-C.");
    await Task.Delay(Timeout.Infinite, stop.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
    Say("Stopping the servers …");
    return 0;
}

async Task<int> ExecuteAsync(TestServers servers, string[] command)
{
    await using var control = servers.CanBeRestarted ? new ControlSocket(servers) : null;
    var start = new ProcessStartInfo(command[0], command[1..])
    {
        Environment =
        {
            [GivenServers.RabbitMqVariable] = servers.RabbitMq,
            [GivenServers.PostgreSqlVariable] = servers.PostgreSql,
            [GivenServers.RedisVariable] = servers.Redis,
        },
    };
    if (control is not null) start.Environment[GivenServers.ControlVariable] = control.Address;
    using var process = Process.Start(start)!;
    try
    {
        await process.WaitForExitAsync(stop.Token);
    }
    catch (OperationCanceledException)
    {
        // Ctrl-C in a terminal has reached the command already, kill -TERM has not.
        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync(CancellationToken.None);
        return 130;
    }

    return process.ExitCode;
}
