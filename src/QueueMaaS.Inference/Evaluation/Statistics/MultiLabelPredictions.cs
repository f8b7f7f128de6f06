using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation.Answers;

namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>What a model with a probability for each label said of items, and what is true. A decision is one label of one item.</summary>
internal sealed class MultiLabelPredictions
{
    private const double LeastProbability = 1e-15;
    private const double GreatestLogit = 34.5387763949107;
    private readonly float[] _values;
    private readonly float[] _scores;
    private readonly bool _logits;
    private readonly bool[] _truth;

    /// <param name="values">Items × labels: logits or probabilities.</param>
    /// <param name="logits">Which of the two.</param>
    /// <param name="truth">Items × labels: whether the item has the label.</param>
    /// <param name="thresholds">For each label from which probability it is said.</param>
    public MultiLabelPredictions(float[] values, bool logits, bool[] truth, double[] thresholds)
    {
        (_values, _logits, _truth, Thresholds) = (values, logits, truth, thresholds);
        Labels = thresholds.Length;
        Count = truth.Length / Labels;
        _scores = values;
        if (logits)
        {
            // As serving computes them, so that the same labels are said.
            _scores = new float[values.Length];
            LabelRanking.Score(values, ScoreFunction.Sigmoid, _scores);
        }

        Loss = [.. Enumerable.Range(0, Count).Select(item => Enumerable.Range(0, Labels).Average(label => Math.Min(LossAt((item * Labels) + label, 1), -Math.Log(LeastProbability))))];
        Wrong = [.. Enumerable.Range(0, Count).Select(item => Enumerable.Range(0, Labels).Count(label => IsSaid(item, label) != Has(item, label)))];
    }

    public int Count { get; }

    public int Labels { get; }

    public double[] Thresholds { get; }

    /// <summary>Mean of −ln(probability of the truth) over the labels of each item.</summary>
    public double[] Loss { get; }

    /// <summary>How many labels of each item are wrong.</summary>
    public int[] Wrong { get; }

    public bool IsRight(int item) => Wrong[item] == 0;

    public bool Has(int item, int label) => _truth[(item * Labels) + label];

    public double Probability(int item, int label) => _scores[(item * Labels) + label];

    public bool IsSaid(int item, int label) => _scores[(item * Labels) + label] >= Thresholds[label];

    /// <summary>The label that the model was most wrong about among those that it got wrong.</summary>
    public int WorstLabel(int item) => Enumerable.Range(0, Labels).Where(label => IsSaid(item, label) != Has(item, label)).MaxBy(label => LossAt((item * Labels) + label, 1));

    /// <summary>The truth and the scores of a label, for curves; logits rank what single-precision probabilities no longer tell apart.</summary>
    public (double[] Scores, bool[] Positive) Ranking(int label) =>
        ([.. Enumerable.Range(0, Count).Select(item => (double)_values[(item * Labels) + label])], [.. Enumerable.Range(0, Count).Select(item => Has(item, label))]);

    /// <summary>The same of all decisions.</summary>
    public (double[] Scores, bool[] Positive) Ranking() => (Array.ConvertAll(_values, static value => (double)value), [.. _truth]);

    /// <summary>The probabilities and the truth of a label.</summary>
    public IEnumerable<(double Probability, bool True)> Decisions(int label) => Enumerable.Range(0, Count).Select(item => (Probability(item, label), Has(item, label)));

    /// <summary>The probabilities of all decisions with logits divided by a temperature, and the truth.</summary>
    public IEnumerable<(double Probability, bool True)> DecisionsAt(double temperature)
    {
        for (var at = 0; at < _values.Length; at++)
            yield return (temperature.Equals(1) ? _scores[at] : 1 / (1 + Math.Exp(-Logit(at) / temperature)), _truth[at]);
    }

    /// <summary>Mean log loss over all decisions with logits divided by a temperature.</summary>
    public double LossAt(double temperature) => Enumerable.Range(0, _values.Length).Average(at => Math.Min(LossAt(at, temperature), -Math.Log(LeastProbability)));

    /// <summary>The same without a least probability, which keeps it convex in 1/temperature.</summary>
    public double BareLossAt(double temperature) => Enumerable.Range(0, _values.Length).Average(at => LossAt(at, temperature));

    /// <summary>−ln σ(z) for what is true, −ln(1 − σ(z)) for what is not, without overflow.</summary>
    private double LossAt(int at, double temperature)
    {
        var z = (_truth[at] ? -1 : 1) * Logit(at) / temperature;
        return Math.Max(z, 0) + Math.Log(1 + Math.Exp(-Math.Abs(z)));
    }

    private double Logit(int at)
    {
        if (_logits)
            return _values[at];
        // A probability of exactly 0 or 1 has no finite logit; that of the least probability stands in for it.
        double probability = _values[at];
        return Math.Clamp(Math.Log(probability) - Math.Log(1 - probability), -GreatestLogit, GreatestLogit);
    }
}
