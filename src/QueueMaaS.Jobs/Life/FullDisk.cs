using System.Data.Common;

namespace QueueMaaS.Jobs.Life;

/// <summary>Tells a storage that can take no more from a storage that is broken: the one is waited for.</summary>
public static class FullDisk
{
    // .NET passes the system's own numbers on in HResult: ENOSPC, EDQUOT on Linux and on macOS, and Windows' two codes for a full disk.
    private static readonly int[] Codes = [28, 122, 69, unchecked((int)0x80070070), unchecked((int)0x80070027)];

    // PostgreSQL's class "disk full", and SQLite's SQLITE_FULL.
    private const string PostgreSql = "53100";
    private const int Sqlite = 13;

    /// <summary>Whether a file or a database could not be written for want of room.</summary>
    public static bool IsCauseOf(Exception exception) => exception switch
    {
        IOException io when Codes.Contains(io.HResult) => true,
        DbException { SqlState: PostgreSql } or DbException { ErrorCode: Sqlite } => true,
        _ => exception.InnerException is { } inner && IsCauseOf(inner),
    };
}
