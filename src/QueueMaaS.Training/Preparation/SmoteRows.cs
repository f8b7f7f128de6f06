using QueueMaaS.Contracts;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Preparation;

/// <summary>
/// Makes rows of small classes up until every class has as many training rows as the largest (SMOTE, arXiv 1106.1813): each lies between a row and one of its five nearest of the same class.
/// Categories are taken from the row itself, since nothing lies between them.
/// </summary>
internal static class SmoteRows
{
    private const int Neighbours = 5;

    public static (float[] Values, ExampleTargets Targets, DataSplit Split, int Made) Add(float[] values, ExampleTargets targets, DataSplit split, ColumnEncoder[] encoders, long seed)
    {
        if (targets.Classes is not { } classes)
            throw new ProblemException(ProblemCodes.InvalidValue, "'data.balance' 'smote' is for classification.", ("field", "data.balance"));
        var width = encoders.Sum(e => e.Width);
        bool[] between = [.. encoders.SelectMany(e => Enumerable.Repeat(e.IsNumber, e.Width))];
        var groups = split.Train.GroupBy(i => classes[i]).OrderBy(g => g.Key).Select(g => (Class: g.Key, Rows: g.ToArray())).ToArray();
        var most = groups.Max(g => g.Rows.Length);
        var random = Seeds.Generator(seed, "smote");
        var (more, moreClasses) = (new List<float>(), new List<int>());
        foreach (var (label, rows) in groups.Where(g => g.Rows.Length > 1))
        {
            for (var made = rows.Length; made < most; made++)
            {
                var own = rows[random.Next(rows.Length)];
                var other = Nearest(values, width, rows, own, random);
                var share = random.NextDouble();
                for (var c = 0; c < width; c++)
                {
                    var value = values[own * width + c];
                    more.Add(between[c] ? (float)(value + share * (values[other * width + c] - value)) : value);
                }

                moreClasses.Add(label);
            }
        }

        var count = values.Length / width;
        return (
            [.. values, .. more],
            ExampleTargets.OfClasses([.. classes, .. moreClasses], targets.Names),
            split with { Train = [.. split.Train, .. Enumerable.Range(count, moreClasses.Count)] },
            moreClasses.Count);
    }

    /// <summary>One of the nearest few, at random; among many rows, of a sample of them.</summary>
    private static int Nearest(float[] values, int width, int[] rows, int own, Random random)
    {
        const int Sample = 500;
        var candidates = rows.Length <= Sample ? rows : [.. Enumerable.Range(0, Sample).Select(_ => rows[random.Next(rows.Length)])];
        var nearest = candidates.Where(r => r != own).Select(r => (Row: r, Distance: Distance(values, width, own, r))).OrderBy(d => d.Distance).Take(Neighbours).ToArray();
        return nearest.Length == 0 ? own : nearest[random.Next(nearest.Length)].Row;
    }

    private static double Distance(float[] values, int width, int a, int b)
    {
        double sum = 0;
        for (var c = 0; c < width; c++)
        {
            double difference = values[a * width + c] - values[b * width + c];
            sum += difference * difference;
        }

        return sum;
    }
}
