using QueueMaaS.Contracts;
using QueueMaaS.Data.Tables;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Preparation;

/// <summary>Makes training items of a table's rows.</summary>
internal static class TablePreparer
{
    private static readonly ColumnPreparation Plain = new();

    public static PreparedData Prepare(TableData table, TrainingSettings settings)
    {
        var target = TableTarget.Find(table, settings);
        var inputs = InputColumns(table, target, settings);
        var (rows, incomplete) = TableRows.Usable(table, target, settings, row => inputs.All(f => SettingsOf(f, settings).Missing != MissingValue.Refuse || f.Values[row] is not null));
        var classes = target.Classes(rows);
        var (split, report) = ItemSplit.Of(TableRows.SplitItems(table, rows, classes?.Classes, settings, LeakAction.Keep, row => string.Join('\u001f', inputs.Select(f => f.Values[row]))), settings);
        // Fitted on the training rows alone: what validation shows is what serving will meet.
        int[] train = [.. split.Train.Select(i => rows[i])];
        var columns = inputs.Select(f => ColumnFitter.Fit(f, SettingsOf(f, settings), train)).ToArray();
        var encoders = inputs.Zip(columns, (f, c) => new ColumnEncoder(f, c)).ToArray();
        var width = encoders.Sum(e => e.Width);
        var values = Encode(rows, encoders, width);
        var targets = target.Read(rows, classes, split.Train, width);
        var synthetic = 0;
        if (settings.Data.Balance == BalanceMode.Smote)
            (values, targets, split, synthetic) = SmoteRows.Add(values, targets, split, encoders, settings.Seed);
        return new()
        {
            Examples = new() { Inputs = new NumberInputs(values, TensorShape.Row(width)), Targets = targets, Split = split },
            Pipeline = TableRows.Answers(new() { Table = new() { Columns = columns } }, targets),
            DefaultPreset = "mlp",
            Corrupt = new(0, 0, []),
            Report = report with { Synthetic = synthetic, Incomplete = incomplete },
        };
    }

    private static TableField[] InputColumns(TableData table, TableTarget target, TrainingSettings settings)
    {
        var data = settings.Data;
        foreach (var name in data.Ignore ?? [])
            _ = table.Require(name, "data.ignore");
        foreach (var name in data.Columns?.Keys.Where(k => k != "*") ?? [])
            _ = table.Require(name, $"data.columns.{name}");
        TableField[] inputs = [.. table.Columns.Where(c => !target.Columns.Contains(c) && c.Name != data.Split?.Column && data.Ignore?.Contains(c.Name, StringComparer.Ordinal) != true)];
        return inputs.Length > 0 ? inputs : throw new ProblemException(ProblemCodes.ColumnNotFound, "The table has no column beside its target, so there is nothing to learn from.");
    }

    private static ColumnPreparation SettingsOf(TableField field, TrainingSettings settings) =>
        settings.Data.Columns is { } all ? all.GetValueOrDefault(field.Name) ?? all.GetValueOrDefault("*") ?? Plain : Plain;

    private static float[] Encode(int[] rows, ColumnEncoder[] encoders, int width)
    {
        var values = new float[checked(rows.Length * width)];
        for (var i = 0; i < rows.Length; i++)
        {
            var at = i * width;
            foreach (var encoder in encoders)
            {
                encoder.Write(rows[i], values.AsSpan(at, encoder.Width));
                at += encoder.Width;
            }
        }

        return values;
    }
}

/// <summary>What tables and texts share: which rows are used, how they are split, what answers look like.</summary>
internal static class TableRows
{
    /// <summary>The rows that have a target and whatever else they need, no more than the limit, and how many have not.</summary>
    public static (int[] Rows, int Incomplete) Usable(TableData table, TableTarget target, TrainingSettings settings, Func<int, bool> complete)
    {
        int[] rows = [.. Enumerable.Range(0, table.Rows).Where(r => target.Has(r) && complete(r))];
        var incomplete = table.Rows - rows.Length;
        if (settings.Limit is { } limit && limit < rows.Length)
        {
            Seeds.Generator(settings.DataSeed, "limit").Shuffle(rows);
            rows = rows[..limit];
            Array.Sort(rows);
        }

        return rows.Length > 0 ? (rows, incomplete) : throw new ProblemException(ProblemCodes.DatasetEmpty, $"None of the {table.Rows:N0} rows has a target and the values that are needed.", ("rows", table.Rows));
    }

    public static SplitItems SplitItems(TableData table, int[] rows, int[]? classes, TrainingSettings settings, LeakAction leak, Func<int, string> content)
    {
        var column = settings.Data.Split?.Column is { } name ? table.Require(name, "data.split.column") : null;
        var hashes = new Lazy<UInt128[]>(() => [.. rows.Select(r => ContentHash.Of(content(r)))]);
        return new()
        {
            Count = rows.Length,
            Own = [.. rows.Select(r => table.Splits[r])],
            Classes = classes,
            Column = column is null ? null : [.. rows.Select(r => column.Values[r])],
            Content = i => hashes.Value[i],
            Noun = "rows",
            Leak = leak,
        };
    }

    /// <summary>A pipeline with the answers that fit the task.</summary>
    public static ModelPipeline Answers(ModelPipeline pipeline, ExampleTargets targets) => targets.Task switch
    {
        TrainingTask.Classification => pipeline with { Labels = targets.Names },
        TrainingTask.MultiLabel => pipeline with { Labels = targets.Names, Postprocess = new() { Labels = new() { Scores = ScoreFunction.Sigmoid, Threshold = 0.5 } } },
        TrainingTask.Regression => pipeline with { Postprocess = new() { Values = new() { Scale = targets.Deviation, Offset = targets.Mean } } },
        _ => pipeline,
    };
}
