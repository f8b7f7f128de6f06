using System.Data.Common;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Storage.Database;

/// <summary>
/// Finds artifact ids wherever they stand: in every text of every table, whatever it means there. So no table that comes later can be forgotten, and an artifact that
/// is only spoken of in a history or a refused message stays too.
/// </summary>
public sealed partial class ArtifactUses(DatabaseSession session) : IArtifactUses
{
    private const string Mark = "sha256:";

    // Minutes over many millions of rows: the usual limit is for statements that somebody waits for.
    private static readonly TimeSpan Patience = TimeSpan.FromHours(1);

    public async Task<IReadOnlySet<string>> FindUsedAsync(IReadOnlySet<string> ids, CancellationToken cancellationToken) =>
        await session.ReadAsync(async context =>
        {
            var used = new HashSet<string>(StringComparer.Ordinal);
            await context.Database.OpenConnectionAsync(cancellationToken);
            var sqlite = context.Database.ProviderName!.EndsWith("Sqlite", StringComparison.Ordinal);
            foreach (var sql in Queries(context.Model, sqlite))
            {
                await using var command = context.Database.GetDbConnection().CreateCommand();
                command.CommandText = sql;
                command.CommandTimeout = (int)Patience.TotalSeconds;
                await using var rows = await command.ExecuteReaderAsync(cancellationToken);
                await CollectAsync(rows, ids, used, cancellationToken);
            }

            return used;
        }, cancellationToken);

    /// <summary>For each table the texts that hold the mark of an id.</summary>
    private static IEnumerable<string> Queries(IModel model, bool sqlite)
    {
        foreach (var table in model.GetRelationalModel().Tables)
        {
            var columns = table.Columns.Where(column => Stored(column) == typeof(string) || Stored(column) == typeof(byte[])).ToArray();
            if (columns.Length == 0)
                continue;
            var holds = columns.Select(column => (Stored(column) == typeof(byte[]), sqlite) switch
            {
                (true, true) => $"instr(\"{column.Name}\", CAST('{Mark}' AS BLOB)) > 0",
                (true, false) => $"position('{Mark}'::bytea in \"{column.Name}\") > 0",
                _ => $"\"{column.Name}\" LIKE '%{Mark}%'",
            });
            yield return $"SELECT {string.Join(", ", columns.Select(column => $"\"{column.Name}\""))} FROM \"{table.Name}\" WHERE {string.Join(" OR ", holds)}";
        }
    }

    private static Type Stored(IColumn column) => column.StoreTypeMapping.Converter?.ProviderClrType ?? column.StoreTypeMapping.ClrType;

    private static async Task CollectAsync(DbDataReader rows, IReadOnlySet<string> ids, HashSet<string> used, CancellationToken cancellationToken)
    {
        while (await rows.ReadAsync(cancellationToken))
        {
            for (var column = 0; column < rows.FieldCount; column++)
            {
                var text = rows.GetValue(column) switch { string value => value, byte[] bytes => Encoding.Latin1.GetString(bytes), _ => "" };
                foreach (var match in ArtifactId().EnumerateMatches(text))
                {
                    var id = text.Substring(match.Index, match.Length);
                    if (ids.Contains(id))
                        used.Add(id);
                }
            }
        }
    }

    [GeneratedRegex(Mark + "[0-9a-f]{64}", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 60_000)]
    private static partial Regex ArtifactId();
}
