using System.Globalization;
using System.Text;
using Parquet;
using Parquet.Schema;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation.Answers;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.BatchJobs.Outputs;

/// <summary>A row of a table of results.</summary>
/// <param name="Id">The item's id.</param>
/// <param name="Truth">Its true label; not written where the table has no such column.</param>
/// <param name="Label">The best label, where the model gives labels.</param>
/// <param name="Numbers">The label's score, or the numbers of the answer.</param>
internal readonly record struct ResultRow(string Id, string? Truth, string? Label, double[] Numbers);

/// <summary>Results as a table: id, the true label where there are some, then label and score, or the numbers of the answer.</summary>
internal abstract class TablePart(BatchInput input) : PartWriter
{
    // The first item says what the columns are.
    private string[]? _columns;
    private bool _hasLabel;

    public override IReadOnlyList<string>? Columns => _columns;

    protected bool HasTruth { get; } = input.LabelColumn is not null || input.Dataset is not null || input.Format == BatchFormat.Images;

    protected bool HasLabel => _hasLabel;

    public override Problem? Add(in ItemResult result, PipelineAnswers answers)
    {
        if (answers.Detections is not null)
            return Problem.Create(ProblemCodes.InvalidValue, "Detections have no place in a table. Ask for the output `jsonl`.");
        var label = answers.Labels is [{ } best, ..] ? best : null;
        double[] numbers = label is not null ? [label.Count > 0 ? label[0].Score : double.NaN]
            : answers.Values is { } values ? [.. values.SelectMany(static row => row)]
            : answers.Embeddings is { } embeddings ? [.. embeddings.SelectMany(static row => row)]
            : OutputNumbers.ToDouble(result.Outputs![0]);
        _columns ??= Name(result.Outputs![0], answers, numbers.Length, _hasLabel = label is not null);
        var expected = _columns.Length - 1 - (HasTruth ? 1 : 0) - (_hasLabel ? 1 : 0);
        if (numbers.Length != expected)
            return Problem.Create(ProblemCodes.TensorShapeMismatch, $"The item gave {numbers.Length} numbers, but the table's first gave {expected}. Ask for the output `jsonl`.", ("given", numbers.Length), ("expected", expected));
        Write(new(result.Item.Id, result.Item.Label, label is { Count: > 0 } ? label[0].Label : null, numbers));
        return null;
    }

    protected abstract void Write(in ResultRow row);

    private string[] Name(TensorBuffer output, PipelineAnswers answers, int count, bool hasLabel)
    {
        string[] head = HasTruth ? ["id", "truth"] : ["id"];
        if (hasLabel)
            return [.. head, "label", "score"];
        var name = answers.Values is not null ? "value" : answers.Embeddings is not null ? "embedding" : output.Name;
        return [.. head, .. count == 1 ? [name] : Enumerable.Range(0, count).Select(i => $"{name}_{i}")];
    }
}

/// <summary>A CSV file's records (RFC 4180) without its header, which comes when the parts are joined.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "The stream is the caller's, and what is buffered is flushed at the end.")]
internal sealed class CsvPart(BatchInput input, Stream target) : TablePart(input)
{
    private readonly StreamWriter _writer = new(target, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 1 << 16, leaveOpen: true) { NewLine = "\n" };

    public override Task FinishAsync(CancellationToken cancellationToken) => _writer.FlushAsync(cancellationToken);

    protected override void Write(in ResultRow row)
    {
        _writer.Write(Quoted(row.Id));
        if (HasTruth)
            Field(row.Truth ?? "");
        if (HasLabel)
            Field(row.Label ?? "");
        foreach (var number in row.Numbers)
        {
            _writer.Write(',');
            if (double.IsFinite(number))
                _writer.Write(((float)number).Equals(number) ? ((float)number).ToString(CultureInfo.InvariantCulture) : number.ToString(CultureInfo.InvariantCulture));
        }

        _writer.WriteLine();

        void Field(string text)
        {
            _writer.Write(',');
            _writer.Write(Quoted(text));
        }
    }

    /// <summary>A field as it may stand in a record.</summary>
    public static string Quoted(string field) => field.AsSpan().IndexOfAny(",\"\r\n") < 0 ? field : $"\"{field.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}

/// <summary>A Parquet file of one row group.</summary>
internal sealed class ParquetPart(BatchInput input, Stream target) : TablePart(input)
{
    private readonly List<ResultRow> _rows = [];

    public override async Task FinishAsync(CancellationToken cancellationToken)
    {
        if (Columns is not { } columns)
            return;
        var (texts, numbers) = (1 + (HasTruth ? 1 : 0) + (HasLabel ? 1 : 0), columns.Count);
        var fields = columns.Select((name, i) => i < texts ? new DataField<string>(name, i > 0) : (DataField)new DataField<double>(name)).ToArray();
        await using var writer = await ParquetWriter.CreateAsync(new ParquetSchema(fields), target, cancellationToken: cancellationToken);
        using var group = writer.CreateRowGroup();
        await group.WriteAsync(fields[0], _rows.Select(static row => row.Id).ToArray());
        if (HasTruth)
            await group.WriteAsync(fields[1], _rows.Select(static row => row.Truth!).ToArray());
        if (HasLabel)
            await group.WriteAsync(fields[texts - 1], _rows.Select(static row => row.Label!).ToArray());
        for (var i = texts; i < numbers; i++)
            await group.WriteAsync<double>(fields[i], _rows.Select(row => row.Numbers[i - texts]).ToArray(), cancellationToken: cancellationToken);
    }

    protected override void Write(in ResultRow row) => _rows.Add(row);
}

/// <summary>The bytes of the first output, entry by entry; the head of the NumPy file comes when the parts are joined.</summary>
internal sealed class NpyPart(Stream target) : PartWriter
{
    private TensorBuffer? _first;
    private int _skippedBefore;

    public override string? Datatype => _first?.Datatype.Name;

    // An item of one row is an entry without its row axis; one of several keeps them.
    public override IReadOnlyList<long>? EntryShape => _first is null ? null : _first.Shape is [1, .. var rest] ? rest : _first.Shape;

    public override Problem? Add(in ItemResult result, PipelineAnswers answers)
    {
        var output = result.Outputs![0];
        if (output.Datatype.IsText)
            return Problem.Create(ProblemCodes.TensorDatatypeMismatch, $"The model's output '{output.Name}' is BYTES, which has no place in an array. Ask for the output `jsonl`.");
        if (_first is null)
        {
            _first = output;
            for (; _skippedBefore > 0; _skippedBefore--)
                Fill();
        }
        else if (!output.Shape.AsSpan().SequenceEqual(_first.Shape))
        {
            return Problem.Create(ProblemCodes.TensorShapeMismatch, $"The item's output has the shape {TensorBuffer.Describe(output.Shape)}, but the array's first has {TensorBuffer.Describe(_first.Shape)}. Ask for the output `jsonl`.");
        }

        target.Write(output.Bytes.Span);
        return null;
    }

    /// <summary>Writes the outputs of several items at once; false, and nothing written, where they are not of the array's shape or have no place in one.</summary>
    public bool TryAddRows(TensorBuffer output)
    {
        if (output.Datatype.IsText || output.Shape[0] == 0)
            return false;
        if (_first is null)
        {
            // The shape of one row, without holding the rows of a whole batch.
            _first = TensorBuffer.OfBytes(output.Name, output.Datatype, output.ShapeOf(1), output.Rows(0, 1).Bytes.ToArray());
            for (; _skippedBefore > 0; _skippedBefore--)
                Fill();
        }
        else if (_first.Shape.Length != output.Shape.Length || _first.Shape[0] != 1 || !_first.Shape.AsSpan(1).SequenceEqual(output.Shape.AsSpan(1)) || _first.Datatype.Name != output.Datatype.Name)
        {
            return false;
        }

        target.Write(output.Bytes.Span);
        return true;
    }

    public override void Skip()
    {
        if (_first is null)
            _skippedBefore++;
        else
            Fill();
    }

    public override Task FinishAsync(CancellationToken cancellationToken) => target.FlushAsync(cancellationToken);

    private void Fill() => target.Write(Empty(_first!.Datatype.Name, _first.Count));

    /// <summary>The entry of an item that failed: not a number, or 0 where the datatype has no such thing.</summary>
    public static byte[] Empty(string datatype, long elements)
    {
        byte[] one = datatype switch
        {
            Datatypes.Fp16 => BitConverter.GetBytes(Half.NaN),
            Datatypes.Fp32 => BitConverter.GetBytes(float.NaN),
            Datatypes.Fp64 => BitConverter.GetBytes(double.NaN),
            _ => new byte[TensorDatatype.Find(datatype)!.Size],
        };
        var bytes = new byte[checked(elements * one.Length)];
        for (var at = 0L; at < bytes.Length; at += one.Length)
            one.CopyTo(bytes, at);
        return bytes;
    }
}
