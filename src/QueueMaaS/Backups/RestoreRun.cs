using System.Security.Cryptography;
using Microsoft.Data.Sqlite;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Serving;
using QueueMaaS.Storage;
using QueueMaaS.Storage.Artifacts.S3;
using QueueMaaS.Storage.Database;

namespace QueueMaaS.Backups;

/// <summary>Makes an empty deployment into what a backup holds. Artifacts first, each checked; the database last, so that a restore that was interrupted has none and can be begun again.</summary>
internal sealed class RestoreRun(StorageOptions options, S3Options s3, IArtifactStore store)
{
    public async Task<BackupManifest> RunAsync(string folder, bool artifactsCopied, DatabaseSchema schema, CancellationToken cancellationToken)
    {
        var manifest = await BackupManifest.ReadAsync(folder, cancellationToken);
        var wanted = options.PostgreSql is null ? BackupManifest.Sqlite : BackupManifest.PostgreSql;
        if (manifest.Database != wanted)
            throw new SettingsException($"The backup is of {manifest.Database}, and the settings name {wanted}. A backup is restored to the kind of database that it came from.");
        if ((await schema.ReadAsync(cancellationToken)).Applied.Count > 0)
            throw new SettingsException("The database of the settings is in use already. A backup is restored to an empty one: name another database or data folder, or move what is there aside.");

        CheckBucket(manifest, artifactsCopied);
        var data = Directory.CreateDirectory(options.DataFolder).FullName;
        if (manifest.ArtifactsIn is null)
            await StoreArtifactsAsync(Path.Combine(folder, BackupManifest.ArtifactFolder), manifest, cancellationToken);
        if (File.Exists(Path.Combine(folder, BackupManifest.PepperFile)))
            CopyPepper(Path.Combine(folder, BackupManifest.PepperFile), Path.Combine(data, BackupManifest.PepperFile));
        if (options.PostgreSql is { } postgreSql)
            await PostgreSqlTools.RestoreAsync(postgreSql, Path.Combine(folder, BackupManifest.PostgreSqlFile), cancellationToken);
        else
            RestoreSqlite(Path.Combine(folder, BackupManifest.SqliteFile), Path.Combine(data, BackupManifest.SqliteFile));
        return manifest;
    }

    private void CheckBucket(BackupManifest manifest, bool artifactsCopied)
    {
        if (manifest.ArtifactsIn is not { } place || place == s3.Place)
            return;
        if (s3.Bucket is null)
            throw new SettingsException($"The backup's artifacts are in {place}, and the settings name no bucket. Set S3:Bucket and the other settings of S3 as they were, or those of a copy of the bucket.");
        if (!artifactsCopied)
            throw new SettingsException($"The backup's artifacts are in {place}, and the settings name {s3.Place}. Copy them there (what is named `{s3.Prefix}artifacts/…`) and say so with --artifacts-copied, or set S3 as it was.");
    }

    private async Task StoreArtifactsAsync(string from, BackupManifest manifest, CancellationToken cancellationToken)
    {
        var artifacts = BackupManifest.FilesIn(from).ToArray();
        if (artifacts.Length < manifest.Artifacts)
            throw new SettingsException($"The backup is not whole: {BackupManifest.FileName} tells of {manifest.Artifacts} artifacts, and {artifacts.Length} are there.");
        foreach (var artifact in artifacts)
        {
            await using var content = artifact.OpenRead();
            if (Convert.ToHexStringLower(await SHA256.HashDataAsync(content, cancellationToken)) != artifact.Name)
                throw new SettingsException($"The backup is damaged: the content of {artifact.FullName} does not have the hash that is its name. Nothing was put in use.");
            content.Position = 0;
            await store.PutAsync(content, long.MaxValue, cancellationToken);
        }
    }

    /// <summary>The copy is read through first: a damaged page is found now and not by a job.</summary>
    private static void RestoreSqlite(string from, string to)
    {
        using (var source = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = from, Mode = SqliteOpenMode.ReadOnly, Pooling = false }.ConnectionString))
        {
            string verdict;
            try
            {
                source.Open();
                using var check = source.CreateCommand();
                check.CommandText = "pragma integrity_check(1)";
                verdict = (string)check.ExecuteScalar()!;
            }
            catch (SqliteException exception)
            {
                verdict = exception.Message;
            }

            if (verdict != "ok")
                throw new SettingsException($"The backup is damaged: {from} cannot be read ({verdict}). Nothing was put in use.");
        }

        // Looking for a database makes an empty one.
        foreach (var suffix in (string[])["", "-wal", "-shm"])
            File.Delete(to + suffix);
        File.Copy(from, to);
    }

    private static void CopyPepper(string from, string to)
    {
        File.Copy(from, to, overwrite: true);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(to, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }
}
