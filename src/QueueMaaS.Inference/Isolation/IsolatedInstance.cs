using System.Net.Sockets;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Sessions;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Isolation;

/// <summary>An instance of an <see cref="IsolatedModel"/>: sends a batch's rows to the process and reads the outputs, one batch at a time.</summary>
internal sealed class IsolatedInstance(IsolatedModel model) : IModelInstance
{
    /// <summary>A run that was told to stop has so long to heed it; an operator that computes for longer is ended with its process.</summary>
    private static readonly TimeSpan ToHeed = TimeSpan.FromSeconds(1);

    private readonly RunWatch _watch = new();
    private readonly RunWatch _last = new();
    private ModelConnection? _connection;

    /// <inheritdoc/>
    /// <exception cref="ProblemException"><c>model_execution_failed</c>, <c>answer_too_large</c> or <c>out_of_memory</c>: for a single member; <c>model_process_ended</c>: the computation ended the process; <c>model_run_timeout</c>: it took longer than it may.</exception>
    /// <exception cref="BatchRunException">The computation of several members failed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="stop"/> was set.</exception>
    public IReadOnlyList<TensorBuffer> Run(IReadOnlyList<BatchMember> members, CancellationToken stop)
    {
        ArgumentNullException.ThrowIfNull(members);
        stop.ThrowIfCancellationRequested();
        model.Guard.Enter();
        try
        {
            return RunOnce(members, stop);
        }
        catch (ProcessLostException)
        {
            // Others may have ended it: the machine, for want of memory, or an instance whose run did not heed its end. Only a run that does it twice is to blame.
            try
            {
                return RunOnce(members, stop);
            }
            catch (ProcessLostException)
            {
                throw Remember(model.Guard.ProcessEnded(counts: members.Count == 1));
            }
        }
    }

    private TensorBuffer[] RunOnce(IReadOnlyList<BatchMember> members, CancellationToken stop)
    {
        if (_connection is { } old && model.IsRetired(old.Process))
            Leave(old);
        var connection = _connection ??= Connect();
        connection.Begin();
        _watch.Begin(model.Guard.Limit, () => Stop(connection));
        try
        {
            using var registration = stop.UnsafeRegister(static c => ((ModelConnection)c!).Stop(), connection);
            if (Exchange(connection, members) is { } outputs)
            {
                model.Guard.Ended();
                return outputs;
            }
        }
        catch (Exception e) when (e is IOException or InvalidDataException or JsonException)
        {
            throw Lost(connection, e, stop);
        }
        finally
        {
            _watch.End();
            _last.End();
        }

        stop.ThrowIfCancellationRequested();
        throw Remember(model.Guard.Stopped());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watch.Dispose();
        _last.Dispose();
        _connection?.Dispose();
    }

    /// <summary>The outputs; null where the run was stopped.</summary>
    private TensorBuffer[]? Exchange(ModelConnection connection, IReadOnlyList<BatchMember> members)
    {
        var frames = connection.Frames;
        frames.WriteRun(members, AnswerLimit.OfRun(model.MaxAnswerBytes, members));
        switch (frames.ReadKind())
        {
            case FrameKind.Outputs:
                return frames.ReadTensors(model.Signature.Outputs);
            case FrameKind.Stopped:
                return null;
            case FrameKind.Failed:
                var problem = JsonSerializer.Deserialize<Problem>(frames.ReadText(), QueueMaaSJson.Relaxed) ?? throw new InvalidDataException("A failure without a problem.");
                var text = frames.ReadText();
                var failure = new ProblemException(problem);
                if (problem.Code == ProblemCodes.OutOfMemory)
                {
                    Remember(failure);
                    model.Retire(connection.Process);
                }

                throw members.Count == 1 ? failure : new BatchRunException(text, failure);
            case var kind:
                throw new InvalidDataException($"A process sends no frame of kind {kind}.");
        }
    }

    private ModelConnection Connect()
    {
        try
        {
            return model.Connect();
        }
        catch (SocketException e)
        {
            throw new ProcessLostException(e);
        }
    }

    private void Stop(ModelConnection connection)
    {
        connection.Stop();
        _last.Begin(ToHeed, connection.Process.Kill);
    }

    /// <summary>The connection broke in the middle of a run: the process has ended, by our hand or by the model's, or sent what nobody can read.</summary>
    private Exception Lost(ModelConnection connection, Exception cause, CancellationToken stop)
    {
        var tookTooLong = _watch.End();
        Leave(connection);
        if (stop.IsCancellationRequested)
            return new OperationCanceledException("Nobody waits for this run any more.", cause, stop);
        if (tookTooLong)
            return Remember(model.Guard.Stopped());
        if (cause is not IOException)
            connection.Process.Kill();
        model.Ended(connection.Process);
        return new ProcessLostException(cause);
    }

    private void Leave(ModelConnection connection)
    {
        _connection = null;
        connection.Dispose();
    }

    private ProblemException Remember(ProblemException exception)
    {
        model.Trouble = exception.Problem;
        return exception;
    }

    private sealed class ProcessLostException(Exception cause) : Exception("The process ended in the middle of a run.", cause);
}
