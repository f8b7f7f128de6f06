using System.Diagnostics;

namespace QueueMaaS.Testing;

/// <summary>
/// A server process that cannot outlive this one. It is the child of a small bash script that holds the reading end
/// of a pipe from us: when we end, by whatever means, kill -9 included, the pipe closes and the script ends the server
/// and removes its folder. (PR_SET_PDEATHSIG would be shorter, but it fires when the thread that started the child
/// ends, and .NET's pool threads come and go.)
/// </summary>
internal sealed class SupervisedProcess : IAsyncDisposable
{
    // With set -m the server leads a process group of its own: Ctrl-C in the terminal does not reach it before we
    // have stopped it in order, and nothing it has started survives the KILL to the group.
    private const string Script =
        """
        set -m
        trap : INT TERM HUP
        signal=$1 grace=$2 folder=$3 log=$4
        shift 4
        exec >>"$log" 2>&1
        "$@" </dev/null &
        server=$!
        status=0
        while kill -s 0 "$server" 2>/dev/null; do
          read -r -t 1 _
          status=$?
          # 0: asked to stop; above 128: a second has passed; else: the pipe was closed, its owner is gone.
          [ "$status" -gt 128 ] || break
        done
        kill -s "$signal" "$server" 2>/dev/null
        for ((i = 0; i < grace * 10; i++)); do
          kill -s 0 "$server" 2>/dev/null || break
          sleep 0.1
        done
        kill -s KILL -- "-$server" 2>/dev/null
        wait
        if [ "$status" -eq 1 ]; then
          rm -rf -- "$folder"
          rmdir -- "$(dirname -- "$folder")" 2>/dev/null
        fi
        """;

    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(20);

    private readonly Process _supervisor;
    private readonly string _name;
    private readonly string _log;

    private SupervisedProcess(Process supervisor, string name, string log)
    {
        _supervisor = supervisor;
        _name = name;
        _log = log;
    }

    /// <summary>Starts a server; what it writes goes to NAME.log in its folder.</summary>
    /// <param name="folder">The server's own folder, removed when this process dies without stopping the server.</param>
    /// <param name="stopSignal">What asks this server to end in good order.</param>
    public static SupervisedProcess Start(
        string name,
        string folder,
        string stopSignal,
        IEnumerable<string> command,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        var log = Path.Combine(folder, name + ".log");
        string[] arguments = ["-c", Script, name, stopSignal, Grace.TotalSeconds.ToString("0"), folder, log, .. command];
        var start = new ProcessStartInfo("bash", arguments) { RedirectStandardInput = true, UseShellExecute = false, WorkingDirectory = folder };
        foreach (var (key, value) in environment ?? new Dictionary<string, string>()) start.Environment[key] = value;
        return new SupervisedProcess(Process.Start(start)!, name, log);
    }

    /// <summary>Null while the server runs, else what it said last.</summary>
    public string? FindFailure()
    {
        if (!_supervisor.HasExited) return null;
        var said = File.Exists(_log) ? string.Join(Environment.NewLine, File.ReadLines(_log).TakeLast(20)) : "(nothing)";
        return $"{_name} ended by itself. The end of its log:{Environment.NewLine}{said}";
    }

    public async ValueTask DisposeAsync()
    {
        if (!_supervisor.HasExited)
        {
            try
            {
                await _supervisor.StandardInput.WriteLineAsync("stop");
                await _supervisor.StandardInput.FlushAsync();
            }
            catch (IOException)
            {
                // It ended between the two lines: what we wanted.
            }

            await _supervisor.WaitForExitAsync();
        }

        _supervisor.Dispose();
    }
}
