using System.CommandLine;
using Microsoft.Extensions.Options;
using QueueMaaS.Backups;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Serving;
using QueueMaaS.Storage;
using QueueMaaS.Storage.Artifacts.S3;
using QueueMaaS.Storage.Database;

namespace QueueMaaS.Commands;

/// <summary><c>queuemaas backup</c> and <c>queuemaas restore</c>: database, artifacts and pepper to and from a folder.</summary>
internal static class BackupCommand
{
    public static Command Create(Func<Func<Task>, CancellationToken, Task<int>> guard)
    {
        var folder = new Argument<string>("folder") { Description = "Where to. A folder of an earlier backup is brought up to date: artifacts that are there already are not copied again." };
        var command = new Command("backup", "Copy the database, the artifacts and the key pepper to a folder, while the service runs. Settings as for `serve`.") { folder };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((result, cancellationToken) => guard(() => RunAsync(result, async (services, options) =>
        {
            var schema = await services.GetRequiredService<DatabaseSchema>().ReadAsync(cancellationToken);
            if (schema.Applied.Count == 0)
                throw new SettingsException("There is no database to back up: nothing was ever served with these settings.");
            var manifest = await new BackupRun(options, services.GetRequiredService<IOptions<S3Options>>().Value, TimeProvider.System).RunAsync(result.GetValue(folder)!, schema, cancellationToken);
            Console.WriteLine($"Backed up to {Path.GetFullPath(result.GetValue(folder)!)}: {manifest.Database} as of {manifest.CreatedAt:u}, {Artifacts(manifest, $"({manifest.Copied} copied now)")}.");
        }, cancellationToken), cancellationToken));
        return command;
    }

    public static Command CreateRestore(Func<Func<Task>, CancellationToken, Task<int>> guard)
    {
        var folder = new Argument<string>("folder") { Description = "A backup." };
        var copied = new Option<bool>("--artifacts-copied") { Description = "The artifacts were in another bucket than that of the settings, and have been copied to it." };
        var command = new Command("restore", "Make the database and the data folder of the settings from a backup. Both must be empty; the service must not run.") { folder, copied };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((result, cancellationToken) => guard(() => RunAsync(result, async (services, options) =>
        {
            var s3 = services.GetRequiredService<IOptions<S3Options>>().Value;
            var manifest = await new RestoreRun(options, s3, services.GetRequiredService<IArtifactStore>()).RunAsync(result.GetValue(folder)!, result.GetValue(copied), services.GetRequiredService<DatabaseSchema>(), cancellationToken);
            Console.WriteLine($"Restored the backup of {manifest.CreatedAt:u}: {manifest.Database}, {Artifacts(manifest, "each checked against its hash")}.");
            var state = await services.GetRequiredService<DatabaseSchema>().ReadAsync(cancellationToken);
            if (state.Pending.Count > 0)
                Console.WriteLine($"It is of an older version: run `queuemaas migrate` ({state.Pending.Count} migration(s)).");
        }, cancellationToken), cancellationToken));
        return command;
    }

    private static string Artifacts(BackupManifest manifest, string how) => manifest.ArtifactsIn is { } place
        ? $"no artifacts, which are and stay in {place}: protect them there (versioning, replication)"
        : $"{manifest.Artifacts} artifacts of {manifest.ArtifactBytes:N0} bytes {how}";

    private static async Task RunAsync(ParseResult result, Func<IServiceProvider, StorageOptions, Task> run, CancellationToken cancellationToken)
    {
        await using var app = QueueMaaSHost.Build(["--Roles=all", .. result.UnmatchedTokens]);
        await CertificateRefusal.ExplainedAsync(app.Services, () => run(app.Services, app.Services.GetRequiredService<IOptions<StorageOptions>>().Value), cancellationToken);
    }
}
