using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Sessions;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Models;

/// <summary>
/// Tries whether a model gives a row the same answer alone and in batches of several sizes and orders. A model whose rows influence each other (statistics over the batch, a shuffled axis)
/// would answer by chance of its batch-mates; one look at registration is cheaper than a wrong answer that nobody notices.
/// </summary>
internal static class BatchInvariance
{
    // A row that takes longer is not worth a large batch for this purpose.
    private static readonly TimeSpan QuickRow = TimeSpan.FromMilliseconds(5);

    private static readonly int[][] Orders = [[0, 1], [3, 2, 1, 0], [2, 0, 3]];

    /// <summary>Runs the model on made-up rows.</summary>
    /// <param name="model">The model.</param>
    /// <param name="random">The operators of its that draw numbers by chance; null where it has none.</param>
    public static BatchCheck Check(IOnnxModel model, string? random = null)
    {
        if (!model.HasBatchAxis)
            return new(false, "The model has no free batch axis that all its inputs and outputs share, so each request is computed by itself.");
        using var session = model.NewInstance();
        foreach (var size in MadeUpRows.SizesFor(model.Signature))
        {
            try
            {
                return Check(session, MadeUpRows.Make(model.Signature, size, 4), model.Signature, random);
            }
            catch (ProblemException exception) when (exception.Problem.Code is ProblemCodes.ModelRunTimeout or ProblemCodes.ModelResting)
            {
                return new(false, "The model's computation on made-up rows took longer than 10 s and was stopped, so each request is computed by itself: it would hold up the others of its batch.");
            }
            catch (ProblemException)
            {
                // The made-up rows do not suit the model at this size; another may.
            }
        }

        return new(true, "The model could not be tried on made-up rows, so it is batched as its free first axis says. Register it with `batching.maxBatchSize` 1 if its rows influence each other.");
    }

    private static BatchCheck Check(IModelInstance session, BatchMember[] rows, ModelSignature signature, string? random)
    {
        var clock = Stopwatch.StartNew();
        var alone = rows.Select(row => session.Run([row], CancellationToken.None)).ToArray();
        List<int[]> orders = [.. Orders];
        if (clock.Elapsed < QuickRow * rows.Length)
            orders.Add([.. Enumerable.Range(0, 32).Select(i => (i * 7 + 1) % rows.Length)]);
        var tolerance = TensorDifference.Tolerance(signature);
        int[] sizes = [1, .. orders.Select(order => order.Length).Order()];
        var greatest = 0d;
        foreach (var order in orders)
        {
            IReadOnlyList<TensorBuffer> together;
            try
            {
                together = session.Run([.. order.Select(i => rows[i])], CancellationToken.None);
            }
            catch (Exception e) when (e is OnnxRuntimeException or BatchRunException)
            {
                return new(false, $"A batch of {order.Length} rows fails although each row alone does not, so each request is computed by itself. {OnnxFailure.OnRun(e).Problem.Message}", Sizes: sizes);
            }

            for (var output = 0; output < together.Count; output++)
            {
                var whole = together[output];
                if (whole.Shape.Length == 0 || whole.Shape[0] != order.Length)
                    return new(false, $"Output '{whole.Name}' has the shape {TensorBuffer.Describe(whole.Shape)} for a batch of {order.Length} rows, so its rows cannot be told apart and each request is computed by itself.", Sizes: sizes);
                for (var at = 0; at < order.Length; at++)
                    greatest = Math.Max(greatest, TensorDifference.Greatest(alone[order[at]][output], whole.Rows(at, 1)));
            }
        }

        if (greatest <= tolerance)
            return new(true, "A row gets the same answer alone and in batches.", greatest, sizes);
        // Before rows are held to influence each other: what differs all by itself says nothing of them.
        var repeated = session.Run([rows[0]], CancellationToken.None).Zip(alone[0]).Max(static pair => TensorDifference.Greatest(pair.Second, pair.First));
        return repeated > tolerance
            ? new(
                false,
                $"The model gives the same row another answer each time{(random is null ? "" : $" (it draws numbers by chance: {random})")}, here by {TensorDifference.Describe(repeated)}: its answers cannot be had again, and whether its rows influence each other cannot be told. So each request is computed by itself; `batching.ignoreBatchCheck` overrules this.",
                TensorDifference.Finite(greatest), sizes)
            : new(false, $"Rows influence each other: the same row alone and in a batch differ by {TensorDifference.Describe(greatest)}, more than {tolerance:g3}. So each request is computed by itself; `batching.ignoreBatchCheck` overrules this.", TensorDifference.Finite(greatest), sizes);
    }
}
