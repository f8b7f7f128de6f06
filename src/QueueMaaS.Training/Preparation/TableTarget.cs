using QueueMaaS.Contracts;
using QueueMaaS.Data.Tables;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Preparation;

/// <summary>What a table is to teach: the task and the target of each row.</summary>
/// <param name="Task">What is learned.</param>
/// <param name="Columns">The target columns, which are no inputs.</param>
internal sealed record TableTarget(TrainingTask Task, IReadOnlyList<TableField> Columns)
{
    private const int MostClasses = 10_000;
    private static readonly string[] UsualNames = ["label", "target", "class", "y"];

    /// <summary>Finds the target and the task.</summary>
    /// <exception cref="ProblemException"><c>column_not_found</c>.</exception>
    public static TableTarget Find(TableData table, TrainingSettings settings, string? text = null)
    {
        var data = settings.Data;
        if (settings.Task == TrainingTask.Autoencoding)
            return new(TrainingTask.Autoencoding, []);
        if (data.Targets is { } several)
            return new(settings.Task ?? TrainingTask.Regression, [.. several.Select(c => table.Require(c, "data.targets"))]);
        var column = data.Target is { } named
            ? table.Require(named, "data.target")
            : UsualNames.Select(table.Find).FirstOrDefault(c => c is not null) ?? table.Columns.LastOrDefault(c => c.Name != text)
                ?? throw new ProblemException(ProblemCodes.ColumnNotFound, "The table has no column to learn. Name it in 'data.target'.", ("path", "data.target"));
        return new(settings.Task ?? (column.Inferred.Kind == ColumnKind.Number ? TrainingTask.Regression : TrainingTask.Classification), [column]);
    }

    /// <summary>Whether a row has all its targets.</summary>
    public bool Has(int row) => Columns.All(c => c.Values[row] is not null) || (Task == TrainingTask.MultiLabel && Columns.Count == 1);

    /// <summary>The class of each row; null where there are none.</summary>
    public (int[] Classes, IReadOnlyList<string> Names)? Classes(IReadOnlyList<int> rows)
    {
        if (Task != TrainingTask.Classification)
            return null;
        var column = Columns[0];
        string[] names = [.. rows.Select(r => column.Values[r]!).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        if (names.All(n => TableField.TryNumber(n, out _)))
            names = [.. names.OrderBy(n => double.Parse(n, System.Globalization.CultureInfo.InvariantCulture))];
        if (names.Length > MostClasses)
            throw new ProblemException(ProblemCodes.ColumnInvalid, $"The target '{column.Name}' has {names.Length:N0} different values, too many for classes. Set 'task' to 'regression', or name another 'data.target'.", ("column", column.Name), ("classes", names.Length));
        if (names.Length < 2)
            throw new ProblemException(ProblemCodes.DatasetOneClass, $"All {rows.Count:N0} rows have the one value '{names.FirstOrDefault()}' in '{column.Name}', so there is nothing to learn.", ("class", names.FirstOrDefault()), ("items", rows.Count));
        var index = names.Index().ToDictionary(n => n.Item, n => n.Index, StringComparer.Ordinal);
        return ([.. rows.Select(r => index[column.Values[r]!])], names);
    }

    /// <summary>The targets of rows, numbers brought to mean 0 and deviation 1 over the training rows.</summary>
    public ExampleTargets Read(IReadOnlyList<int> rows, (int[] Classes, IReadOnlyList<string> Names)? classes, int[] train, int width) => Task switch
    {
        TrainingTask.Classification => ExampleTargets.OfClasses(classes!.Value.Classes, classes.Value.Names),
        TrainingTask.MultiLabel => Labels(rows),
        TrainingTask.Autoencoding => ExampleTargets.OfInputs(width),
        _ => Numbers(rows, train),
    };

    /// <summary>Labels out of one column with names between bars, or out of a column of 0 and 1 for each.</summary>
    private ExampleTargets Labels(IReadOnlyList<int> rows)
    {
        if (Columns.Count > 1)
        {
            var flags = new float[rows.Count * Columns.Count];
            for (var i = 0; i < flags.Length; i++)
                flags[i] = Columns[i % Columns.Count].Values[rows[i / Columns.Count]] is "1" or "1.0" or "true" or "True" or "TRUE" ? 1 : 0;
            return ExampleTargets.OfLabels(flags, [.. Columns.Select(c => c.Name)]);
        }

        string[][] given = [.. rows.Select(r => Columns[0].Values[r]?.Split('|', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [])];
        string[] names = [.. given.SelectMany(g => g).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        if (names.Length is 0 or > MostClasses)
            throw new ProblemException(ProblemCodes.ColumnInvalid, $"The target '{Columns[0].Name}' names {names.Length:N0} labels; 1 to {MostClasses:N0} are possible. Put a bar between labels: 'red|round'.", ("column", Columns[0].Name));
        var index = names.Index().ToDictionary(n => n.Item, n => n.Index, StringComparer.Ordinal);
        var values = new float[rows.Count * names.Length];
        for (var i = 0; i < given.Length; i++)
        {
            foreach (var label in given[i])
                values[i * names.Length + index[label]] = 1;
        }

        return ExampleTargets.OfLabels(values, names);
    }

    private ExampleTargets Numbers(IReadOnlyList<int> rows, int[] train)
    {
        var values = new double[rows.Count * Columns.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = Columns[i % Columns.Count].Number(rows[i / Columns.Count]);
        var fitted = train.SelectMany(r => Enumerable.Range(0, Columns.Count).Select(c => values[r * Columns.Count + c])).ToArray();
        var mean = fitted.Average();
        var deviation = Math.Sqrt(fitted.Average(v => (v - mean) * (v - mean))) is var d && d > 0 ? d : 1;
        return ExampleTargets.OfNumbers([.. values.Select(v => (float)((v - mean) / deviation))], [.. Columns.Select(c => c.Name)], mean, deviation);
    }
}
