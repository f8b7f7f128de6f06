namespace QueueMaaS.Inference.Evaluation.Statistics;

/// <summary>By label: how many items have it, how many were said to, and how many rightly.</summary>
internal readonly record struct LabelCounts(int[] Support, int[] Predicted, int[] Right)
{
    public static LabelCounts Of(int labels) => new(new int[labels], new int[labels], new int[labels]);

    public static double? Share(int part, int whole) => whole == 0 ? null : (double)part / whole;

    public double? Precision(int label) => Share(Right[label], Predicted[label]);

    public double? Recall(int label) => Share(Right[label], Support[label]);

    public double? F1(int label) => Share(2 * Right[label], Predicted[label] + Support[label]);

    /// <summary>The means over the labels that occur or are said, an undefined one counting 0; 0 where there are none.</summary>
    public (double Precision, double Recall, double F1) Macro()
    {
        var (seen, precision, recall, f1) = (0, 0.0, 0.0, 0.0);
        for (var label = 0; label < Support.Length; label++)
        {
            if (Support[label] + Predicted[label] == 0)
                continue;
            seen++;
            precision += Precision(label) ?? 0;
            recall += Recall(label) ?? 0;
            f1 += F1(label) ?? 0;
        }

        return seen == 0 ? (0, 0, 0) : (precision / seen, recall / seen, f1 / seen);
    }

    /// <summary>Over all labels together, an undefined one 0.</summary>
    public (double Precision, double Recall, double F1) Micro()
    {
        var (support, predicted, right) = (Support.Sum(), Predicted.Sum(), Right.Sum());
        return (Share(right, predicted) ?? 0, Share(right, support) ?? 0, Share(2 * right, predicted + support) ?? 0);
    }
}
