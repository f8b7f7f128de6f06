namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>What a classifier said of items, and what is true.</summary>
internal sealed class LabelPredictions
{
    private const double LeastProbability = 1e-15;
    private readonly float[] _logarithms;

    /// <param name="logarithms">Items × labels: logits, or logarithms of probabilities; both give the same probabilities.</param>
    /// <param name="truth">The true label of each item.</param>
    /// <param name="labels">How many labels there are.</param>
    public LabelPredictions(float[] logarithms, int[] truth, int labels)
    {
        _logarithms = logarithms;
        Truth = truth;
        Labels = labels;
        Answers = new int[truth.Length];
        Confidence = new double[truth.Length];
        Loss = new double[truth.Length];
        for (var item = 0; item < truth.Length; item++)
        {
            var row = logarithms.AsSpan(item * labels, labels);
            Answers[item] = Best(row);
            var total = LogSum(row, 1);
            for (var label = 0; label < labels; label++)
                row[label] = (float)(row[label] - total);
            Confidence[item] = Math.Exp(row[Answers[item]]);
            Loss[item] = -Math.Max(row[truth[item]], Math.Log(LeastProbability));
        }
    }

    public int Count => Truth.Length;

    public int Labels { get; }

    public int[] Truth { get; }

    /// <summary>The likeliest label of each item; of equals the first.</summary>
    public int[] Answers { get; }

    /// <summary>Its probability.</summary>
    public double[] Confidence { get; }

    /// <summary>−ln(probability of the truth) of each item.</summary>
    public double[] Loss { get; }

    public bool IsRight(int item) => Answers[item] == Truth[item];

    public double Probability(int item, int label) => Math.Exp(_logarithms[(item * Labels) + label]);

    /// <summary>How many labels are likelier than the true one, equals that come before it counted.</summary>
    public int RankOfTruth(int item)
    {
        var row = _logarithms.AsSpan(item * Labels, Labels);
        var (truth, rank) = (Truth[item], 0);
        for (var label = 0; label < Labels; label++)
        {
            if (row[label] > row[truth] || (label < truth && row[label].Equals(row[truth])))
                rank++;
        }

        return rank;
    }

    /// <summary>Mean log loss with logits divided by a temperature.</summary>
    public double LossAt(double temperature) => Enumerable.Range(0, Count).Average(item => Math.Min(LossAt(item, temperature), -Math.Log(LeastProbability)));

    /// <summary>The same without a least probability, which keeps it convex in 1/temperature.</summary>
    public double BareLossAt(double temperature) => Enumerable.Range(0, Count).Average(item => LossAt(item, temperature));

    /// <summary>The likeliest label's probability with logits divided by a temperature.</summary>
    public double[] ConfidenceAt(double temperature)
    {
        var confidence = new double[Count];
        for (var item = 0; item < Count; item++)
        {
            var row = _logarithms.AsSpan(item * Labels, Labels);
            confidence[item] = Math.Exp((row[Answers[item]] / temperature) - LogSum(row, temperature));
        }

        return confidence;
    }

    private double LossAt(int item, double temperature)
    {
        var row = _logarithms.AsSpan(item * Labels, Labels);
        return LogSum(row, temperature) - (row[Truth[item]] / temperature);
    }

    private static int Best(ReadOnlySpan<float> row)
    {
        var best = 0;
        for (var label = 1; label < row.Length; label++)
        {
            if (row[label] > row[best])
                best = label;
        }

        return best;
    }

    private static double LogSum(ReadOnlySpan<float> row, double temperature)
    {
        // Without the shift, exponentials of great logits overflow.
        double greatest = row[Best(row)];
        double sum = 0;
        foreach (var value in row)
            sum += Math.Exp((value - greatest) / temperature);
        return (greatest / temperature) + Math.Log(sum);
    }
}

/// <summary>What a regression said of items, and what is true.</summary>
internal sealed class NumberPredictions(double[] answers, double[] truth)
{
    public int Count => truth.Length;

    public double[] Answers => answers;

    public double[] Truth => truth;

    public double Residual(int item) => answers[item] - truth[item];

    public double AbsoluteError(int item) => Math.Abs(Residual(item));
}
