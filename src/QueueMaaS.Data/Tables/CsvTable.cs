using QueueMaaS.Contracts;
using Sylvan.Data.Csv;

namespace QueueMaaS.Data.Tables;

/// <summary>Reads CSV with a header line; the delimiter (comma, semicolon, tab, bar) is found out.</summary>
internal static class CsvTable
{
    private const int MaxCell = 1 << 20;

    public static (string[] Names, List<string?>[] Columns) Read(TextReader text, string name)
    {
        if (text.Peek() < 0)
            return ([], []);
        try
        {
            using var reader = CsvDataReader.Create(text, new CsvDataReaderOptions { HasHeaders = true, MaxBufferSize = 4 * MaxCell, BufferSize = 1 << 16, ResultSetMode = ResultSetMode.SingleResult, OwnsReader = false });
            string[] names = [.. Enumerable.Range(0, reader.FieldCount).Select(reader.GetName)];
            var columns = names.Select(_ => new List<string?>()).ToArray();
            while (reader.Read())
            {
                if (reader.RowFieldCount != names.Length)
                    throw Bad(name, $"Row {reader.RowNumber} has {reader.RowFieldCount} values, but the header names {names.Length} columns.");
                for (var c = 0; c < names.Length; c++)
                    columns[c].Add(TableLimits.OrMissing(reader.GetString(c)));
                if ((reader.RowNumber & 0xFFF) == 0)
                    TableLimits.Check(reader.RowNumber, names.Length);
            }

            return (names, columns);
        }
        catch (Exception e) when (e is CsvFormatException or CsvRecordTooLargeException or System.Data.Common.DbException or FormatException)
        {
            throw Bad(name, e.Message, e);
        }
    }

    private static ProblemException Bad(string name, string reason, Exception? inner = null) => new(
        Problem.Create(ProblemCodes.ArchiveInvalid, $"The file '{name}' cannot be read as CSV. {reason} Give a header line and as many values in every row; put quotes around values that hold the delimiter.", ("entry", name)), inner);
}
