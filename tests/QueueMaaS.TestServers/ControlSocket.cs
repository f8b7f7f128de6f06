using System.Net.Sockets;

namespace QueueMaaS.Testing;

/// <summary>
/// Lets a test process stop and start servers that another process holds: one line <c>stop redis</c>,
/// <c>start redis</c> each way over a Unix socket that only this user can open, answered by <c>ok</c> or the reason why not.
/// </summary>
internal sealed class ControlSocket : IAsyncDisposable
{
    private readonly TestServers _servers;
    private readonly Socket _listener;
    private readonly string _folder;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;

    public ControlSocket(TestServers servers)
    {
        _servers = servers;
        _folder = Directory.CreateTempSubdirectory("queuemaas-control-").FullName;
        Address = Path.Combine(_folder, "socket");
        _listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _listener.Bind(new UnixDomainSocketEndPoint(Address));
        _listener.Listen();
        _loop = ServeAsync(_stop.Token);
    }

    public string Address { get; }

    public static async Task SendAsync(string address, string order, Server server, CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(address), cancellationToken);
        await using var stream = new NetworkStream(socket);
        await using var writer = new StreamWriter(stream) { AutoFlush = true };
        using var reader = new StreamReader(stream);
        await writer.WriteLineAsync($"{order} {server}".AsMemory(), cancellationToken);
        var answer = await reader.ReadLineAsync(cancellationToken);
        if (answer is not "ok") throw new ServersUnavailableException($"Could not {order} {server}: {answer ?? "the holder of the servers is gone"}");
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _loop;
        _stop.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task ServeAsync(CancellationToken cancellationToken)
    {
        try
        {
            // One order at a time: they are rare, and two at once on one server would make no sense.
            while (true)
            {
                using var socket = await _listener.AcceptAsync(cancellationToken);
                try
                {
                    await AnswerAsync(socket, cancellationToken);
                }
                catch (IOException)
                {
                    // The test process went away in the middle; the next one may still come.
                }
            }
        }
        catch (Exception exception) when (cancellationToken.IsCancellationRequested && exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Disposed.
        }
    }

    private async Task AnswerAsync(Socket socket, CancellationToken cancellationToken)
    {
        await using var stream = new NetworkStream(socket);
        using var reader = new StreamReader(stream);
        await using var writer = new StreamWriter(stream) { AutoFlush = true };
        var words = (await reader.ReadLineAsync(cancellationToken) ?? "").Split(' ');
        string answer;
        try
        {
            if (words.Length != 2 || !Enum.TryParse<Server>(words[1], ignoreCase: true, out var server)) answer = "say 'stop SERVER', 'start SERVER', 'alarm RabbitMq' or 'calm RabbitMq'";
            else answer = await ObeyAsync(words[0], server, cancellationToken);
        }
        catch (ServersUnavailableException exception)
        {
            answer = exception.Message.ReplaceLineEndings(" ");
        }

        await writer.WriteLineAsync(answer.AsMemory(), cancellationToken);
    }

    private async Task<string> ObeyAsync(string order, Server server, CancellationToken cancellationToken)
    {
        if (order is "stop") await _servers.StopAsync(server, cancellationToken);
        else if (order is "start") await _servers.StartAsync(server, cancellationToken);
        else if (order is "alarm") await _servers.RaiseDiskAlarmAsync(cancellationToken);
        else if (order is "calm") await _servers.EndDiskAlarmAsync(cancellationToken);
        else return $"'{order}' is not an order";
        return "ok";
    }
}
