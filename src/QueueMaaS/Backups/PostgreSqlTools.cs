using System.ComponentModel;
using System.Diagnostics;
using Npgsql;
using QueueMaaS.Serving;

namespace QueueMaaS.Backups;

/// <summary>PostgreSQL's own <c>pg_dump</c> and <c>pg_restore</c>, which must be installed (of the server's version or later).</summary>
internal static class PostgreSqlTools
{
    /// <summary>One consistent state of the database, in PostgreSQL's compressed form.</summary>
    public static Task DumpAsync(string connection, string file, CancellationToken cancellationToken) =>
        RunAsync("pg_dump", connection, ["--format=custom", "--no-owner", "--no-privileges", $"--file={file}"], cancellationToken);

    /// <summary>Fills an existing, empty database; all of it, or nothing.</summary>
    public static Task RestoreAsync(string connection, string file, CancellationToken cancellationToken) =>
        RunAsync("pg_restore", connection, ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", file], cancellationToken);

    private static async Task RunAsync(string tool, string connection, string[] arguments, CancellationToken cancellationToken)
    {
        var to = new NpgsqlConnectionStringBuilder(connection);
        var start = new ProcessStartInfo(tool, [.. arguments, $"--dbname={to.Database ?? to.Username}", $"--host={to.Host}", $"--port={to.Port}", $"--username={to.Username}", "--no-password"])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
        };
        // Not among the arguments, which every user of the machine can see.
        if (to.Password is { } password)
            start.Environment["PGPASSWORD"] = password;
        if (to.SslMode != SslMode.Prefer)
            start.Environment["PGSSLMODE"] = to.SslMode switch { SslMode.VerifyCA => "verify-ca", SslMode.VerifyFull => "verify-full", var mode => mode.ToString().ToLowerInvariant() };
        if (to.RootCertificate is { } root)
            start.Environment["PGSSLROOTCERT"] = root;
        try
        {
            using var process = Process.Start(start)!;
            var errors = await process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            if (process.ExitCode != 0)
                throw new SettingsException($"{tool} failed: {errors.Trim()}");
        }
        catch (Win32Exception)
        {
            throw new SettingsException($"{tool} is needed for PostgreSQL and was not found: install PostgreSQL's client programs (Debian, Ubuntu: postgresql-client), of the server's version or later.");
        }
    }
}
