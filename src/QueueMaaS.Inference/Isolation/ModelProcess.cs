using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Isolation;

/// <summary>The worker's end of a process that computes one model.</summary>
internal sealed class ModelProcess : IDisposable
{
    private const int MostErrorText = 2000;
    private static readonly TimeSpan ToEnd = TimeSpan.FromSeconds(2);

    // What it needs to start and to find a GPU. The rest may hold secrets, and the process computes what a stranger made.
    private static readonly string[] Inherited = ["PATH", "HOME", "TMPDIR", "TEMP", "TMP", "LANG", "SystemRoot", "LD_LIBRARY_PATH", "DOTNET_ROOT", "DOTNET_ROOT_X64", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "OMP_NUM_THREADS"];

    private readonly Lock _gate = new();
    private readonly StringBuilder _errors = new();
    private readonly DirectoryInfo _folder;
    private readonly Process _process;
    private readonly string _socket;

    private ModelProcess(ModelProcessStart start)
    {
        _folder = Directory.CreateTempSubdirectory("queuemaas-model-");
        _socket = Path.Combine(_folder.FullName, "s");
        var info = new ProcessStartInfo(start.FileName, start.Arguments)
        {
            WorkingDirectory = _folder.FullName,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            StandardInputEncoding = new UTF8Encoding(false),
            StandardOutputEncoding = new UTF8Encoding(false),
        };
        var inherited = Inherited.Select(name => (Name: name, Value: Environment.GetEnvironmentVariable(name))).Where(static variable => variable.Value is not null).ToArray();
        info.Environment.Clear();
        foreach (var (name, value) in inherited)
            info.Environment[name] = value;
        // It serves one model: what keeps a large service fast only makes its start slow.
        info.Environment["DOTNET_gcConcurrent"] = "0";
        info.Environment["DOTNET_EnableDiagnostics"] = "0";
        info.Environment["DOTNET_TieredPGO"] = "0";
        _process = new Process { StartInfo = info };
        _process.ErrorDataReceived += (_, line) => Remember(line.Data);
    }

    /// <summary>What it has loaded.</summary>
    public ModelProcessReport Report { get; private set; } = new();

    public int Id => _process.Id;

    /// <summary>True where it ended by itself, or was ended by others.</summary>
    public bool HasEnded
    {
        get
        {
            try
            {
                return _process.HasExited;
            }
            catch (InvalidOperationException)
            {
                // Its successor could not be started, and it was let go.
                return true;
            }
        }
    }

    /// <summary>Starts a process and waits until it has loaded its model.</summary>
    /// <exception cref="ProblemException">It could not: <c>model_run_timeout</c> where it took longer than <paramref name="limit"/>, <c>model_process_ended</c> where it ended, else as the model's loading.</exception>
    public static ModelProcess Start(ModelProcessStart start, ModelProcessOrder order, TimeSpan limit)
    {
        var process = new ModelProcess(start);
        try
        {
            process.Load(order, limit);
            return process;
        }
        catch
        {
            process.Dispose();
            throw;
        }
    }

    /// <summary>Another instance of the model.</summary>
    /// <exception cref="SocketException">It has ended.</exception>
    public NetworkStream Connect()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(_socket));
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Asks a run to stop, which it does between two operators.</summary>
    /// <param name="instance">Counted from 0 in the order of the connections.</param>
    /// <param name="run">Counted from 1 on its connection: one that has ended meanwhile is not mistaken for its successor.</param>
    public void Stop(int instance, long run)
    {
        lock (_gate)
        {
            try
            {
                _process.StandardInput.WriteLine($"stop {instance} {run}");
                _process.StandardInput.Flush();
            }
            catch (Exception e) when (e is IOException or InvalidOperationException)
            {
                // It has ended, which its connection says too.
            }
        }
    }

    /// <summary>Ends it, whatever it does.</summary>
    public void Kill()
    {
        try
        {
            _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It has ended already.
        }
    }

    /// <summary>How it ended, for an operator: its exit code and what it said last.</summary>
    public string DescribeEnd()
    {
        try
        {
            if (!_process.WaitForExit(ToEnd))
                return "it has not ended";
            lock (_errors)
                return $"exit code {_process.ExitCode}{(_errors.Length > 0 ? $": {_errors}" : "")}";
        }
        catch (InvalidOperationException)
        {
            return "it was replaced meanwhile";
        }
    }

    public void Dispose()
    {
        try
        {
            _process.StandardInput.Close();
            if (!_process.WaitForExit(ToEnd))
                Kill();
        }
        catch (Exception e) when (e is InvalidOperationException or IOException)
        {
            // It never began, or has ended.
        }

        _process.Dispose();
        try
        {
            _folder.Delete(recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // The process has done it.
        }
    }

    private void Load(ModelProcessOrder order, TimeSpan limit)
    {
        _process.Start();
        _process.BeginErrorReadLine();
        try
        {
            _process.StandardInput.WriteLine(JsonSerializer.Serialize(order with { Socket = _socket }, QueueMaaSJson.Relaxed));
            _process.StandardInput.Flush();
            var line = _process.StandardOutput.ReadLineAsync().WaitAsync(limit).GetAwaiter().GetResult();
            Report = line is not null && JsonSerializer.Deserialize<ModelProcessReport>(line, QueueMaaSJson.Relaxed) is { } report ? report : throw new EndOfStreamException();
        }
        catch (TimeoutException)
        {
            Kill();
            throw new ProblemException(ProblemCodes.ModelRunTimeout, $"The model was not ready to compute after {limit.TotalSeconds:0.###} s (Inference:LoadTimeout), and its loading was stopped. Does its graph compute large constants? Compute them before the export.");
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            throw new ProblemException(
                Problem.Create(ProblemCodes.ModelProcessEnded, "The process that this model was to run in ended while it loaded the model. It may need more memory than one model may take (Inference:ModelMemoryBytes), or the file may be damaged."),
                new InvalidOperationException(DescribeEnd(), e));
        }

        if (Report.Problem is { } problem)
            throw new ProblemException(problem);
        if (Report.Signature is null)
            throw new ProblemException(ProblemCodes.ModelProcessEnded, "The process that this model was to run in answered without a model.");
        // Nothing is expected there any more; a full pipe would hold it up.
        _ = _process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
    }

    private void Remember(string? line)
    {
        lock (_errors)
        {
            if (line is not null && _errors.Length + line.Length < MostErrorText)
                _errors.AppendLine(line);
        }
    }
}
