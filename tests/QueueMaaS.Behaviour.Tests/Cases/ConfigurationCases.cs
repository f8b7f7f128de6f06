using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Tenants;
using QueueMaaS.Serving;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>The commands <c>config</c>, <c>migrate</c>, <c>backup</c> and <c>restore</c>, as an operator runs them.</summary>
public abstract class ConfigurationCases(bool servers) : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-operator-").FullName;
    private readonly List<ServerSpace> _spaces = [];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var space in _spaces)
            await space.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task Migrate_says_what_is_missing_applies_it_once_and_writes_it_as_sql()
    {
        var settings = await SpaceAsync("migrated");
        var (code, output) = await ProgramRun.RunAsync(["migrate", "status", .. settings]);
        code.ShouldBe(1, output);
        output.ShouldContain("pending  20261124040");
        output.ShouldContain("run `queuemaas migrate`");
        // Two at once: one does it, the other waits.
        var both = await Task.WhenAll(ProgramRun.RunAsync(["migrate", .. settings]), ProgramRun.RunAsync(["migrate", "up", .. settings]));
        foreach (var run in both)
            run.ExitCode.ShouldBe(0, run.Output);
        (code, output) = await ProgramRun.RunAsync(["migrate", "status", .. settings]);
        code.ShouldBe(0, output);
        output.ShouldContain("The database is up to date.");
        output.ShouldNotContain("pending");
        (code, output) = await ProgramRun.RunAsync(["migrate", "script", .. settings]);
        code.ShouldBe(0, output);
        output.ShouldContain("CREATE TABLE");
    }

    [Fact]
    public async Task An_address_that_another_program_has_is_told_in_a_sentence()
    {
        using var other = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        other.Start();
        var (exitCode, output) = await ProgramRun.RunAsync(["serve", .. await SpaceAsync("taken"), $"--urls=http://{other.LocalEndpoint}", "--Storage:MigrateAtStart=true"]);
        exitCode.ShouldBe(1, output);
        output.ShouldContain($"{other.LocalEndpoint}: address already in use. Stop the program");
    }

    [Fact]
    public async Task A_backup_taken_while_jobs_run_is_restored_to_a_deployment_that_knows_them()
    {
        var settings = await SpaceAsync("lived");
        var backup = Path.Combine(_folder, "backup");
        var folder = Path.Combine(_folder, "lived");
        string[] keys;
        await using (var app = QueueMaaSHost.Build([.. settings, "--urls=http://127.0.0.1:0", "--Storage:MigrateAtStart=true", "--Logging:LogLevel:Default=None"]))
        {
            await QueueMaaSHost.PrepareDatabaseAsync(app, Cancel);
            await app.StartAsync(Cancel);
            using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
            var api = new QueueMaaSClient(http);
            await api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
            keys = [(await api.SubmitAsync(Requests.Double(1, 2), cancellationToken: Cancel)).Id];
            _ = Requests.Values(await api.WaitAsync(keys[0], Cancel));
            var running = Task.WhenAll(Enumerable.Range(0, 100).Select(i => api.SubmitAsync(Requests.Double(i, 2), cancellationToken: Cancel)));
            var (code, output) = await ProgramRun.RunAsync(["backup", backup, .. settings]);
            code.ShouldBe(0, output);
            output.ShouldContain("1 artifacts");
            await running;
            // A second one copies only what is new.
            (code, output) = await ProgramRun.RunAsync(["backup", backup, .. settings]);
            code.ShouldBe(0, output);
            output.ShouldContain("(0 copied now)");
            (code, output) = await ProgramRun.RunAsync(["restore", backup, .. settings]);
            code.ShouldBe(1);
            output.ShouldContain("in use already");
            await app.StopAsync(Cancel);
        }

        File.Exists(Path.Combine(backup, "key-pepper")).ShouldBe(File.Exists(Path.Combine(folder, "key-pepper")));
        var restored = await SpaceAsync("restored");
        var (exit, said) = await ProgramRun.RunAsync(["restore", backup, .. restored]);
        exit.ShouldBe(0, said);
        await using (var app = QueueMaaSHost.Build([.. restored, "--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=None"]))
        {
            await QueueMaaSHost.PrepareDatabaseAsync(app, Cancel);
            await app.StartAsync(Cancel);
            using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
            var api = new QueueMaaSClient(http);
            Requests.Values((await api.GetAsync(keys[0], Cancel))!).ShouldBe([2, 4]);
            Requests.Values(await api.WaitAsync((await api.SubmitAsync(Requests.Double(4, 5), cancellationToken: Cancel)).Id, Cancel)).ShouldBe([8, 10]);
            await app.StopAsync(Cancel);
        }
    }

    [Fact]
    public async Task A_damaged_backup_is_refused_before_anything_is_in_use()
    {
        var settings = await SpaceAsync("damaged");
        var backup = Path.Combine(_folder, "backup");
        (await ProgramRun.RunAsync(["migrate", .. settings])).ExitCode.ShouldBe(0);
        var folder = Directory.CreateDirectory(Path.Combine(_folder, "damaged", "artifacts", "ab")).FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, "ab" + new string('0', 62)), "not what its name says", Cancel);
        (await ProgramRun.RunAsync(["backup", backup, .. settings])).ExitCode.ShouldBe(0);
        var target = await SpaceAsync("target");
        var (code, output) = await ProgramRun.RunAsync(["restore", backup, .. target]);
        code.ShouldBe(1);
        output.ShouldContain("The backup is damaged");
        (await ProgramRun.RunAsync(["migrate", "status", .. target])).Output.ShouldNotContain("applied");
        File.Delete(Path.Combine(backup, "backup.json"));
        (await ProgramRun.RunAsync(["restore", backup, .. target])).Output.ShouldContain("no whole backup");
    }

    private async Task<string[]> SpaceAsync(string name)
    {
        string[] data = [$"--Storage:DataFolder={Path.Combine(_folder, name)}"];
        if (!servers)
            return data;
        _spaces.Add(await ServerSpace.CreateAsync());
        return [.. data, .. _spaces[^1].Settings.Select(setting => $"--{setting.Key}={setting.Value}")];
    }
}

public sealed class Embedded_configuration() : ConfigurationCases(servers: false);

public sealed class Servers_configuration() : ConfigurationCases(servers: true);

/// <summary>Where settings come from, and which may change while the program runs.</summary>
public sealed class SettingsCases : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-settings-").FullName;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Check_names_every_wrong_setting_at_once_and_show_hides_secrets()
    {
        var (code, output) = await ProgramRun.RunAsync("config", "check", "--Jobs:Lease=never", "--Jobs:PackSize=0", "--Jobs:Leese=1");
        code.ShouldBe(1);
        foreach (var name in (string[])["Jobs:Lease is `never`", "Jobs:PackSize is `0`", "Jobs:Leese is no setting"])
            output.ShouldContain(name);
        (code, output) = await ProgramRun.RunAsync("config", "check");
        code.ShouldBe(0, output);
        await File.WriteAllTextAsync(Path.Combine(_folder, "Bus__RabbitMq"), "amqp://me:from-a-file@broker/\n", Cancel);
        (code, output) = await ProgramRun.RunAsync("config", "show", $"--SecretsFolder={_folder}", "--Webhooks:Secret=whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        code.ShouldBe(0, output);
        output.ShouldContain("Bus:RabbitMq = amqp://me:***@broker/");
        output.ShouldContain("(file Bus__RabbitMq in SecretsFolder)");
        output.ShouldContain("Webhooks:Secret = ***  (command line)");
        output.ShouldContain("Jobs:Lease = 00:00:15  (default)");
        output.ShouldNotContain("from-a-file");
        output.ShouldNotContain("MDEyMzQ1");
    }

    [Fact]
    public async Task Settings_that_are_safe_to_change_hold_at_once_and_a_wrong_change_is_refused_as_a_whole()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, "Tenants__shop__MaxRunning"), "3", Cancel);
        await using var app = QueueMaaSHost.Build([$"--SecretsFolder={_folder}", $"--Storage:DataFolder={Path.Combine(_folder, "data")}", "--Bus:RabbitMq=", "--Storage:PostgreSql=", "--Storage:Redis=", "--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=None"]);
        await QueueMaaSHost.PrepareDatabaseAsync(app, Cancel);
        await app.StartAsync(Cancel);
        var tenants = app.Services.GetRequiredService<TenantLimits>();
        tenants.Of("shop").MaxRunning.ShouldBe(3);
        await WriteAsync("Tenants__shop__MaxRunning", "5");
        await UntilAsync(() => tenants.Of("shop").MaxRunning == 5);
        tenants.Running.ByTenant["shop"].ShouldBe(5);
        await WriteAsync("Tenants__shop__MaxRunning", "none");
        await WriteAsync("Tenants__other__MaxRunning", "1");
        await Task.Delay(TimeSpan.FromSeconds(1), Cancel);
        tenants.Of("shop").MaxRunning.ShouldBe(5, "the change that does not fit is refused");
        tenants.Of("other").MaxRunning.ShouldBeNull("and what came with it, too");
        await WriteAsync("Tenants__shop__MaxRunning", "6");
        await UntilAsync(() => tenants.Of("shop").MaxRunning == 6 && tenants.Of("other").MaxRunning == 1);
        await app.StopAsync(Cancel);
    }

    // As Kubernetes and editors do it: the new file appears whole.
    private async Task WriteAsync(string name, string value)
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, $".{name}"), value, Cancel);
        File.Move(Path.Combine(_folder, $".{name}"), Path.Combine(_folder, name), overwrite: true);
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(20));
        while (!holds())
            await Task.Delay(50, limit.Token);
    }
}
