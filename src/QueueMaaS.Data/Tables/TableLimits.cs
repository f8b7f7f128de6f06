using QueueMaaS.Contracts;

namespace QueueMaaS.Data.Tables;

/// <summary>How large a table may be: all of it is in memory while it is trained on.</summary>
internal static class TableLimits
{
    public const int MaxColumns = 10_000;
    public const long MaxCells = 500_000_000;

    public static void Check(long rows, int columns)
    {
        if (columns > MaxColumns || rows * columns > MaxCells)
            throw new ProblemException(ProblemCodes.TooLarge, $"The table has {columns:N0} columns and {rows:N0} rows or more; at most {MaxColumns:N0} columns and {MaxCells:N0} values are read. Leave out columns or rows.", ("columns", columns), ("rows", rows));
    }

    /// <summary>Texts that stand for a missing value.</summary>
    public static string? OrMissing(string? text) => text is null or "" or "NA" or "N/A" or "NaN" or "nan" or "null" or "NULL" ? null : text;
}
