using System.Globalization;
using Parquet;
using Parquet.Schema;
using QueueMaaS.Contracts;

namespace QueueMaaS.Data.Tables;

/// <summary>Reads Parquet files of plain columns; nested ones are refused.</summary>
internal static class ParquetColumns
{
    public static async Task<(string[] Names, List<string?>[] Columns)> ReadAsync(Stream file, string name)
    {
        try
        {
            ParquetFooter.Check(file);
            var bounded = new BoundedReads(file);
            await using var reader = await ParquetReader.CreateAsync(bounded, leaveStreamOpen: true);
            var fields = reader.Schema.GetDataFields();
            if (fields.FirstOrDefault(f => f.IsArray || f.Path.Length > 1) is { } nested)
                throw Bad(name, $"The column '{nested.Name}' is nested; only plain columns are read.");
            var columns = fields.Select(_ => new List<string?>()).ToArray();
            for (var g = 0; g < reader.RowGroupCount; g++)
            {
                using var group = reader.OpenRowGroupReader(g);
                TableLimits.Check(columns.Length == 0 ? 0 : columns[0].Count + group.RowCount, fields.Length);
                for (var c = 0; c < fields.Length; c++)
                    columns[c].AddRange(await ReadColumnAsync(group, fields[c], name));
            }

            return ([.. fields.Select(f => f.Name)], columns);
        }
        catch (Exception e) when (ParquetTable.IsDamage(e))
        {
            throw Bad(name, e.Message, e);
        }
    }

    private static Task<IEnumerable<string?>> ReadColumnAsync(ParquetRowGroupReader group, DataField field, string name)
    {
        ParquetTable.RequireValues(group, field);
        var type = field.ClrType;
        if (type == typeof(string) || type == typeof(ReadOnlyMemory<char>))
            return TextsAsync(group, field);
        if (type == typeof(bool))
            return ValuesAsync<bool>(group, field, v => v ? "true" : "false");
        if (type == typeof(float))
            return ValuesAsync<float>(group, field, v => v.ToString("R", CultureInfo.InvariantCulture));
        if (type == typeof(double))
            return ValuesAsync<double>(group, field, v => v.ToString("R", CultureInfo.InvariantCulture));
        if (type == typeof(sbyte))
            return ValuesAsync<sbyte>(group, field, Plain);
        if (type == typeof(byte))
            return ValuesAsync<byte>(group, field, Plain);
        if (type == typeof(short))
            return ValuesAsync<short>(group, field, Plain);
        if (type == typeof(ushort))
            return ValuesAsync<ushort>(group, field, Plain);
        if (type == typeof(int))
            return ValuesAsync<int>(group, field, Plain);
        if (type == typeof(uint))
            return ValuesAsync<uint>(group, field, Plain);
        if (type == typeof(long))
            return ValuesAsync<long>(group, field, Plain);
        if (type == typeof(ulong))
            return ValuesAsync<ulong>(group, field, Plain);
        if (type == typeof(decimal))
            return ValuesAsync<decimal>(group, field, Plain);
        if (type == typeof(DateTime))
            return ValuesAsync<DateTime>(group, field, v => v.ToString("O", CultureInfo.InvariantCulture));
        throw Bad(name, $"The column '{field.Name}' holds {type.Name}; texts, numbers, true/false and times are read.");
    }

    private static async Task<IEnumerable<string?>> TextsAsync(ParquetRowGroupReader group, DataField field)
    {
        var values = new string?[group.RowCount];
        await group.ReadAsync(field, values.AsMemory());
        return values.Select(TableLimits.OrMissing);
    }

    private static async Task<IEnumerable<string?>> ValuesAsync<T>(ParquetRowGroupReader group, DataField field, Func<T, string> write)
        where T : struct
    {
        if (!field.IsNullable)
        {
            var plain = new T[group.RowCount];
            await group.ReadAsync(field, plain.AsMemory());
            return plain.Select(v => TableLimits.OrMissing(write(v)));
        }

        var values = new T?[group.RowCount];
        await group.ReadAsync(field, values.AsMemory());
        return values.Select(v => v is { } given ? TableLimits.OrMissing(write(given)) : null);
    }

    private static string Plain<T>(T value) where T : IFormattable => value.ToString(null, CultureInfo.InvariantCulture);

    private static ProblemException Bad(string name, string reason, Exception? inner = null) =>
        new(Problem.Create(ProblemCodes.ArchiveInvalid, $"The file '{name}' cannot be read as Parquet. {reason}", ("entry", name)), inner);
}
