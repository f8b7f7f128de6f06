using System.CommandLine;
using QueueMaaS.Serving;
using QueueMaaS.Storage.Database;

namespace QueueMaaS.Commands;

/// <summary><c>queuemaas migrate</c>: brings the database's schema up to date, says how it stands, or writes the SQL for whoever runs it by hand.</summary>
internal static class MigrateCommand
{
    public static Command Create(Func<Func<Task>, CancellationToken, Task<int>> guard)
    {
        var command = new Command("migrate", "Bring the configured database up to date (the same as `migrate up`). Settings as for `serve`.") { Up("up", guard), Status(guard), Script(guard) };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((result, cancellationToken) => guard(() => UpAsync(result, cancellationToken), cancellationToken));
        return command;
    }

    private static Command Up(string name, Func<Func<Task>, CancellationToken, Task<int>> guard)
    {
        var command = new Command(name, "Apply the migrations that the database lacks; make it where there is none. Several at once do no harm.") { TreatUnmatchedTokensAsErrors = false };
        command.SetAction((result, cancellationToken) => guard(() => UpAsync(result, cancellationToken), cancellationToken));
        return command;
    }

    private static Command Status(Func<Func<Task>, CancellationToken, Task<int>> guard)
    {
        var command = new Command("status", "Say which migrations the database has and lacks; exit code 1 where it lacks some, or has some that this version does not know.") { TreatUnmatchedTokensAsErrors = false };
        command.SetAction((result, cancellationToken) => guard(() => WithSchemaAsync(result, async schema =>
        {
            var state = await schema.ReadAsync(cancellationToken);
            foreach (var migration in state.Applied)
                Console.WriteLine($"applied  {migration}{(state.Newer.Contains(migration, StringComparer.Ordinal) ? "  (of a newer version)" : "")}");
            foreach (var migration in state.Pending)
                Console.WriteLine($"pending  {migration}");
            if (state.Newer.Count > 0)
                throw new SettingsException($"The database was brought up to date by a newer QueueMaaS: this version must not run on it. Run that version, or restore a backup from before.");
            if (state.Pending.Count > 0)
                throw new SettingsException($"The database lacks {state.Pending.Count} migration(s): run `queuemaas migrate`.");
            Console.WriteLine("The database is up to date.");
        }, cancellationToken), cancellationToken));
        return command;
    }

    private static Command Script(Func<Func<Task>, CancellationToken, Task<int>> guard)
    {
        var from = new Option<string?>("--from") { Description = "The last migration that the database has. Default: an empty database; on PostgreSQL the script looks itself." };
        var command = new Command("script", "Write the SQL of the migrations to standard output, for whoever runs it by hand.") { from };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((result, cancellationToken) => guard(() => WithSchemaAsync(result, async schema => Console.Write(await schema.ScriptAsync(result.GetValue(from), cancellationToken)), cancellationToken), cancellationToken));
        return command;
    }

    private static Task UpAsync(ParseResult result, CancellationToken cancellationToken) => WithSchemaAsync(result, async schema =>
    {
        var state = await schema.ReadAsync(cancellationToken);
        if (state.Newer.Count > 0)
            throw new SettingsException($"The database was brought up to date by a newer QueueMaaS (it has `{state.Newer[0]}`, which this one does not know). Run that version or a later one.");
        await schema.UpdateAsync(cancellationToken);
        Console.WriteLine(state.Pending.Count == 0 ? "The database is up to date." : $"The database is up to date: {state.Pending.Count} migration(s) applied, the last `{state.Pending[^1]}`.");
    }, cancellationToken);

    private static async Task WithSchemaAsync(ParseResult result, Func<DatabaseSchema, Task> run, CancellationToken cancellationToken)
    {
        await using var app = QueueMaaSHost.Build(["--Roles=all", .. result.UnmatchedTokens]);
        await CertificateRefusal.ExplainedAsync(app.Services, () => run(app.Services.GetRequiredService<DatabaseSchema>()), cancellationToken);
    }
}
