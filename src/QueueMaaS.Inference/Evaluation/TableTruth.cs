using QueueMaaS.Contracts;
using QueueMaaS.Data.Tables;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>Which columns of a table hold the truth.</summary>
/// <param name="Names">Their names.</param>
/// <param name="ByLabel">False: one column, with one label, one number, or labels with bars between them. True: a column of 0 and 1 for each label.</param>
internal sealed record TruthColumns(IReadOnlyList<string> Names, bool ByLabel);

/// <summary>Reads what is true of a table's rows.</summary>
internal sealed class TableTruth(TableData table, TruthColumns columns, bool several)
{
    private static readonly string[] UsualNames = ["label", "target", "class", "y"];
    private static readonly string[] TextNames = ["text", "sentence", "review", "content"];
    private readonly TableField[] _columns = [.. columns.Names.Select(name => table.Require(name, columns.ByLabel ? "targets" : "target"))];

    public IReadOnlyList<string> Names => columns.Names;

    public bool Holds(TableField column) => _columns.Contains(column);

    /// <summary>The columns with the truth: as said, as the model was trained, by their usual names, or the last that the model does not read.</summary>
    /// <exception cref="ProblemException"><c>column_not_found</c> or <c>label_unknown</c>.</exception>
    public static TruthColumns ColumnsOf(IReadOnlyList<string> header, EvaluationInput input, ModelVersion model, EvaluatedHead? head)
    {
        if (head is { Task: EvaluationTask.MultiLabel } && input.Target is null && ByLabel(header, input.Targets, model, head) is { } several)
            return new(several, true);
        return new([input.Target ?? Find(header, model, input.Columns) ?? throw new ProblemException(ProblemCodes.ColumnNotFound, "Every column of the data set is read by the model, so none holds the truth. Name it in `target`.", ("path", "input.target"))], false);
    }

    /// <summary>The column that should hold the truth; null where the model reads them all.</summary>
    public static string? Find(IReadOnlyList<string> header, ModelVersion model, IReadOnlyList<string>? fed = null)
    {
        if (TrainedData.Text(model.Card, "target") is { } trained && header.Contains(trained, StringComparer.Ordinal))
            return trained;
        var read = (model.Pipeline?.Table?.Columns.Select(static c => c.Name) ?? fed ?? []).ToHashSet(StringComparer.Ordinal);
        return UsualNames.FirstOrDefault(name => header.Contains(name, StringComparer.Ordinal) && !read.Contains(name))
            ?? header.LastOrDefault(name => !read.Contains(name) && (model.Pipeline?.Text is null || !TextNames.Contains(name)));
    }

    /// <summary>The column with the text: as the model was trained, or by its usual names.</summary>
    public static string TextColumn(ModelCard? card, IReadOnlyList<string> header) =>
        TrainedData.Text(card, "text") is { } trained && header.Contains(trained, StringComparer.Ordinal) ? trained : TextNames.FirstOrDefault(name => header.Contains(name, StringComparer.Ordinal)) ?? "text";

    /// <summary>What is true of a row, or why that cannot be told.</summary>
    /// <param name="row">Its place in the table.</param>
    /// <param name="place">Its place in the split.</param>
    public (ItemTruth Truth, Problem? Error) Read(int row, int place)
    {
        if (!columns.ByLabel)
        {
            // No text is no label, where an item may have none.
            var text = _columns[0].Values[row];
            return (ItemTruth.Of(text, several), text is null && !several ? Untold(place, _columns[0].Name) : null);
        }

        var labels = new List<string>();
        foreach (var column in _columns)
        {
            switch (column.Values[row]?.Trim())
            {
                case "1" or "1.0" or "true" or "True" or "TRUE":
                    labels.Add(column.Name);
                    break;
                case "0" or "0.0" or "false" or "False" or "FALSE":
                    break;
                case null or "":
                    return (default, Untold(place, column.Name));
                case var other:
                    return (default, Problem.Create(ProblemCodes.RowInvalid, $"Row {place + 1} of the split has '{EvaluatedHead.Short(other)}' in `{column.Name}`; a column for one label holds 0 or 1.", ("row", place + 1), ("column", column.Name)));
            }
        }

        return (new(null, labels), null);
    }

    /// <summary>A column for each label; null where the labels stand in one column.</summary>
    private static IReadOnlyList<string>? ByLabel(IReadOnlyList<string> header, IReadOnlyList<string>? asked, ModelVersion model, EvaluatedHead head)
    {
        if (asked is not null)
        {
            if (asked.FirstOrDefault(name => !head.Names.Contains(name, StringComparer.Ordinal)) is { } unknown)
                throw head.UnknownLabel($"{model.Name}@{model.Version}", "`targets` names the column", unknown, "input.targets");
            if (head.Names.FirstOrDefault(name => !asked.Contains(name, StringComparer.Ordinal)) is { } lacking)
                throw new ProblemException(ProblemCodes.ColumnNotFound, $"`targets` has no column for the label '{EvaluatedHead.Short(lacking)}' of model `{model.Name}@{model.Version}`, so it is not known which items have it. Name a column for each of its {head.Names.Count:N0} labels.", ("path", "input.targets"), ("label", lacking));
            return asked;
        }

        if (TrainedData.Text(model.Card, "target") is { } single && header.Contains(single, StringComparer.Ordinal))
            return null;
        return head.Names.All(name => header.Contains(name, StringComparer.Ordinal)) ? head.Names : null;
    }

    private static Problem Untold(int place, string column) => Problem.Create(ProblemCodes.RowInvalid, $"Row {place + 1} of the split has no value in `{column}`, which holds the truth.", ("row", place + 1), ("column", column));
}
