using System.Net.Sockets;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Sessions;

namespace QueueMaaS.Inference.Isolation;

/// <summary>
/// A model in a process of its own, which may take so much memory and no more, and which is ended where a run does not come to its end: what a model does there, it does to nobody else.
/// A process that has ended is replaced when the next run needs it.
/// </summary>
internal sealed class IsolatedModel : IOnnxModel
{
    private readonly Lock _gate = new();
    private readonly Func<ModelProcess> _start;
    private readonly Action<string> _ended;
    private readonly long _mostBytes;
    private readonly Dictionary<ModelProcess, int> _retired = [];
    private ModelProcess _process;
    private int _open;
    private int _connections;
    private bool _disposed;

    /// <summary>Starts the first process.</summary>
    /// <param name="start">Starts one.</param>
    /// <param name="runLimit">The longest that one run may take.</param>
    /// <param name="mostBytes">Most bytes of one output; 0 for no limit.</param>
    /// <param name="maxAnswerBytes">As <see cref="InferenceOptions.MaxAnswerBytes"/>.</param>
    /// <param name="ended">Told how a process ended that should not have.</param>
    /// <exception cref="ProblemException">As <see cref="ModelProcess.Start"/>.</exception>
    public IsolatedModel(Func<ModelProcess> start, TimeSpan runLimit, long mostBytes, long maxAnswerBytes, Action<string> ended)
    {
        MaxAnswerBytes = maxAnswerBytes;
        _start = start;
        _ended = ended;
        _mostBytes = mostBytes > 0 ? mostBytes : long.MaxValue;
        Guard = new(runLimit);
        _process = start();
        Signature = _process.Report.Signature!;
        HasBatchAxis = _process.Report.HasBatchAxis;
    }

    /// <inheritdoc/>
    public ModelSignature Signature { get; }

    /// <inheritdoc/>
    public bool HasBatchAxis { get; }

    /// <summary>Most bytes of one answer.</summary>
    public long MaxAnswerBytes { get; }

    /// <summary>What keeps its runs within their time.</summary>
    public RunGuard Guard { get; private set; }

    /// <summary>Why its last run that failed for want of time or memory did so; null where none has.</summary>
    public Problem? Trouble { get; set; }

    /// <summary>The process that computes now.</summary>
    public int ProcessId
    {
        get
        {
            lock (_gate)
                return _process.Id;
        }
    }

    /// <inheritdoc/>
    public void Limit(TimeSpan run) => Guard = new(run);

    /// <inheritdoc/>
    public IModelInstance NewInstance() => new IsolatedInstance(this);

    /// <summary>A connection to the process that computes now; a new process where that one has ended.</summary>
    /// <exception cref="ProblemException">As <see cref="ModelProcess.Start"/>.</exception>
    public ModelConnection Connect()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_process.HasEnded)
                Replace();
            try
            {
                return Open();
            }
            catch (SocketException)
            {
                // It is just ending.
                Replace();
                return Open();
            }
        }
    }

    /// <summary>
    /// Gives a process no new runs: one whose memory did not suffice keeps what it had asked the system for, and would fail at what others send it. It ends with its last connection.
    /// </summary>
    /// <exception cref="ProblemException">As <see cref="ModelProcess.Start"/>.</exception>
    public void Retire(ModelProcess process)
    {
        lock (_gate)
        {
            if (_disposed || _process != process)
                return;
            var next = _start();
            _retired[process] = _open;
            (_process, _connections, _open) = (next, 0, 0);
        }
    }

    /// <summary>Whether a process takes no new runs.</summary>
    public bool IsRetired(ModelProcess process)
    {
        lock (_gate)
            return _process != process;
    }

    /// <summary>A connection was closed.</summary>
    public void Left(ModelProcess process)
    {
        lock (_gate)
        {
            if (_process == process)
                _open--;
            else if (_retired.TryGetValue(process, out var open) && (_retired[process] = open - 1) <= 0)
                End(process);
        }
    }

    /// <summary>Says that a process ended that should not have.</summary>
    public void Ended(ModelProcess process) => _ended(process.DescribeEnd());

    private ModelConnection Open()
    {
        var connection = new ModelConnection(this, _process, _connections, new TensorFrames(_process.Connect(), _mostBytes));
        _connections++;
        _open++;
        return connection;
    }

    private void Replace()
    {
        _process.Kill();
        _process.Dispose();
        _process = _start();
        (_connections, _open) = (0, 0);
    }

    private void End(ModelProcess process)
    {
        _retired.Remove(process);
        process.Kill();
        process.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            foreach (var process in _retired.Keys.ToArray())
                End(process);
            _process.Dispose();
        }
    }
}

/// <summary>An instance's connection to the process.</summary>
internal sealed class ModelConnection(IsolatedModel model, ModelProcess process, int instance, TensorFrames frames) : IDisposable
{
    private long _run;

    public ModelProcess Process => process;

    public TensorFrames Frames => frames;

    /// <summary>Counts a run that begins now.</summary>
    public void Begin() => Interlocked.Increment(ref _run);

    /// <summary>Asks the run to stop.</summary>
    public void Stop() => process.Stop(instance, Interlocked.Read(ref _run));

    public void Dispose()
    {
        frames.Dispose();
        model.Left(process);
    }
}
