using QueueMaaS.Contracts;
using QueueMaaS.Data.Loading;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Running;

/// <summary>Which images are trained on and which are kept apart.</summary>
/// <param name="Train">Indexes of the training images.</param>
/// <param name="Validation">Indexes of the validation images.</param>
public sealed record DataSplit(int[] Train, int[] Validation)
{
    /// <summary>The data set's own <c>val</c> or else <c>test</c> split where it has one; else <paramref name="validationShare"/> of each class, drawn with <paramref name="seed"/>.</summary>
    /// <exception cref="ProblemException"><c>dataset_one_class</c> or <c>dataset_empty</c>: there is nothing to learn from, or nothing to validate on.</exception>
    public static DataSplit Of(LabelledImages data, double validationShare, long seed)
    {
        ArgumentNullException.ThrowIfNull(data);
        var all = Enumerable.Range(0, data.Count).ToArray();
        var own = data.Splits.Contains("val", StringComparer.Ordinal) ? "val" : data.Splits.Contains("test", StringComparer.Ordinal) ? "test" : null;
        var split = own is null
            ? Stratified(data, validationShare, new Random(Seeds.Fold(seed)))
            : new(Array.FindAll(all, i => data.Splits[i] == "train"), Array.FindAll(all, i => data.Splits[i] == own));

        if (split.Train.Length == 0 || split.Validation.Length == 0)
        {
            throw new ProblemException(
                ProblemCodes.DatasetEmpty,
                $"Of {data.Count:N0} images, {split.Train.Length:N0} are to train on and {split.Validation.Length:N0} to validate on; both need at least one. Give more images, or a higher 'limit'.",
                ("trainImages", split.Train.Length), ("validationImages", split.Validation.Length));
        }

        if (split.Train.Select(i => data.Labels[i]).Distinct().Count() < 2)
        {
            throw new ProblemException(
                ProblemCodes.DatasetOneClass, $"All {split.Train.Length:N0} training images are of one class, so there is nothing to learn. Give images of at least two classes.", ("trainImages", split.Train.Length));
        }

        return split;
    }

    private static DataSplit Stratified(LabelledImages data, double share, Random random)
    {
        var train = new List<int>(data.Count);
        var validation = new List<int>();
        foreach (var members in Enumerable.Range(0, data.Count).GroupBy(i => data.Labels[i]).OrderBy(g => g.Key).Select(g => g.ToArray()))
        {
            random.Shuffle(members);
            // A class of two or more is seen on both sides; a single image is trained on.
            var kept = members.Length < 2 ? 0 : Math.Clamp((int)Math.Round(members.Length * share), 1, members.Length - 1);
            validation.AddRange(members[..kept]);
            train.AddRange(members[kept..]);
        }

        train.Sort();
        validation.Sort();
        // The first validation images also serve the export check, so they are mixed over the classes.
        var mixed = validation.ToArray();
        random.Shuffle(mixed);
        return new([.. train], mixed);
    }
}
