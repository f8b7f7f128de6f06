using System.Globalization;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.BatchJobs;
using QueueMaaS.Inference.BatchJobs.Sources;
using QueueMaaS.Inference.Evaluation.Statistics;
using QueueMaaS.Inference.Preparation.Answers;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>What a model answered to the items of a split: its numbers and nothing else of the items.</summary>
internal sealed class ModelAnswers(ServedModel model, EvaluatedHead head, int count)
{
    private readonly string?[] _truths = new string?[count];
    private readonly bool[] _labels = head.Task == EvaluationTask.MultiLabel ? new bool[checked(count * head.Names.Count)] : [];
    private readonly Dictionary<string, int> _places = head.Names.Index().DistinctBy(static n => n.Item).ToDictionary(static n => n.Item, static n => n.Index, StringComparer.Ordinal);
    private float[] _numbers = [];
    private int _width;

    /// <summary>Which items were answered.</summary>
    public bool[] Answered { get; } = new bool[count];

    /// <summary>Why the first item that was not failed.</summary>
    public Problem? FirstError { get; private set; }

    /// <summary>Which items the data set can give to no model.</summary>
    public bool[] Unreadable { get; } = new bool[count];

    /// <summary>Items that were there to be computed, and that the model gave no answer to.</summary>
    public int Uncomputed => Answered.Zip(Unreadable).Count(static item => item is (false, false));

    /// <summary>Why the first of <see cref="Uncomputed"/> was not.</summary>
    public Problem? FirstUncomputed { get; private set; }

    public void Add(EvaluationGroup group, GroupResults results)
    {
        foreach (var (item, truth) in group.Group.Items.Zip(group.Truths))
            Note((int)item.Number - 1, truth);
        foreach (var (item, unreadable) in group.Group.Items.Zip(group.Unreadable))
            Unreadable[item.Number - 1] = unreadable;
        if (results.Whole is { } whole)
        {
            var values = OutputNumbers.ToSingle(whole.Outputs[head.Output]);
            var width = values.Length / group.Group.Items.Count;
            for (var i = 0; i < group.Group.Items.Count; i++)
                Keep((int)group.Group.Items[i].Number - 1, values.AsSpan(i * width, width));
            return;
        }

        foreach (var result in results.Items!)
        {
            if (result.Outputs is { } outputs)
                Keep((int)result.Item.Number - 1, OutputNumbers.ToSingle(outputs[head.Output]));
            else
                Fail((int)result.Item.Number - 1, result.Error is { } error ? Named(result.Item, error) : null);
        }
    }

    /// <summary>The problem with the item that has it, and where the item is a file, with that.</summary>
    internal static Problem Named(Item item, Problem error)
    {
        var details = error.Details?.ToDictionary(StringComparer.Ordinal) ?? [];
        if (item.OwnId is { } file)
            details["file"] = JsonSerializer.SerializeToElement(file);
        details["item"] = JsonSerializer.SerializeToElement(item.Number);
        return error with { Message = item.OwnId is null ? error.Message : $"Item {item.Number} of the split, '{item.OwnId}': {error.Message}", Details = details };
    }

    /// <summary>The predictions for items that have all been answered.</summary>
    /// <exception cref="ProblemException"><c>label_unknown</c> or <c>evaluation_unsupported</c>.</exception>
    public LabelPredictions Labels(int[] items)
    {
        var truths = TruthIndexes(items);
        var logarithms = new float[checked(items.Length * _width)];
        for (var i = 0; i < items.Length; i++)
            _numbers.AsSpan(items[i] * _width, _width).CopyTo(logarithms.AsSpan(i * _width));
        if (AreProbabilities(logarithms))
        {
            for (var i = 0; i < logarithms.Length; i++)
                logarithms[i] = MathF.Log(Math.Max(logarithms[i], 1e-30f));
        }

        return new(logarithms, truths, _width);
    }

    /// <summary>The predictions for items that have all been answered.</summary>
    /// <exception cref="ProblemException"><c>evaluation_unsupported</c>: they are said to be probabilities and are none.</exception>
    public MultiLabelPredictions LabelSets(int[] items)
    {
        var (values, truth) = (new float[checked(items.Length * _width)], new bool[items.Length * _width]);
        for (var i = 0; i < items.Length; i++)
        {
            _numbers.AsSpan(items[i] * _width, _width).CopyTo(values.AsSpan(i * _width));
            _labels.AsSpan(items[i] * _width, _width).CopyTo(truth.AsSpan(i * _width));
        }

        var logits = head.Scores == ScoreFunction.Sigmoid || Array.Exists(values, static value => value is < 0 or > 1);
        if (logits && head.Scores == ScoreFunction.None)
        {
            throw new ProblemException(
                ProblemCodes.EvaluationUnsupported,
                $"The pipeline of model `{model.Name}@{model.Version}` takes scores as they are (`none`), but they are no probabilities from 0 to 1. Register a version with `postprocess.labels.scores` `sigmoid` if they are logits.");
        }

        return new(values, logits, truth, head.Thresholds);
    }

    /// <summary>The predictions for items that have all been answered.</summary>
    /// <exception cref="ProblemException"><c>column_invalid</c>: a truth is no number.</exception>
    public NumberPredictions Numbers(int[] items) => new(
        [.. items.Select(item => Value(_numbers[item]))],
        [.. items.Select(item => double.TryParse(_truths[item], NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
            ? number
            : throw new ProblemException(
                ProblemCodes.ColumnInvalid, $"Item {item + 1} of the split has the truth '{EvaluatedHead.Short(_truths[item])}', which is no number, but model `{model.Name}@{model.Version}` gives numbers.", ("item", item + 1)))]);

    private void Note(int item, ItemTruth truth)
    {
        _truths[item] = truth.Text;
        foreach (var label in truth.Labels ?? [])
        {
            _labels[(item * head.Names.Count) + (_places.TryGetValue(label, out var place) ? place : throw Unknown(item, label))] = true;
        }
    }

    private ProblemException Unknown(int item, string? label) => head.UnknownLabel($"{model.Name}@{model.Version}", $"Item {item + 1} of the split has the label", label ?? "");

    private void Keep(int item, ReadOnlySpan<float> values)
    {
        if (_width == 0)
        {
            _width = head.Task != EvaluationTask.Regression ? head.Names.Count : 1;
            _numbers = new float[checked(count * _width)];
        }

        if (values.Length != _width)
        {
            throw new ProblemException(
                ProblemCodes.EvaluationUnsupported,
                head.Task != EvaluationTask.Regression
                    ? $"Model `{model.Name}@{model.Version}` has {_width} labels, but its output gives {values.Length} numbers for an item. One number for each label is needed."
                    : $"Model `{model.Name}@{model.Version}` gives {values.Length} numbers for an item; one is needed.",
                ("numbers", values.Length));
        }

        foreach (var value in values)
        {
            if (!float.IsFinite(value))
            {
                Fail(item, Problem.Create(ProblemCodes.ModelExecutionFailed, $"The model's answer to item {item + 1} is NaN or infinite.", ("item", item + 1)));
                return;
            }
        }

        values.CopyTo(_numbers.AsSpan(item * _width, _width));
        Answered[item] = true;
    }

    private void Fail(int item, Problem? error)
    {
        FirstError ??= error;
        if (!Unreadable[item])
            FirstUncomputed ??= error;
    }

    private double Value(float number)
    {
        if (head.Values is not { } settings)
            return number;
        var value = (number * (settings.Scale ?? 1)) + (settings.Offset ?? 0);
        return settings.Expm1 ? Math.Exp(value) - 1 : value;
    }

    /// <summary>True where the numbers are probabilities already: said so by the pipeline, or, where nothing is said, seen from them.</summary>
    private bool AreProbabilities(float[] numbers)
    {
        if (head.Scores == ScoreFunction.Softmax)
            return false;
        for (var at = 0; at < numbers.Length; at += _width)
        {
            var row = numbers.AsSpan(at, _width);
            var sum = 0f;
            foreach (var value in row)
            {
                if (value < 0)
                    return head.Scores is null ? false : throw NotProbabilities();
                sum += value;
            }

            if (Math.Abs(sum - 1) > 1e-3f)
                return head.Scores is null ? false : throw NotProbabilities();
        }

        return true;
    }

    private ProblemException NotProbabilities() => new(
        ProblemCodes.EvaluationUnsupported,
        $"The pipeline of model `{model.Name}@{model.Version}` takes scores as they are (`none`), but they are no probabilities that add up to 1. Register a version with `postprocess.labels.scores` `softmax` if they are logits; if each is the probability of a label by itself, evaluate it with `task` `multiLabel`.");

    private int[] TruthIndexes(int[] items)
    {
        // `1`, `1.0` and `1e0` are the same label, however a table writes it.
        var numbers = head.Names.Index().Where(static n => Number(n.Item) is not null).DistinctBy(static n => Number(n.Item)).ToDictionary(static n => Number(n.Item)!.Value, static n => n.Index);
        return [.. items.Select(item =>
            _places.TryGetValue(_truths[item]!, out var place) || (Number(_truths[item]!) is { } number && numbers.TryGetValue(number, out place)) ? place : throw Unknown(item, _truths[item]))];
    }

    private static double? Number(string text) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number : null;
}
