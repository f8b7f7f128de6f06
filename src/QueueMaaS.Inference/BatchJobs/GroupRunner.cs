using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.BatchJobs.Sources;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.BatchJobs;

/// <summary>What an item gave.</summary>
/// <param name="Item">The item.</param>
/// <param name="Request">The request that it was part of; null where it never became one.</param>
/// <param name="Outputs">The model's outputs with the item's own rows; null where it failed.</param>
/// <param name="Batch">How it was computed; null where it failed.</param>
/// <param name="Error">Why it failed.</param>
internal readonly record struct ItemResult(Item Item, PreparedRequest? Request, IReadOnlyList<TensorBuffer>? Outputs, BatchReceipt? Batch, Problem? Error);

/// <summary>What a group gave: item by item, or as a whole.</summary>
/// <param name="Group">The group.</param>
/// <param name="Items">The results of its items; null where <paramref name="Whole"/> has them.</param>
/// <param name="Whole">Outputs with one row for each item, all of which succeeded; null where <paramref name="Items"/> has them.</param>
internal sealed record GroupResults(ItemGroup Group, ItemResult[]? Items, BatchResponse? Whole)
{
    /// <summary>The results item by item.</summary>
    public IEnumerable<ItemResult> Each()
    {
        if (Items is not null)
        {
            foreach (var item in Items)
                yield return item;
            yield break;
        }

        long[][] shapes = [.. Whole!.Outputs.Select(static output => output.ShapeOf(1))];
        for (var i = 0; i < Group.Items.Count; i++)
        {
            var own = new TensorBuffer[shapes.Length];
            for (var output = 0; output < own.Length; output++)
                own[output] = Whole.Outputs[output].Slice(i, 1, shapes[output]);
            yield return new(Group.Items[i], Group.Rows, own, Whole.Receipt, null);
        }
    }
}

/// <summary>
/// Computes a group of items: all of equal shapes in one run, always the same ones together, so that a job that is taken over gives the same bytes. A run that fails is repeated in halves, until the
/// culprit stands alone. The runs go through the model's batcher, so interactive requests, which have a higher priority, come between them.
/// </summary>
internal sealed class GroupRunner(IModelHost host, ServedModel model, int priority)
{
    // Interactive requests go first in the batcher: whatever the job's priority, it is not above theirs.
    private readonly InferenceCall _call = new() { Priority = Math.Min(priority, DynamicBatcher.UsualPriority - 1) };

    // Set once the outputs turn out not to have a row for each input row.
    private volatile bool _single = model.IsSingle;

    /// <summary>Computes a group. Where all its items are rows of one tensor and all is well, the outputs are given as a whole.</summary>
    public async Task<GroupResults> RunAsync(ItemGroup group, CancellationToken cancellationToken)
    {
        if (group.Rows is { Batchable: true, UnpaddedLength: null } rows && rows.Rows == group.Items.Count && !_single)
        {
            try
            {
                var response = await host.RunAsync(model, rows with { Batchable = false }, _call, cancellationToken);
                if (HaveRows(response, rows.Rows))
                    return new(group, null, response);
                _single = true;
            }
            catch (ProblemException exception) when (IsItemsFault(exception))
            {
                // The culprit is looked for below.
            }
        }

        return new(group, await RunItemsAsync(group, cancellationToken), null);
    }

    private async Task<ItemResult[]> RunItemsAsync(ItemGroup group, CancellationToken cancellationToken)
    {
        var results = new ItemResult[group.Items.Count];
        var lanes = new Dictionary<string, List<(int Place, PreparedRequest Request)>>(StringComparer.Ordinal);
        var inRows = new List<int>();
        for (var i = 0; i < results.Length; i++)
        {
            var item = group.Items[i];
            if (item.Error is not null)
                results[i] = new(item, null, null, null, item.Error);
            else if (item.Request is null)
                inRows.Add(i);
            else if (!item.Request.Batchable || _single)
                await RunOneAsync(group, results, i, item.Request, cancellationToken);
            else
                LaneOf(lanes, item.Request.Lane).Add((i, item.Request));
        }

        if (inRows.Count > 0)
            await RunRowsAsync(group, results, inRows, group.Rows!, cancellationToken);
        foreach (var lane in lanes.Values)
            await RunLaneAsync(group, results, lane, cancellationToken);
        return results;
    }

    private static List<(int, PreparedRequest)> LaneOf(Dictionary<string, List<(int, PreparedRequest)>> lanes, string lane)
    {
        if (!lanes.TryGetValue(lane, out var members))
            lanes.Add(lane, members = []);
        return members;
    }

    /// <summary>Items that are rows of one tensor.</summary>
    private async Task RunRowsAsync(ItemGroup group, ItemResult[] results, List<int> places, PreparedRequest rows, CancellationToken cancellationToken)
    {
        if (!rows.Batchable || _single)
        {
            for (var i = 0; i < places.Count; i++)
                await RunOneAsync(group, results, places[i], Part(rows, i, 1), cancellationToken);
            return;
        }

        await RunTogetherAsync(group, results, [.. places.Select(static place => (place, 1))], rows, (first, count) => Part(rows, first, count), rows.UnpaddedLength, cancellationToken);
    }

    /// <summary>Items with tensors of their own.</summary>
    private Task RunLaneAsync(ItemGroup group, ItemResult[] results, List<(int Place, PreparedRequest Request)> lane, CancellationToken cancellationToken)
    {
        var whole = Join(lane, 0, lane.Count);
        return RunTogetherAsync(group, results, [.. lane.Select(static member => (member.Place, member.Request.Rows))], whole, (first, count) => Join(lane, first, count), unpadded: null, cancellationToken);
    }

    /// <summary>Runs some items in one go, or in halves where that fails.</summary>
    private async Task RunTogetherAsync(
        ItemGroup group, ItemResult[] results, (int Place, int Rows)[] members, PreparedRequest request, Func<int, int, PreparedRequest> part, int? unpadded, CancellationToken cancellationToken)
    {
        BatchResponse response;
        try
        {
            response = await host.RunAsync(model, request with { Batchable = false, UnpaddedLength = null }, _call, cancellationToken);
        }
        catch (ProblemException exception) when (IsItemsFault(exception))
        {
            await IsolateAsync(group, results, members, 0, members.Length, part, exception, cancellationToken);
            return;
        }

        if (!TryShare(group, results, members, 0, members.Length, response, unpadded))
            await RunSinglyAsync(group, results, members, 0, members.Length, part, cancellationToken);
    }

    private async Task RunSinglyAsync(
        ItemGroup group, ItemResult[] results, (int Place, int Rows)[] members, int first, int count, Func<int, int, PreparedRequest> part, CancellationToken cancellationToken)
    {
        for (var i = first; i < first + count; i++)
            await RunOneAsync(group, results, members[i].Place, part(i, 1), cancellationToken);
    }

    private async Task IsolateAsync(
        ItemGroup group, ItemResult[] results, (int Place, int Rows)[] members, int first, int count, Func<int, int, PreparedRequest> part, ProblemException failure, CancellationToken cancellationToken)
    {
        if (count == 1)
        {
            var place = members[first].Place;
            results[place] = new(group.Items[place], null, null, null, failure.Problem);
            return;
        }

        foreach (var (at, length) in new[] { (first, count / 2), (first + (count / 2), count - (count / 2)) })
        {
            try
            {
                var response = await host.RunAsync(model, part(at, length) with { Batchable = false, UnpaddedLength = null }, _call, cancellationToken);
                if (!TryShare(group, results, members, at, length, response, part(at, 1).UnpaddedLength))
                    await RunSinglyAsync(group, results, members, at, length, part, cancellationToken);
            }
            catch (ProblemException exception) when (IsItemsFault(exception))
            {
                await IsolateAsync(group, results, members, at, length, part, exception, cancellationToken);
            }
        }
    }

    private async Task RunOneAsync(ItemGroup group, ItemResult[] results, int place, PreparedRequest request, CancellationToken cancellationToken)
    {
        try
        {
            var response = await host.RunAsync(model, request, _call, cancellationToken);
            results[place] = new(group.Items[place], request, response.Outputs, response.Receipt, null);
        }
        catch (ProblemException exception) when (IsItemsFault(exception))
        {
            results[place] = new(group.Items[place], null, null, null, exception.Problem);
        }
    }

    /// <summary>Gives each item its own rows of the outputs; false where those do not have a row for each input row.</summary>
    private bool TryShare(ItemGroup group, ItemResult[] results, (int Place, int Rows)[] members, int first, int count, BatchResponse response, int? unpadded)
    {
        var total = 0;
        for (var i = first; i < first + count; i++)
            total += members[i].Rows;
        if (!HaveRows(response, total))
        {
            _single = true;
            return false;
        }

        var at = 0;
        long[][]? shapes = null;
        for (var i = first; i < first + count; i++)
        {
            var (place, rows) = members[i];
            if (shapes is null || (shapes.Length > 0 && shapes[0][0] != rows))
                shapes = [.. response.Outputs.Select(output => output.ShapeOf(rows))];
            var own = new TensorBuffer[response.Outputs.Count];
            for (var output = 0; output < own.Length; output++)
                own[output] = response.Outputs[output].Slice(at, rows, shapes[output]);
            at += rows;
            var length = group.Items[place].Request is { } request ? request.UnpaddedLength : unpadded;
            IReadOnlyList<TensorBuffer> cut = length is { } known && model.Batching.Ragged is { } ragged ? RaggedPadding.Cut(own, ragged, known) : own;
            results[place] = new(group.Items[place], group.Items[place].Request ?? group.Rows, cut, response.Receipt, null);
        }

        return true;
    }

    private static bool HaveRows(BatchResponse response, int rows)
    {
        foreach (var output in response.Outputs)
        {
            if (output.Shape.Length == 0 || output.Shape[0] != rows)
                return false;
        }

        return true;
    }

    private static PreparedRequest Part(PreparedRequest rows, int first, int count) =>
        count == rows.Rows ? rows : rows with { Inputs = [.. rows.Inputs.Select(input => input.Rows(first, count))], Rows = count };

    private static PreparedRequest Join(List<(int Place, PreparedRequest Request)> lane, int first, int count)
    {
        var head = lane[first].Request;
        if (count == 1)
            return head;
        var inputs = new TensorBuffer[head.Inputs.Count];
        for (var input = 0; input < inputs.Length; input++)
            inputs[input] = TensorBuffer.Concatenate([.. lane.GetRange(first, count).Select(member => member.Request.Inputs[input])]);
        return head with { Inputs = inputs, Rows = lane.GetRange(first, count).Sum(static member => member.Request.Rows), UnpaddedLength = null, Placement = null };
    }

    private static bool IsItemsFault(ProblemException exception) =>
        !exception.IsTransient && exception.Problem.Code is ProblemCodes.ModelExecutionFailed or ProblemCodes.AnswerTooLarge or ProblemCodes.InvalidValue or ProblemCodes.TensorShapeMismatch or ProblemCodes.TensorDatatypeMismatch;
}
