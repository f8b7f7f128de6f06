using System.Globalization;
using System.Runtime.CompilerServices;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;
using QueueMaaS.Inference.BatchJobs.Sources;
using QueueMaaS.Inference.Evaluation.Statistics;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>NumPy arrays: inputs and targets, or one array whose last column is the target.</summary>
internal sealed class ArrayEvaluationSource : IEvaluationSource
{
    private readonly float[] _inputs;
    private readonly float[] _targets;
    private readonly int[] _row;
    private readonly int _stride;
    private readonly int _width;
    private readonly IReadOnlyList<string>? _labels;

    /// <param name="data">The arrays.</param>
    /// <param name="labels">Several labels at once: the model's, for each of which there is a target of 0 or 1; null: there is one target.</param>
    /// <exception cref="ProblemException"><c>column_not_found</c>: there are no targets.</exception>
    public ArrayEvaluationSource(ArrayData data, IReadOnlyList<string>? labels)
    {
        var shape = data.Inputs.Shape;
        _labels = labels;
        Count = shape[0];
        _inputs = data.Inputs.Values;
        if (data.Targets is { } targets)
        {
            var (given, wanted) = (targets.Values.Length / Math.Max(1, Count), labels?.Count ?? 1);
            if (given != wanted)
            {
                throw new ProblemException(ProblemCodes.EvaluationUnsupported, labels is null
                    ? $"The data set has {given} targets for each item; items with one label or number each can be evaluated on."
                    : $"The data set has {given} targets for each item, but the model has {wanted} labels. One 0 or 1 for each label is needed.", ("targets", given));
            }

            _targets = targets.Values;
            _row = [.. shape.Skip(1)];
            _width = _stride = _row.Aggregate(1, static (a, b) => a * b);
            return;
        }

        if (labels is { Count: > 1 })
            throw new ProblemException(ProblemCodes.ColumnNotFound, $"The array holds one target for each item, but the model has {labels.Count} labels. Save numpy.savez('data.npz', x=…, y=…) with a 0 or 1 for each label in y.");
        if (shape is not [_, var columns and >= 2])
            throw new ProblemException(ProblemCodes.ColumnNotFound, "The array holds no targets. Save numpy.savez('data.npz', x=…, y=…), or an array of two axes whose last column is the target.");
        (_stride, _width, _row) = (columns, columns - 1, [columns - 1]);
        _targets = [.. Enumerable.Range(0, Count).Select(item => _inputs[(item * columns) + columns - 1])];
    }

    public int Count { get; }

    public string? Target => null;

    public async IAsyncEnumerable<EvaluationGroup> ReadAsync(ServedModel model, int size, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (model.Signature.Inputs is not [var input] || input.Shape.Count != _row.Length + 1 || input.Shape.Skip(1).Zip(_row).Any(static axis => axis.First >= 0 && axis.First != axis.Second))
        {
            throw new ProblemException(
                ProblemCodes.TensorShapeMismatch,
                $"The items of the data set have the shape [{string.Join(", ", _row)}], but model `{model.Name}@{model.Version}` takes {string.Join(" and ", model.Signature.Inputs.Select(static i => $"'{i.Name}' {TensorBuffer.Describe(i.Shape)}"))}. Evaluate it on a data set of its own shape.",
                ("shape", _row));
        }

        await Task.CompletedTask;
        for (var at = 0; at < Count; at += size)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var from = at;
            var truths = Enumerable.Range(from, Math.Min(size, Count - from)).Select(TruthOf).ToArray();
            var items = truths.Select((truth, i) => new Item(from + i + 1, null, null, null, truth.Error)).ToArray();
            yield return new(GroupBuilder.Build(items, good => Encode(model.Signature, input, [.. good.Select(i => from + i)])), [.. truths.Select(static truth => truth.Truth)], [.. truths.Select(static truth => truth.Error is not null)]);
        }
    }

    public IReadOnlyList<SliceColumn> Slices() => [];

    public Task<ItemDescription> DescribeAsync(int place, CancellationToken cancellationToken) => Task.FromResult(new ItemDescription(null, null, null));

    private (ItemTruth Truth, Problem? Error) TruthOf(int place)
    {
        if (_labels is not { } labels)
            return (new(_targets[place].ToString(CultureInfo.InvariantCulture), null), null);
        var row = _targets.AsSpan(place * labels.Count, labels.Count);
        if (row.ContainsAnyExcept(0f, 1f))
            return (default, Problem.Create(ProblemCodes.RowInvalid, $"Item {place + 1} of the data set has a target that is neither 0 nor 1; there is one for each label.", ("item", place + 1)));
        var own = new List<string>();
        for (var label = 0; label < row.Length; label++)
        {
            if (row[label] > 0)
                own.Add(labels[label]);
        }

        return (new(null, own), null);
    }

    private PreparedRequest Encode(ModelSignature signature, TensorSignature input, int[] places)
    {
        var values = new double[places.Length * _width];
        for (var i = 0; i < places.Length; i++)
        {
            for (var c = 0; c < _width; c++)
                values[(i * _width) + c] = _inputs[(places[i] * _stride) + c];
        }

        return InferenceRequestCheck.FromTable(signature, [NumberWriter.Write(input, [places.Length, .. _row.Select(static s => (long)s)], values, at => new ProblemException(
            ProblemCodes.RowInvalid, $"Item {places[at / _width] + 1} of the data set has the value {values[at]}, which the model's input '{input.Name}' ({input.Datatype}) cannot hold.", ("item", places[at / _width] + 1)))]);
    }
}
