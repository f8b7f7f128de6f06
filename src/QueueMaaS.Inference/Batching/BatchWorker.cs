using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Batching;

/// <summary>
/// Drives one instance: takes a batch, computes it, answers its callers, and lines up again behind them on the thread pool (so that callers that come straight back are in the next batch).
/// A batch that fails is computed again in halves until the culprit stands alone: at most 2·log2(n) more runs for one bad request, and none of its mates fails.
/// Where one half goes well the culprit is in the other, which is split further without a run that would only fail again (binary splitting, as in group testing).
/// </summary>
internal sealed class BatchWorker(DynamicBatcher batcher, IModelInstance instance) : IThreadPoolWorkItem, IDisposable
{
    private readonly List<BatchMember> _members = [];

    /// <summary>When its batch will probably be done, on the batcher's clock. Guarded by the batcher's lock.</summary>
    public TimeSpan ExpectedEnd { get; set; }

    public void Schedule() => batcher.Schedule(this);

    public void Execute()
    {
        var batch = batcher.Take(this);
        if (batch is null)
            return;
        try
        {
            var started = batcher.Now;
            batcher.Waited(batch, Name(batch.Reason), started);
            Compute(batch, StillWanted(batch.Entries), started);
        }
        catch (Exception e)
        {
            // An error of ours, not of the model: without this the callers would wait for ever and the instance would be lost.
            foreach (var entry in batch.Entries)
                batcher.Fail(((RequestPart)entry).Owner, Failure(e));
        }
        finally
        {
            Schedule();
        }
    }

    public void Dispose() => instance.Dispose();

    /// <summary>True where all parts were computed in one run.</summary>
    private bool Compute(ClosedBatch batch, List<RequestPart> parts, TimeSpan started)
    {
        if (parts.Count == 0)
            return false;
        var rows = Rows(parts);
        var stop = parts[0].Stop?.Token ?? CancellationToken.None;
        IReadOnlyList<TensorBuffer> outputs;
        var begun = batcher.Now;
        try
        {
            _members.Clear();
            foreach (var part in parts)
                _members.Add(part.Member);
            outputs = instance.Run(_members, stop);
        }
        catch (Exception e)
        {
            if (stop.IsCancellationRequested)
                return false;
            if (parts.Count == 1)
                batcher.Fail(parts[0].Owner, Failure(e));
            else if (e is ProblemException { Problem.Code: ProblemCodes.ModelRunTimeout or ProblemCodes.ModelResting })
                // To look for the culprit would hold the instance for as long again, and again.
                parts.ForEach(part => batcher.Fail(part.Owner, Failure(e)));
            else if (Suspects.Find(e.Message, parts) is { } suspects)
                ComputeApart(batch, parts, suspects, started);
            else
                FindCulprit(batch, parts, started);
            return false;
        }

        var computed = batcher.Now - begun;
        var reason = Name(batch.Reason);
        batcher.Measured(parts[0].Lane, reason, rows, computed);
        if (batch.Reason == CloseReason.Single)
            AnswerWhole(parts[0], outputs, Receipt(parts[0], rows, reason, started, computed));
        else if (!HaveRows(outputs, rows))
            ComputeSingly(parts, started);
        else if (Answer(parts, outputs, rows, reason, started, computed) is { Count: > 0 } notFinite)
            Isolate(batch, parts, notFinite, outputs, started);
        return true;
    }

    /// <summary>The parts failed together, so at least one of them fails alone.</summary>
    private void FindCulprit(ClosedBatch batch, List<RequestPart> parts, TimeSpan started)
    {
        var (first, second) = Halves(parts);
        var firstIsGood = ComputeAgain(batch, first, started);
        second = StillWanted(second);
        if (firstIsGood && second.Count > 1)
            FindCulprit(batch, second, started);
        else
            ComputeAgain(batch, second, started);
    }

    /// <summary>Where the suspects are the culprits this costs one run for all others, not one for each half of a half.</summary>
    private void ComputeApart(ClosedBatch batch, List<RequestPart> parts, List<RequestPart> suspects, TimeSpan started)
    {
        ComputeAgain(batch, [.. parts.Except(suspects)], started);
        ComputeAgain(batch, suspects, started);
    }

    private bool ComputeAgain(ClosedBatch batch, List<RequestPart> parts, TimeSpan started)
    {
        batcher.Metrics.RanAgain(batcher.Tags(), 1);
        return Compute(batch, StillWanted(parts), started);
    }

    private static (List<RequestPart> First, List<RequestPart> Second) Halves(List<RequestPart> parts)
    {
        var half = parts.Count / 2;
        return (parts.GetRange(0, half), parts.GetRange(half, parts.Count - half));
    }

    /// <summary>Answers each request with its own rows; gives back those whose rows are not finite where they have to be.</summary>
    private List<RequestPart>? Answer(List<RequestPart> parts, IReadOnlyList<TensorBuffer> outputs, int rows, string reason, TimeSpan started, TimeSpan computed)
    {
        List<RequestPart>? notFinite = null;
        long[][]? shapes = null;
        var first = 0;
        foreach (var part in parts)
        {
            var own = outputs;
            if (parts.Count > 1)
            {
                // Requests of as many rows as the one before share its shapes: most have one row.
                if (shapes is null || (outputs.Count > 0 && shapes[0][0] != part.Rows))
                    shapes = ShapesOf(outputs, part.Rows);
                var slices = new TensorBuffer[outputs.Count];
                for (var i = 0; i < slices.Length; i++)
                    slices[i] = outputs[i].Slice(first, part.Rows, shapes[i]);
                own = slices;
            }

            first += part.Rows;
            if (batcher.RejectsNonFinite && FiniteCheck.Find(own) is not null)
            {
                (notFinite ??= []).Add(part);
                continue;
            }

            if (!part.Owner.MayHave(own, batcher.MaxAnswerBytes))
            {
                batcher.Fail(part.Owner, AnswerLimit.Exceeded(batcher.MaxAnswerBytes));
                continue;
            }

            part.Owner.Complete(part, own, Receipt(part, rows, reason, started, computed));
            batcher.Answered(part);
        }

        return notFinite;
    }

    /// <summary>A row that is not finite may have spoilt those beside it, so only one that is so by itself fails.</summary>
    private void Isolate(ClosedBatch batch, List<RequestPart> all, List<RequestPart> notFinite, IReadOnlyList<TensorBuffer> outputs, TimeSpan started)
    {
        if (all.Count == 1)
        {
            batcher.Fail(all[0].Owner, NotFinite(outputs));
        }
        else if (notFinite.Count == 1)
        {
            ComputeAgain(batch, notFinite, started);
        }
        else
        {
            var (first, second) = Halves(notFinite);
            ComputeAgain(batch, first, started);
            ComputeAgain(batch, second, started);
        }
    }

    private void AnswerWhole(RequestPart part, IReadOnlyList<TensorBuffer> outputs, BatchReceipt receipt)
    {
        if (batcher.RejectsNonFinite && FiniteCheck.Find(outputs) is not null)
        {
            batcher.Fail(part.Owner, NotFinite(outputs));
            return;
        }

        part.Owner.CompleteWhole(outputs, receipt);
        batcher.Answered(part);
    }

    /// <summary>The rows of the outputs cannot be told apart, so each request is computed whole and by itself, these included.</summary>
    private void ComputeSingly(List<RequestPart> parts, TimeSpan started)
    {
        foreach (var owner in parts.Select(p => p.Owner).Distinct())
        {
            batcher.RunSinglyFrom(owner);
            if (owner.IsFinished)
                continue;
            var begun = batcher.Now;
            try
            {
                var outputs = instance.Run([new(owner.Request.Inputs, owner.Request.Rows)], CancellationToken.None);
                var computed = batcher.Now - begun;
                var reason = Name(CloseReason.Single);
                batcher.Measured(owner.Parts[0].Lane, reason, owner.Request.Rows, computed);
                AnswerWhole(owner.Parts[0], outputs, Receipt(owner.Parts[0], owner.Request.Rows, reason, started, computed));
            }
            catch (Exception e)
            {
                batcher.Fail(owner, Failure(e));
            }
        }
    }

    private static long[][] ShapesOf(IReadOnlyList<TensorBuffer> outputs, int rows)
    {
        var shapes = new long[outputs.Count][];
        for (var i = 0; i < shapes.Length; i++)
            shapes[i] = outputs[i].ShapeOf(rows);
        return shapes;
    }

    private static List<RequestPart> StillWanted(IReadOnlyList<QueueEntry> entries)
    {
        var wanted = new List<RequestPart>(entries.Count);
        for (var i = 0; i < entries.Count; i++)
        {
            var part = (RequestPart)entries[i];
            if (!part.Owner.IsFinished)
                wanted.Add(part);
        }

        return wanted;
    }

    private static int Rows(List<RequestPart> parts)
    {
        var rows = 0;
        foreach (var part in parts)
            rows += part.Rows;
        return rows;
    }

    private static bool HaveRows(IReadOnlyList<TensorBuffer> outputs, int rows)
    {
        for (var i = 0; i < outputs.Count; i++)
        {
            if (outputs[i].Shape.Length == 0 || outputs[i].Shape[0] != rows)
                return false;
        }

        return true;
    }

    private static BatchReceipt Receipt(RequestPart part, int rows, string reason, TimeSpan started, TimeSpan computed) =>
        new(rows, reason, Math.Max(0, (started - part.ArrivedAt).TotalMilliseconds), computed.TotalMilliseconds);

    private static string Name(CloseReason reason) => reason switch
    {
        CloseReason.Full => "full",
        CloseReason.Preferred => "preferred",
        CloseReason.Delay => "delay",
        CloseReason.Deadline => "deadline",
        CloseReason.Single => "single",
        _ => "idle",
    };

    private static ProblemException NotFinite(IReadOnlyList<TensorBuffer> outputs)
    {
        var (output, at) = FiniteCheck.Find(outputs)!.Value;
        return new(
            ProblemCodes.ModelExecutionFailed,
            $"The model gave a number that is not finite (NaN or infinity) at place {at} of its output '{output.Name}', and the version is set to refuse those (`batching.rejectNonFinite`). Check the input's values against what the model was trained on.",
            ("output", output.Name), ("index", at));
    }

    private static ProblemException Failure(Exception exception) => exception as ProblemException ?? new ProblemException(
        Problem.Create(ProblemCodes.ModelExecutionFailed, "The model's computation failed on this input for a reason that it does not tell. Check the input's values against what the model was trained on."), exception);
}
