using Parquet;
using Parquet.Schema;
using QueueMaaS.Contracts;

namespace QueueMaaS.Data.Tables;

/// <summary>What a column holds.</summary>
public enum ColumnType
{
    /// <summary>Numbers of any width.</summary>
    Number,
    /// <summary>Texts.</summary>
    Text,
    /// <summary>true and false.</summary>
    Boolean,
    /// <summary>Something that is not read: lists, maps, dates, bytes.</summary>
    Other,
}

/// <summary>A Parquet file, read column by column of a row group. One reader at a time.</summary>
public sealed class ParquetTable : IAsyncDisposable
{
    private readonly ParquetReader _reader;
    private readonly BoundedReads _file;
    private readonly Dictionary<string, DataField> _fields;

    private ParquetTable(ParquetReader reader, BoundedReads file)
    {
        _reader = reader;
        _file = file;
        var fields = reader.Schema.Fields.OfType<DataField>().ToArray();
        _fields = fields.ToDictionary(static field => field.Name, StringComparer.Ordinal);
        Columns = [.. reader.Schema.Fields.Select(field => (field.Name, field is DataField data ? TypeOf(data) : ColumnType.Other))];
        RowGroups = [.. reader.RowGroups.Select(static group => group.RowCount)];
    }

    /// <summary>The columns in their order.</summary>
    public IReadOnlyList<(string Name, ColumnType Type)> Columns { get; }

    /// <summary>The rows of each row group.</summary>
    public IReadOnlyList<long> RowGroups { get; }

    /// <summary>Opens a file and reads its footer.</summary>
    /// <exception cref="ProblemException"><c>table_invalid</c>.</exception>
    public static async Task<ParquetTable> OpenAsync(string path, CancellationToken cancellationToken)
    {
        var file = new BoundedReads(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1 << 16, useAsync: true));
        try
        {
            ParquetFooter.Check(file);
            return new(await ParquetReader.CreateAsync(file, leaveStreamOpen: true, cancellationToken: cancellationToken), file);
        }
        catch (Exception e) when (IsDamage(e))
        {
            await file.DisposeAsync();
            throw Invalid("The Parquet file cannot be read: it is damaged, cut short, or of another kind. Write it again.", e);
        }
    }

    /// <summary>The numbers of a column in a row group; NaN where there is none.</summary>
    /// <exception cref="ProblemException"><c>table_invalid</c>: no such column, one of another type, or a damaged file.</exception>
    public async Task<double[]> ReadNumbersAsync(int rowGroup, string column, CancellationToken cancellationToken) =>
        await ReadAsync(rowGroup, Require(column, ColumnType.Number), (group, field, rows) => Type.GetTypeCode(field.ClrType) switch
        {
            TypeCode.Single => NumbersAsync<float>(group, field, rows, static value => value, cancellationToken),
            TypeCode.Double => NumbersAsync<double>(group, field, rows, static value => value, cancellationToken),
            TypeCode.Int32 => NumbersAsync<int>(group, field, rows, static value => value, cancellationToken),
            TypeCode.Int64 => NumbersAsync<long>(group, field, rows, static value => value, cancellationToken),
            TypeCode.Int16 => NumbersAsync<short>(group, field, rows, static value => value, cancellationToken),
            TypeCode.SByte => NumbersAsync<sbyte>(group, field, rows, static value => value, cancellationToken),
            TypeCode.Byte => NumbersAsync<byte>(group, field, rows, static value => value, cancellationToken),
            TypeCode.UInt16 => NumbersAsync<ushort>(group, field, rows, static value => value, cancellationToken),
            TypeCode.UInt32 => NumbersAsync<uint>(group, field, rows, static value => value, cancellationToken),
            TypeCode.UInt64 => NumbersAsync<ulong>(group, field, rows, static value => value, cancellationToken),
            _ => NumbersAsync<decimal>(group, field, rows, static value => (double)value, cancellationToken),
        });

    /// <summary>Reads the numbers of a column in a row group in single precision; NaN where there is none.</summary>
    /// <param name="rowGroup">Which row group.</param>
    /// <param name="column">The column's name.</param>
    /// <param name="target">As long as the row group has rows.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <exception cref="ProblemException"><c>table_invalid</c>: no such column, one of another type, or a damaged file.</exception>
    public async Task ReadSinglesAsync(int rowGroup, string column, Memory<float> target, CancellationToken cancellationToken)
    {
        var field = Require(column, ColumnType.Number);
        if (field.ClrType != typeof(float))
        {
            var numbers = await ReadNumbersAsync(rowGroup, column, cancellationToken);
            for (var i = 0; i < numbers.Length; i++)
                target.Span[i] = (float)numbers[i];
            return;
        }

        await ReadAsync(rowGroup, field, async (group, _, rows) =>
        {
            if (!field.IsNullable)
            {
                await group.ReadAsync(field, target, null, cancellationToken);
                return rows;
            }

            var values = new float?[rows];
            await group.ReadAsync(field, values.AsMemory(), null, cancellationToken);
            for (var i = 0; i < rows; i++)
                target.Span[i] = values[i] ?? float.NaN;
            return rows;
        });
    }

    /// <summary>The texts of a column in a row group; null where there is none.</summary>
    /// <exception cref="ProblemException"><c>table_invalid</c>.</exception>
    public Task<string?[]> ReadTextsAsync(int rowGroup, string column, CancellationToken cancellationToken) =>
        ReadAsync(rowGroup, Require(column, ColumnType.Text), async (group, field, rows) =>
        {
            var values = new string?[rows];
            await group.ReadAsync(field, values.AsMemory(), null, cancellationToken);
            return values;
        });

    /// <summary>The truth values of a column in a row group; null where there is none.</summary>
    /// <exception cref="ProblemException"><c>table_invalid</c>.</exception>
    public Task<bool?[]> ReadBooleansAsync(int rowGroup, string column, CancellationToken cancellationToken) =>
        ReadAsync(rowGroup, Require(column, ColumnType.Boolean), (group, field, rows) => NullablesAsync<bool>(group, field, rows, cancellationToken));

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _reader.DisposeAsync();
        await _file.DisposeAsync();
    }

    private async Task<T> ReadAsync<T>(int rowGroup, DataField field, Func<ParquetRowGroupReader, DataField, int, Task<T>> read)
    {
        try
        {
            _file.Begin();
            using var group = _reader.OpenRowGroupReader(rowGroup);
            RequireValues(group, field);
            return await read(group, field, checked((int)group.RowCount));
        }
        catch (Exception e) when (IsDamage(e))
        {
            throw Invalid($"Column `{field.Name}` of row group {rowGroup} of the Parquet file cannot be read: it is damaged or of another type than its schema says. Write the file again.", e);
        }
    }

    /// <summary>Memory is set aside by the number of rows, so a damaged number must not be believed: a plain column has a value, or a missing one, for each row.</summary>
    internal static void RequireValues(ParquetRowGroupReader group, DataField field)
    {
        if (group.GetMetadata(field)?.MetaData?.NumValues is var values && values != group.RowCount)
            throw new InvalidDataException($"Column `{field.Name}` has {values ?? 0} values for {group.RowCount} rows.");
    }

    private static async Task<double[]> NumbersAsync<T>(ParquetRowGroupReader group, DataField field, int rows, Func<T, double> convert, CancellationToken cancellationToken)
        where T : struct
    {
        var numbers = new double[rows];
        if (!field.IsNullable)
        {
            var values = new T[rows];
            await group.ReadAsync(field, values.AsMemory(), null, cancellationToken);
            for (var i = 0; i < rows; i++)
                numbers[i] = convert(values[i]);
            return numbers;
        }

        var nullables = await NullablesAsync<T>(group, field, rows, cancellationToken);
        for (var i = 0; i < rows; i++)
            numbers[i] = nullables[i] is { } value ? convert(value) : double.NaN;
        return numbers;
    }

    private static async Task<T?[]> NullablesAsync<T>(ParquetRowGroupReader group, DataField field, int rows, CancellationToken cancellationToken)
        where T : struct
    {
        var values = new T?[rows];
        if (field.IsNullable)
        {
            await group.ReadAsync(field, values.AsMemory(), null, cancellationToken);
            return values;
        }

        var plain = new T[rows];
        await group.ReadAsync(field, plain.AsMemory(), null, cancellationToken);
        for (var i = 0; i < rows; i++)
            values[i] = plain[i];
        return values;
    }

    private DataField Require(string column, ColumnType type)
    {
        if (!_fields.TryGetValue(column, out var field))
            throw Invalid($"The Parquet file has no column `{column}`; its columns are {string.Join(", ", Columns.Take(20).Select(static c => $"`{c.Name}`"))}{(Columns.Count > 20 ? ", …" : "")}.", null, ("column", column));
        return TypeOf(field) == type
            ? field
            : throw Invalid($"Column `{column}` of the Parquet file holds {(TypeOf(field) == ColumnType.Other ? field.ClrType.Name : TypeOf(field).ToString().ToLowerInvariant())} values, but {type.ToString().ToLowerInvariant()}s are needed. Write it as such.", null, ("column", column));
    }

    private static ColumnType TypeOf(DataField field)
    {
        if (field.IsArray || field.MaxRepetitionLevel > 0)
            return ColumnType.Other;
        // The library's own kind of text.
        if (field.ClrType == typeof(ReadOnlyMemory<char>))
            return ColumnType.Text;
        return Type.GetTypeCode(field.ClrType) switch
        {
            TypeCode.Boolean => ColumnType.Boolean,
            TypeCode.String => ColumnType.Text,
            TypeCode.Single or TypeCode.Double or TypeCode.Decimal or TypeCode.SByte or TypeCode.Byte or TypeCode.Int16 or TypeCode.UInt16
                or TypeCode.Int32 or TypeCode.UInt32 or TypeCode.Int64 or TypeCode.UInt64 => ColumnType.Number,
            _ => ColumnType.Other,
        };
    }

    // A damaged file fails wherever the reader happens to be; only what is no fault of the file is let through.
    internal static bool IsDamage(Exception exception) => exception is not (OperationCanceledException or OutOfMemoryException or FileNotFoundException or ProblemException);

    private static ProblemException Invalid(string message, Exception? cause, params (string, object?)[] details) => new(Problem.Create(ProblemCodes.TableInvalid, message, details), cause);
}
