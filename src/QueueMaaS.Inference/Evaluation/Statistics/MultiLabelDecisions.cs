namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>
/// The labels that an item has or that were said of it, item by item. Of most items they are few, so that resamples of many labels are counted by what is there and not by what is not.
/// </summary>
internal sealed class MultiLabelDecisions
{
    private const int True = 1;
    private const int Said = 2;
    private readonly int[] _from;
    private readonly int[] _entries;

    /// <param name="predictions">What was said.</param>
    public MultiLabelDecisions(MultiLabelPredictions predictions)
    {
        (Predictions, _from) = (predictions, new int[predictions.Count + 1]);
        var entries = new List<int>();
        for (var item = 0; item < predictions.Count; item++)
        {
            for (var label = 0; label < predictions.Labels; label++)
            {
                var code = (predictions.Has(item, label) ? True : 0) | (predictions.IsSaid(item, label) ? Said : 0);
                if (code != 0)
                    entries.Add((label * 4) + code);
            }

            _from[item + 1] = entries.Count;
        }

        _entries = [.. entries];
    }

    public MultiLabelPredictions Predictions { get; }

    /// <summary>Counts over items, some of which may come several times.</summary>
    public LabelCounts Count(ReadOnlySpan<int> items)
    {
        var counts = LabelCounts.Of(Predictions.Labels);
        foreach (var item in items)
        {
            for (var at = _from[item]; at < _from[item + 1]; at++)
            {
                var (label, code) = (_entries[at] >> 2, _entries[at] & 3);
                counts.Support[label] += code & True;
                counts.Predicted[label] += code >> 1;
                counts.Right[label] += code == (True | Said) ? 1 : 0;
            }
        }

        return counts;
    }

    /// <summary>Share of items whose labels are all right.</summary>
    public double SubsetAccuracy(ReadOnlySpan<int> items)
    {
        var right = 0;
        foreach (var item in items)
            right += Predictions.IsRight(item) ? 1 : 0;
        return (double)right / items.Length;
    }

    /// <summary>Share of decisions that are wrong.</summary>
    public double HammingLoss(ReadOnlySpan<int> items)
    {
        var wrong = 0L;
        foreach (var item in items)
            wrong += Predictions.Wrong[item];
        return wrong / ((double)items.Length * Predictions.Labels);
    }
}
