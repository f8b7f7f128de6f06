using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;

namespace QueueMaaS.Data.Cards;

/// <summary>Describes arrays.</summary>
internal static class ArrayCard
{
    public static DatasetCard Of(ArrayData data)
    {
        var rows = data.Inputs.Shape.Count == 0 ? 0 : data.Inputs.Shape[0];
        if (rows == 0)
            throw new ProblemException(ProblemCodes.DatasetEmpty, "The data set is empty: its array has no items.");
        if (data.Targets is { } targets && (targets.Shape.Count == 0 || targets.Shape[0] != rows))
            throw new ProblemException(ProblemCodes.ArchiveInvalid, $"There are {rows:N0} inputs, but {(targets.Shape.Count == 0 ? 0 : targets.Shape[0]):N0} targets.", ("inputs", rows));
        List<ClassCount> classes = data.Targets is { Whole: true, Shape.Count: 1 } labels
            ? [.. labels.Values.CountBy(v => v).OrderBy(c => c.Key).Take(1_000).Select(c => new ClassCount($"{c.Key}", c.Value))]
            : [];
        return new(data.Format, rows, classes, new Dictionary<string, int>(StringComparer.Ordinal) { ["train"] = rows }, 0, 0, 0)
        {
            Shape = [.. data.Inputs.Shape.Skip(1)],
            Balance = classes.Count > 1 ? (double)classes.Min(c => c.Count) / classes.Max(c => c.Count) : null,
        };
    }
}
