using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Serving;

namespace QueueMaaS.Backups;

/// <summary>What a backup's folder holds; written last, so that a folder with one is whole.</summary>
internal sealed record BackupManifest(string Version, DateTimeOffset CreatedAt, string Database, string LastMigration, int Artifacts, long ArtifactBytes)
{
    public const string FileName = "backup.json";
    public const string SqliteFile = "queuemaas.db";
    public const string PostgreSqlFile = "postgresql.dump";
    public const string ArtifactFolder = "artifacts";
    public const string PepperFile = "key-pepper";
    public const string Sqlite = "SQLite";
    public const string PostgreSql = "PostgreSQL";

    /// <summary>The bucket that the artifacts are in, and stay in; null where this folder has them.</summary>
    public string? ArtifactsIn { get; init; }

    /// <summary>Artifacts that this run copied; the others were there already.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public int Copied { get; init; }

    public static async Task<BackupManifest> ReadAsync(string folder, CancellationToken cancellationToken)
    {
        var file = Path.Combine(folder, FileName);
        if (!File.Exists(file))
            throw new SettingsException($"{folder} is no whole backup: it has no {FileName}, which is written last.");
        try
        {
            return JsonSerializer.Deserialize<BackupManifest>(await File.ReadAllTextAsync(file, cancellationToken), QueueMaaSJson.Relaxed)!;
        }
        catch (JsonException exception)
        {
            throw new SettingsException($"{file} cannot be read: {exception.Message}");
        }
    }

    public Task WriteAsync(string folder, CancellationToken cancellationToken) =>
        File.WriteAllTextAsync(Path.Combine(folder, FileName), JsonSerializer.Serialize(this, QueueMaaSJson.Relaxed) + "\n", cancellationToken);

    /// <summary>Artifacts in a folder, by their names, which are their hashes.</summary>
    public static IEnumerable<FileInfo> FilesIn(string folder) => Directory.Exists(folder)
        ? new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Where(static file => file.Name.Length == 64 && file.Directory!.Name == file.Name[..2])
        : [];
}
