using QueueMaaS.Contracts;
using QueueMaaS.Inference.Evaluation.Statistics;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>One of the models of an evaluation, with its predictions for the items that all have answered.</summary>
internal sealed record EvaluatedModel(ModelVersion Version, EvaluatedHead Head, LabelPredictions? Labels, MultiLabelPredictions? LabelSets, NumberPredictions? Numbers)
{
    public string Name => $"{Version.Name}@{Version.Version}";

    public int Count => Labels?.Count ?? LabelSets?.Count ?? Numbers!.Count;

    public bool IsRight(int item) => Labels?.IsRight(item) ?? LabelSets?.IsRight(item) ?? Numbers!.AbsoluteError(item) <= 0;

    /// <summary>How wrong an answer is: of labels their loss, of numbers the distance.</summary>
    public double Loss(int item) => Labels?.Loss[item] ?? LabelSets?.Loss[item] ?? Numbers!.AbsoluteError(item);
}

/// <summary>Makes a model's figures.</summary>
internal static class ModelReport
{
    private const int MostMistakes = 20;

    /// <param name="model">The model.</param>
    /// <param name="items">The place of each of its predictions in the split.</param>
    /// <param name="source">Where the items come from.</param>
    /// <param name="input">The job's input.</param>
    /// <param name="data">The data set.</param>
    /// <param name="sliced">By what the items are divided.</param>
    /// <param name="pictures">Gets the pictures of mistakes by their item.</param>
    /// <param name="cancellationToken">Stops.</param>
    public static async Task<ModelEvaluation> MakeAsync(
        EvaluatedModel model, int[] items, IEvaluationSource source, EvaluationInput input, EvaluatedData data, IReadOnlyList<string> sliced, Dictionary<int, string> pictures, CancellationToken cancellationToken) => new()
        {
            Name = model.Name,
            Artifact = model.Version.Artifact,
            TrainedBy = model.Version.TrainedBy,
            TrainedOn = model.Version.Card?.Dataset,
            Classification = model.Labels is { } labels ? Classification.Measure(labels, model.Head.Names, input.Bootstrap, input.Seed, cancellationToken) : null,
            MultiLabel = model.LabelSets is { } sets ? MultiLabel.Measure(sets, model.Head.Names, $"{data.Name}, {data.Split}", input.Bootstrap, input.Seed, cancellationToken) : null,
            Regression = model.Numbers is { } numbers ? Regression.Measure(numbers, input.Bootstrap, input.Seed, cancellationToken) : null,
            Slices = [.. source.Slices().Where(column => sliced.Contains(column.Name, StringComparer.Ordinal)).SelectMany(column => Slices(model, column, items))],
            Worst = await WorstAsync(model, items, source, pictures, cancellationToken),
        };

    private static IEnumerable<SliceFigures> Slices(EvaluatedModel model, SliceColumn column, int[] items)
    {
        // Predictions are numbered by what all models answered, slices by the split.
        var decisions = model.LabelSets is { } all ? new MultiLabelDecisions(all) : null;
        var place = items.Index().ToDictionary(static i => i.Item, static i => i.Index);
        foreach (var slice in Slicing.Divide(column, items))
        {
            int[] own = [.. slice.Items.Select(item => place[item])];
            var figures = new SliceFigures(column.Name, slice.Name, own.Length, null, null, null, null);
            yield return (own.Length, model) switch
            {
                (0, _) => figures,
                (_, { Labels: { } labels }) => figures with { Accuracy = (double)own.Count(labels.IsRight) / own.Length, LogLoss = own.Average(i => labels.Loss[i]) },
                (_, { LabelSets: { } sets }) => figures with
                {
                    LogLoss = own.Average(i => sets.Loss[i]),
                    SubsetAccuracy = decisions!.SubsetAccuracy(own),
                    HammingLoss = decisions.HammingLoss(own),
                    MacroF1 = decisions.Count(own).Macro().F1,
                },
                (_, { Numbers: var numbers }) => figures with { Mae = own.Average(numbers!.AbsoluteError), Rmse = Math.Sqrt(own.Average(i => numbers.Residual(i) * numbers.Residual(i))) },
            };
        }
    }

    private static async Task<Mistake[]> WorstAsync(EvaluatedModel model, int[] items, IEvaluationSource source, Dictionary<int, string> pictures, CancellationToken cancellationToken)
    {
        var mistakes = new List<Mistake>();
        foreach (var i in Worst(model))
        {
            var told = await source.DescribeAsync(items[i], cancellationToken);
            if (told.Picture is { } picture)
                pictures[items[i] + 1] = picture;
            var mistake = new Mistake { Item = items[i] + 1, Name = told.Name, Row = told.Row, Truth = "", Answer = "" };
            mistakes.Add(model switch
            {
                { Labels: { } labels } => mistake with
                {
                    Truth = model.Head.Names[labels.Truth[i]],
                    Answer = model.Head.Names[labels.Answers[i]],
                    Confidence = labels.Confidence[i],
                    TruthProbability = labels.Probability(i, labels.Truth[i]),
                },
                { LabelSets: { } sets } => mistake with
                {
                    Truth = Joined(model.Head.Names, label => sets.Has(i, label)),
                    Answer = Joined(model.Head.Names, label => sets.IsSaid(i, label)),
                    Label = model.Head.Names[sets.WorstLabel(i)],
                    Confidence = sets.Probability(i, sets.WorstLabel(i)),
                },
                _ => mistake with { Truth = Text(model.Numbers!.Truth[i]), Answer = Text(model.Numbers.Answers[i]) },
            });
        }

        return [.. mistakes];
    }

    /// <summary>The worst of the mistakes, no more of them held than are wanted.</summary>
    private static IEnumerable<int> Worst(EvaluatedModel model)
    {
        var worst = new PriorityQueue<int, double>(MostMistakes + 1);
        for (var i = 0; i < model.Count; i++)
        {
            if (model.IsRight(i))
                continue;
            worst.Enqueue(i, model.Loss(i));
            if (worst.Count > MostMistakes)
                worst.Dequeue();
        }

        var ascending = new List<int>(worst.Count);
        while (worst.TryDequeue(out var item, out _))
            ascending.Add(item);
        ascending.Reverse();
        return ascending;
    }

    private static string Joined(IReadOnlyList<string> names, Func<int, bool> isOne) => string.Join(ItemTruth.Between, names.Index().Where(name => isOne(name.Index)).Select(static name => name.Item));

    private static string Text(double number) => number.ToString("0.######", System.Globalization.CultureInfo.InvariantCulture);
}
