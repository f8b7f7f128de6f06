using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation.Tables;

/// <summary>Holds a table pipeline against the model's signature.</summary>
internal static class TablePipelineCheck
{
    private const int MaxColumns = 10_000;
    private const int MaxCategories = 100_000;

    /// <summary>The first fault, or null where there is none.</summary>
    public static PipelineFault? Find(ModelSignature signature, TablePreparation table)
    {
        if (table.Columns.Count is 0 or > MaxColumns)
            return At("columns", $"there are {table.Columns.Count}; give 1 to {MaxColumns:#,0}.");
        if (table.Input is not null && signature.Inputs.All(i => i.Name != table.Input))
            return At("input", $"the model has no input '{table.Input}'; its inputs are {Inputs(signature)}.");
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < table.Columns.Count; i++)
        {
            if (!names.Add(table.Columns[i].Name) || table.Columns[i].Name.Length == 0)
                return Column(i, "name", $"'{table.Columns[i].Name}' is empty or given twice; each column needs a name of its own.");
            if (FindInColumn(signature, table, i) is { } fault)
                return fault;
        }

        return signature.Inputs.Select(input => FindInInput(signature, table, input)).FirstOrDefault(f => f is not null);
    }

    private static PipelineFault? FindInColumn(ModelSignature signature, TablePreparation table, int index)
    {
        var column = table.Columns[index];
        var name = TableEncoder.InputOf(signature, table, column);
        if (signature.Inputs.FirstOrDefault(i => i.Name == name) is not { } input)
            return Column(index, "input", $"the model has no input '{name}'; its inputs are {Inputs(signature)}.");
        var fault = column.Kind switch
        {
            ColumnKind.Number => FindInNumber(column, index, input),
            ColumnKind.Category => FindInCategory(column, index, input),
            _ => null,
        };
        return fault ?? FindForeign(column, index) ?? FindInMissing(column, index, input);
    }

    private static PipelineFault? FindInNumber(TableColumn column, int index, TensorSignature input)
    {
        if ((column.Least is { } least && !double.IsFinite(least)) || (column.Greatest is { } greatest && !double.IsFinite(greatest)) || column.Least > column.Greatest)
            return Column(index, "least", "`least` and `greatest` must be numbers, the first no greater than the second.");
        if (column.Min is null != column.Max is null)
            return Column(index, column.Min is null ? "min" : "max", "`min` and `max` are given together.");
        if (column is { Min: { } min, Max: { } max } && !(double.IsFinite(min) && double.IsFinite(max) && max > min))
            return Column(index, "max", "it must be greater than `min`.");
        if (column.Min is not null && (column.Mean is not null || column.Deviation is not null))
            return Column(index, "mean", "give either `mean` and `deviation` or `min` and `max`.");
        if (column.Mean is { } mean && !double.IsFinite(mean))
            return Column(index, "mean", "give a number.");
        if (column.Deviation is { } deviation && (!double.IsFinite(deviation) || deviation == 0))
            return Column(index, "deviation", "give a number other than 0.");
        var scaled = column.Log1p || column.Min is not null || column.Mean is not null || column.Deviation is not null;
        return scaled && NumberWriter.IsWhole(input.Datatype)
            ? Column(index, "input", $"input '{input.Name}' is {input.Datatype}, which holds whole numbers only; leave out `log1p`, `mean`, `deviation`, `min` and `max`.")
            : null;
    }

    private static PipelineFault? FindInCategory(TableColumn column, int index, TensorSignature input)
    {
        if (column.Categories is null)
            return input.Datatype == Datatypes.Bytes ? null : Column(index, "categories", $"input '{input.Name}' takes {input.Datatype}; list the categories, so that each has an index.");
        if (column.Categories.Count is 0 or > MaxCategories)
            return Column(index, "categories", $"there are {column.Categories.Count}; give 1 to {MaxCategories:#,0}.");
        if (column.Categories.Distinct(StringComparer.Ordinal).Count() < column.Categories.Count)
            return Column(index, "categories", "one of them is given twice.");
        return column is { Unknown: UnknownCategory.Zeros, Encoding: CategoryEncoding.Index } && input.Datatype != Datatypes.Bytes
            ? Column(index, "unknown", "an index has no zeros for an unknown category, as 0 is the first; choose `reserved` or `error`.")
            : null;
    }

    /// <summary>A setting of another kind of column is a mistake that would otherwise go unseen.</summary>
    private static PipelineFault? FindForeign(TableColumn column, int index)
    {
        var foreign = column.Kind != ColumnKind.Number
            ? column.Log1p ? "log1p" : column.Mean is not null ? "mean" : column.Deviation is not null ? "deviation" : column.Min is not null ? "min" : column.Max is not null ? "max" : null
            : null;
        foreign ??= column.Kind != ColumnKind.Category && column.Categories is not null ? "categories" : null;
        return foreign is null ? null : Column(index, foreign, $"a column of kind `{column.Kind.ToString().ToLowerInvariant()}` has no such setting; leave it out.");
    }

    private static PipelineFault? FindInMissing(TableColumn column, int index, TensorSignature input)
    {
        if (input.Datatype == Datatypes.Bytes && column.Kind != ColumnKind.Category)
            return Column(index, "input", $"input '{input.Name}' takes texts (BYTES); only a `category` can feed it.");
        if (column.Missing is not { } given)
            return null;
        var missing = CellValue.Of(given);
        var reader = new ColumnReader(column);
        try
        {
            if (input.Datatype == Datatypes.Bytes)
                _ = reader.Text(missing);
            else
                reader.Write(missing, new double[reader.Width]);
            return null;
        }
        catch (ColumnRefusal refusal)
        {
            return Column(index, "missing", $"the column {refusal.Message}.");
        }
    }

    private static PipelineFault? FindInInput(ModelSignature signature, TablePreparation table, TensorSignature input)
    {
        var columns = table.Columns.Where(c => TableEncoder.InputOf(signature, table, c) == input.Name).ToArray();
        if (columns.Length == 0)
            return At("columns", $"no column feeds the model's input '{input.Name}' ({input.Datatype} {TensorBuffer.Describe(input.Shape)}); name it in the `input` of one.");
        var width = input.Datatype == Datatypes.Bytes ? columns.Length : columns.Sum(c => new ColumnReader(c).Width);
        var fits = input.Shape.Count switch
        {
            1 => width == 1,
            2 => input.Shape[1] < 0 || input.Shape[1] == width,
            _ => false,
        };
        return fits ? null : At("columns", $"the columns {string.Join(", ", columns.Take(10).Select(c => $"'{c.Name}'"))}{(columns.Length > 10 ? ", …" : "")} become {width} numbers, but the model's input '{input.Name}' is {TensorBuffer.Describe(input.Shape)}. Give as many as it takes (a one-hot category becomes one for each category).");
    }

    private static string Inputs(ModelSignature signature) => string.Join(", ", signature.Inputs.Select(i => $"'{i.Name}'"));

    private static PipelineFault Column(int index, string member, string message) => At($"columns[{index}].{member}", message);

    private static PipelineFault At(string member, string message) => new($"pipeline.table.{member}", message);
}
