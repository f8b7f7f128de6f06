using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Serving;
using QueueMaaS.Storage.Database;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Changes of the schema under a service that runs.</summary>
public sealed class MigrationCases : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-migrations-").FullName;
    private ServerSpace _space = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string PostgreSql => new NpgsqlConnectionStringBuilder(_space.Settings["Storage:PostgreSql"]) { Pooling = false }.ConnectionString;

    private string[] Settings => [.. _space.Settings.Select(setting => $"--{setting.Key}={setting.Value}"), $"--Storage:DataFolder={_folder}"];

    public async ValueTask InitializeAsync() => _space = await ServerSpace.CreateAsync();

    public async ValueTask DisposeAsync()
    {
        await _space.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_migration_that_waits_for_a_long_transaction_lets_the_others_go_on()
    {
        await MigrateToAsync("AliasShare");
        await using var backup = await OpenAsync();
        await using var transaction = await backup.BeginTransactionAsync(Cancel);
        await ExecuteAsync(backup, "LOCK TABLE jobs IN ACCESS SHARE MODE");

        var migration = ProgramRun.RunAsync(["migrate", .. Settings]);
        await using var other = await OpenAsync();
        while (await CountAsync(other, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'jobs'::regclass") == 0 && !migration.IsCompleted)
            await Task.Delay(10, Cancel);
        migration.IsCompleted.ShouldBeFalse();
        // It stands behind the migration, which stands behind the transaction; and is let through while that still holds the table.
        await ExecuteAsync(other, "INSERT INTO jobs (id, tenant, kind, state, sequence, attempt, fence, max_attempts, priority, input, request_hash, created_at, due_at, dispatches, webhook_on_start, webhook_on_completed) "
            + "VALUES ('between', 'default', 'Inference', 'Succeeded', 1, 1, 1, 1, 5, '{}', '', now(), now(), 0, false, false)");
        migration.IsCompleted.ShouldBeFalse();

        await transaction.CommitAsync(Cancel);
        var (exitCode, output) = await migration;
        exitCode.ShouldBe(0, output);
        (await CountAsync(other, "SELECT count(*) FROM jobs WHERE id = 'between' AND batch_divisor = 1")).ShouldBe(1);
    }

    [Fact]
    public async Task A_process_goes_on_while_a_newer_version_adds_to_the_schema_and_is_refused_when_it_starts_again()
    {
        await using var app = QueueMaaSHost.Build([.. Settings, "--urls=http://127.0.0.1:0", "--Storage:MigrateAtStart=true", "--Logging:LogLevel:Default=None"]);
        await QueueMaaSHost.PrepareDatabaseAsync(app, Cancel);
        await app.StartAsync(Cancel);
        using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        var api = new QueueMaaSClient(http);
        await api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        Requests.Values(await api.WaitAsync((await api.SubmitAsync(Requests.Double(1, 1), cancellationToken: Cancel)).Id, Cancel))[0].ShouldBe(2);

        await using var newer = await OpenAsync();
        await ExecuteAsync(newer, "ALTER TABLE jobs ADD COLUMN of_a_newer_version text NOT NULL DEFAULT 'x'; ALTER TABLE job_events ADD COLUMN of_a_newer_version int; "
            + "INSERT INTO \"__EFMigrationsHistory\" VALUES ('29990101000000_Newer', '10.0.0')");

        var jobs = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => api.SubmitAsync(Requests.Double(i, 1), cancellationToken: Cancel)));
        for (var i = 0; i < jobs.Length; i++)
            Requests.Values(await api.WaitAsync(jobs[i].Id, Cancel))[0].ShouldBe(2 * i);
        await app.StopAsync(Cancel);

        var (exitCode, output) = await ProgramRun.RunAsync(["serve", "--urls=http://127.0.0.1:0", .. Settings]);
        exitCode.ShouldNotBe(0);
        output.ShouldContain("29990101000000_Newer");
        output.ShouldNotContain("   at ");
    }

    private async Task MigrateToAsync(string migration)
    {
        await using var app = QueueMaaSHost.Build([.. Settings, "--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=None"]);
        await using var context = await app.Services.GetRequiredService<IDbContextFactory<QueueMaaSDbContext>>().CreateDbContextAsync(Cancel);
        await context.GetService<IMigrator>().MigrateAsync(migration, Cancel);
    }

    private async Task<NpgsqlConnection> OpenAsync()
    {
        var connection = new NpgsqlConnection(PostgreSql);
        await connection.OpenAsync(Cancel);
        return connection;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 60 };
        await command.ExecuteNonQueryAsync(Cancel);
    }

    private static async Task<long> CountAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return (long)(await command.ExecuteScalarAsync(Cancel))!;
    }
}
