using Microsoft.Data.Sqlite;
using QueueMaaS.Storage;
using QueueMaaS.Storage.Artifacts.S3;
using QueueMaaS.Storage.Database;
using QueueMaaS.Telemetry;

namespace QueueMaaS.Backups;

/// <summary>
/// Copies a deployment to a folder while it runs. The database first: an artifact is stored before a row names it, so that every artifact that the copied rows name is there to be copied after.
/// </summary>
internal sealed class BackupRun(StorageOptions options, S3Options s3, TimeProvider time)
{
    public async Task<BackupManifest> RunAsync(string folder, SchemaState schema, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        // Until the new one is whole, this is none.
        File.Delete(Path.Combine(folder, BackupManifest.FileName));
        var createdAt = time.GetUtcNow();
        var data = Path.GetFullPath(options.DataFolder);
        if (options.PostgreSql is { } postgreSql)
            await PostgreSqlTools.DumpAsync(postgreSql, Path.Combine(folder, BackupManifest.PostgreSqlFile), cancellationToken);
        else
            CopySqlite(Path.Combine(data, BackupManifest.SqliteFile), Path.Combine(folder, BackupManifest.SqliteFile));

        var pepper = Path.Combine(data, BackupManifest.PepperFile);
        if (File.Exists(pepper))
            File.Copy(pepper, Path.Combine(folder, BackupManifest.PepperFile), overwrite: true);
        // A bucket has means of its own against loss, and is often larger than any disk: it is named, not copied.
        var (count, bytes, copied) = s3.Bucket is null
            ? CopyArtifacts(Path.Combine(data, BackupManifest.ArtifactFolder), Path.Combine(folder, BackupManifest.ArtifactFolder), cancellationToken)
            : default;
        var manifest = new BackupManifest(ProgramVersion.Text, createdAt, options.PostgreSql is null ? BackupManifest.Sqlite : BackupManifest.PostgreSql, schema.Applied[^1], count, bytes)
        {
            ArtifactsIn = s3.Bucket is null ? null : s3.Place,
            Copied = copied,
        };
        await manifest.WriteAsync(folder, cancellationToken);
        return manifest;
    }

    /// <summary>SQLite's online backup: a consistent state, while others write.</summary>
    private static void CopySqlite(string from, string to)
    {
        File.Delete(to);
        using var source = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = from, Mode = SqliteOpenMode.ReadOnly, Pooling = false }.ConnectionString);
        using var target = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = to, Pooling = false }.ConnectionString);
        source.Open();
        target.Open();
        source.BackupDatabase(target);
    }

    /// <summary>Artifacts never change, so one that is there need not be copied again; what the deployment has deleted since is deleted here too.</summary>
    private static (int Count, long Bytes, int Copied) CopyArtifacts(string from, string to, CancellationToken cancellationToken)
    {
        var (count, bytes, copied) = (0, 0L, 0);
        var kept = new HashSet<string>(StringComparer.Ordinal);
        foreach (var artifact in BackupManifest.FilesIn(from))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var target = new FileInfo(Path.Combine(to, artifact.Name[..2], artifact.Name));
            try
            {
                if (!target.Exists || target.Length != artifact.Length)
                {
                    target.Directory!.Create();
                    artifact.CopyTo($"{target.FullName}.part", overwrite: true);
                    File.Move($"{target.FullName}.part", target.FullName, overwrite: true);
                    copied++;
                }
            }
            catch (FileNotFoundException)
            {
                // Deleted a moment ago, so its row is gone or going.
                continue;
            }

            kept.Add(artifact.Name);
            count++;
            bytes += artifact.Length;
        }

        foreach (var gone in BackupManifest.FilesIn(to).Where(file => !kept.Contains(file.Name)).ToArray())
            gone.Delete();
        return (count, bytes, copied);
    }
}
