using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Sessions;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Isolation;

/// <summary>
/// The process of one model. It reads its order from its standard input, loads the model, says on its standard output what became of that, and computes what comes over its connections, each of them an instance.
/// Further lines on its standard input stop an instance's run (<c>stop 0 12</c>: the first instance, its twelfth run); the end of its input, which comes when the worker ends however it ends, ends it.
/// </summary>
public sealed class ModelProcessProgram
{
    /// <summary>The argument that makes the program such a process.</summary>
    public const string Command = "model-process";

    private readonly ConcurrentDictionary<string, CancellationTokenSource> _runs = new(StringComparer.Ordinal);
    private readonly OnnxModel _model;

    private ModelProcessProgram(OnnxModel model) => _model = model;

    /// <summary>The program, from its first line to its end.</summary>
    /// <returns>Its exit code: 1 where there is no order or no model.</returns>
    public static int Run()
    {
        // Not the console: what a library prints must not come between.
        using var input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        if (input.ReadLine() is not { } line || JsonSerializer.Deserialize<ModelProcessOrder>(line, QueueMaaSJson.Relaxed) is not { } order)
            return 1;
        ProcessLimits.GoFirst();
        ProcessLimits.LimitMemory(order.MemoryBytes);
        ModelProcessProgram program;
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            program = new(OnnxModel.Load(order.Path, order.IntraOpThreads, order.Options));
            // The worker's clock judges, and ends the process where a run does not heed it.
            program._model.Limit(Timeout.InfiniteTimeSpan);
            listener.Bind(new UnixDomainSocketEndPoint(order.Socket));
            listener.Listen();
        }
        catch (Exception e)
        {
            Report(new() { Problem = ProblemOf(e) });
            return 1;
        }

        Report(new() { Signature = program._model.Signature, HasBatchAxis = program._model.HasBatchAxis });
        program.StartAccepting(listener);
        program.Obey(input);
        RemoveSocket(order.Socket);
        ProcessLimits.End();
        return 0;
    }

    /// <summary>Until the worker has gone.</summary>
    private void Obey(StreamReader input)
    {
        while (input.ReadLine() is { } line)
        {
            if (_runs.TryGetValue(line, out var run))
                Cancel(run);
        }
    }

    /// <summary>A worker that was killed leaves it behind, with the folder that it made for it.</summary>
    private static void RemoveSocket(string path)
    {
        try
        {
            File.Delete(path);
            Directory.Delete(Path.GetDirectoryName(path)!);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The worker was faster, or there is more in it than ours.
        }
    }

    private static void Cancel(CancellationTokenSource run)
    {
        try
        {
            run.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It has just ended by itself.
        }
    }

    private void StartAccepting(Socket listener)
    {
        new Thread(() =>
        {
            for (var instance = 0; ; instance++)
            {
                var (connection, number) = (listener.Accept(), instance);
                new Thread(() => Serve(connection, number)) { IsBackground = true }.Start();
            }
        })
        { IsBackground = true }.Start();
    }

    private void Serve(Socket connection, int instance)
    {
        using var session = new OnnxSession(_model);
        using var frames = new TensorFrames(new NetworkStream(connection, ownsSocket: true), Array.MaxLength);
        try
        {
            for (var number = 1L; frames.ReadKind() == FrameKind.Run; number++)
            {
                var name = $"stop {instance} {number}";
                using var run = _runs[name] = new();
                Answer(frames, session, run.Token);
                _runs.TryRemove(name, out _);
            }
        }
        catch (Exception e) when (e is IOException or InvalidDataException)
        {
            // The worker let go of this instance; another connection may be a new one.
            return;
        }
    }

    private void Answer(TensorFrames frames, OnnxSession session, CancellationToken stop)
    {
        TensorBuffer[]? inputs = null;
        try
        {
            var mostOutput = frames.ReadMostOutput();
            inputs = frames.ReadTensors(_model.Signature.Inputs);
            // They are put together already: to the session they are one member.
            frames.WriteOutputs(session.Run([new BatchMember(inputs, 1)], mostOutput, stop));
        }
        catch (OperationCanceledException)
        {
            frames.WriteStopped();
        }
        catch (Exception e) when (e is not (IOException or InvalidDataException))
        {
            frames.WriteFailure(JsonSerializer.Serialize(ProblemOf(e), QueueMaaSJson.Relaxed), (e.InnerException ?? e).Message);
            if (inputs is null)
                throw new InvalidDataException("What is left of the inputs cannot be read any more.", e);
        }
    }

    private static Problem ProblemOf(Exception exception) => exception switch
    {
        ProblemException problem => problem.Problem,
        OutOfMemoryException => new(ProblemCodes.OutOfMemory, "The memory that a model may take (Inference:ModelMemoryBytes) did not suffice. Send fewer rows at a time, set a smaller `batching.maxBatchSize`, or allow more."),
        _ => new(ProblemCodes.ModelExecutionFailed, "The model's computation failed on this input for a reason that it does not tell. Check the input's values against what the model was trained on."),
    };

    private static void Report(ModelProcessReport report)
    {
        using var output = Console.OpenStandardOutput();
        output.Write([.. JsonSerializer.SerializeToUtf8Bytes(report, QueueMaaSJson.Relaxed), (byte)'\n']);
        output.Flush();
    }
}
