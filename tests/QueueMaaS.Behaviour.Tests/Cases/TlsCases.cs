using System.Text.Json;
using Npgsql;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Serving;
using QueueMaaS.Testing;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using StackExchange.Redis;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>RabbitMQ, Redis and PostgreSQL of their own, which speak TLS and nothing else.</summary>
public sealed class TlsServers : IAsyncLifetime
{
    private readonly CertificateFolder _certificates = new();

    public TestServers Servers { get; private set; } = null!;

    /// <summary>Where <c>server.pem</c> and <c>server.key</c> are.</summary>
    public string Folder => _certificates.Path;

    public string Authority { get; private set; } = "";

    public string OtherAuthority { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        Authority = _certificates.AddAuthority("authority");
        OtherAuthority = _certificates.AddAuthority("other-authority");
        Certify("localhost", days: 10);
        Servers = await TestServers.StartWithTlsAsync(_certificates.Path, Console.WriteLine, CancellationToken.None);
    }

    /// <summary>The certificate that a server shows from its next start on.</summary>
    public void Certify(string host, int days) => _certificates.WriteServer("authority", host, DateTimeOffset.UtcNow.AddDays(-20), DateTimeOffset.UtcNow.AddDays(days));

    public async Task RestartAsync(CancellationToken cancellationToken)
    {
        foreach (var server in Enum.GetValues<Server>())
            await Servers.RestartAsync(server, cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await Servers.DisposeAsync();
        _certificates.Dispose();
    }
}

/// <summary>TLS towards all three servers.</summary>
public sealed class TlsCases(TlsServers tls) : IClassFixture<TlsServers>, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-tls-").FullName;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_job_runs_over_encrypted_and_checked_connections_to_all_three()
    {
        await using var app = QueueMaaSHost.Build([.. await SettingsAsync(), $"--Tls:AuthorityFile={tls.Authority}"]);
        await QueueMaaSHost.PrepareDatabaseAsync(app, Cancel);
        await app.StartAsync(Cancel);
        using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        var api = new QueueMaaSClient(http);
        await api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        Requests.Values(await api.WaitAsync((await api.SubmitAsync(Requests.Double(3, 4), cancellationToken: Cancel)).Id, Cancel)).ShouldBe([6, 8]);
        var parts = await PartsAsync(http);
        foreach (var part in (string[])["database", "broker", "redis", "bus"])
            parts.GetProperty(part).GetProperty("status").GetString().ShouldBe("healthy", $"{parts}");
        await app.StopAsync(Cancel);
    }

    [Fact]
    public async Task Commands_and_the_tools_of_the_database_trust_the_same_authority()
    {
        string[] settings = [.. await SettingsAsync(), $"--Tls:AuthorityFile={tls.Authority}"];
        foreach (var command in (string[][])[["migrate"], ["migrate", "status"], ["keys", "list"], ["backup", Path.Combine(_folder, "backup")]])
        {
            var (exitCode, output) = await ProgramRun.RunAsync([.. command, .. settings]);
            exitCode.ShouldBe(0, $"{string.Join(' ', command)}: {output}");
        }

        new FileInfo(Path.Combine(_folder, "backup", "postgresql.dump")).Length.ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task A_root_certificate_of_the_connection_string_goes_before_the_file_and_is_named_where_it_does_not_fit()
    {
        var settings = await SettingsAsync();
        var postgreSql = settings.Single(static setting => setting.StartsWith("--Storage:PostgreSql=", StringComparison.Ordinal));
        await using (var app = QueueMaaSHost.Build([.. settings, $"{postgreSql};Root Certificate={tls.OtherAuthority}", $"--Tls:AuthorityFile={tls.Authority}", "--Logging:LogLevel:Default=None"]))
            (await Should.ThrowAsync<SettingsException>(() => QueueMaaSHost.PrepareDatabaseAsync(app, Cancel))).Message.ShouldContain($"names a Root Certificate ({tls.OtherAuthority})");
        await using var fits = QueueMaaSHost.Build([.. settings, $"{postgreSql};Root Certificate={tls.Authority}", $"--Tls:AuthorityFile={tls.OtherAuthority}", "--Logging:LogLevel:Default=None"]);
        await QueueMaaSHost.PrepareDatabaseAsync(fits, Cancel);
    }

    [Fact]
    public async Task Artifacts_go_to_a_storage_with_a_certificate_of_an_authority_that_is_trusted_and_of_no_other()
    {
        await using var s3 = await S3Server.StartAsync(tls.Folder);
        string[] settings = [.. s3.Settings, "--S3:Retries=0", "--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=None"];
        await using (var app = QueueMaaSHost.Build([.. settings, $"--Storage:DataFolder={Path.Combine(_folder, "s3")}", $"--Tls:AuthorityFile={tls.Authority}"]))
        {
            await QueueMaaSHost.PrepareDatabaseAsync(app, Cancel);
            await app.StartAsync(Cancel);
            using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
            await new QueueMaaSClient(http).UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
            s3.Objects().ShouldNotBeEmpty();
            await app.StopAsync(Cancel);
        }

        await using var refusing = QueueMaaSHost.Build([.. settings, $"--Storage:DataFolder={Path.Combine(_folder, "s3-refused")}", $"--Tls:AuthorityFile={tls.OtherAuthority}"]);
        await QueueMaaSHost.PrepareDatabaseAsync(refusing, Cancel);
        await refusing.StartAsync(Cancel);
        using var other = new HttpClient { BaseAddress = new Uri(refusing.Urls.First()) };
        (await PartsAsync(other)).GetProperty("artifacts").GetProperty("description").GetString()!.ShouldContain("S3's certificate (CN=localhost) comes from an authority that is not trusted (CN=authority)");
        await refusing.StopAsync(Cancel);
    }

    [Fact]
    public async Task The_servers_of_these_cases_take_nothing_that_is_not_encrypted()
    {
        var broker = new UriBuilder(tls.Servers.RabbitMq) { Scheme = "amqp" }.Uri;
        await Should.ThrowAsync<BrokerUnreachableException>(() => new ConnectionFactory { Uri = broker }.CreateConnectionAsync(Cancel));
        await Should.ThrowAsync<RedisConnectionException>(() => ConnectionMultiplexer.ConnectAsync(tls.Servers.Redis.Replace("ssl=true", "ssl=false,connectRetry=0", StringComparison.Ordinal)));
        await using var database = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(tls.Servers.PostgreSql) { SslMode = SslMode.Disable, Pooling = false }.ConnectionString);
        (await Should.ThrowAsync<PostgresException>(() => database.OpenAsync(Cancel))).MessageText.ShouldContain("no encryption");
    }

    [Fact]
    public async Task An_authority_that_is_not_trusted_is_refused_and_named()
    {
        await RefusedAsync($"--Tls:AuthorityFile={tls.OtherAuthority}", "comes from an authority that is not trusted (CN=authority)");
        await RefusedAsync("--Tls:AuthorityFile=", "Give that authority's certificate in Tls:AuthorityFile");
    }

    [Fact]
    public async Task A_certificate_that_has_expired_or_is_for_another_name_is_refused_and_said()
    {
        try
        {
            tls.Certify("localhost", days: -2);
            await tls.RestartAsync(Cancel);
            await RefusedAsync($"--Tls:AuthorityFile={tls.Authority}", $"expired on {DateTimeOffset.UtcNow.AddDays(-2):yyyy-MM-dd}");
            tls.Certify("db.example.org", days: 10);
            await tls.RestartAsync(Cancel);
            await RefusedAsync($"--Tls:AuthorityFile={tls.Authority}", "is for another name than the settings call it by");
        }
        finally
        {
            tls.Certify("localhost", days: 10);
            await tls.RestartAsync(CancellationToken.None);
        }
    }

    [Fact]
    public void A_file_of_authorities_that_cannot_be_read_is_refused_at_start()
    {
        var file = Path.Combine(_folder, "empty.pem");
        File.WriteAllText(file, "nothing");
        Should.Throw<SettingsException>(() => QueueMaaSHost.Build([$"--Tls:AuthorityFile={file}"])).Message.ShouldContain("holds no certificate");
        Should.Throw<SettingsException>(() => QueueMaaSHost.Build([$"--Tls:AuthorityFile={file}.gone"])).Message.ShouldContain("cannot be read");
    }

    private async Task RefusedAsync(string authority, string reason)
    {
        await using (var app = QueueMaaSHost.Build([.. await SettingsAsync(), authority, "--Logging:LogLevel:Default=None"]))
        {
            var refused = await Should.ThrowAsync<SettingsException>(() => QueueMaaSHost.PrepareDatabaseAsync(app, Cancel));
            refused.Message.ShouldContain("PostgreSQL's certificate");
            refused.Message.ShouldContain(reason);
        }

        var (exitCode, output) = await ProgramRun.RunAsync(["migrate", "status", .. await SettingsAsync(), authority]);
        exitCode.ShouldBe(1);
        output.ShouldContain("PostgreSQL's certificate");
        output.ShouldContain(reason);

        // The others are done without for a while, so the program starts, and says what is wrong.
        await using var started = QueueMaaSHost.Build([.. await SettingsAsync(), "--Storage:PostgreSql=", authority, "--Logging:LogLevel:Default=None"]);
        await QueueMaaSHost.PrepareDatabaseAsync(started, Cancel);
        await started.StartAsync(Cancel);
        using var http = new HttpClient { BaseAddress = new Uri(started.Urls.First()) };
        foreach (var (part, server) in ((string, string)[])[("broker", "RabbitMQ"), ("redis", "Redis")])
        {
            string description;
            do
                description = (await PartsAsync(http)).GetProperty(part).GetProperty("description").GetString()!;
            while (!description.Contains(reason, StringComparison.Ordinal) && !Cancel.IsCancellationRequested);
            description.ShouldStartWith($"{server}'s certificate");
        }

        await started.StopAsync(Cancel);
    }

    private static async Task<JsonElement> PartsAsync(HttpClient http)
    {
        using var health = await http.GetAsync("health/ready", Cancel);
        return JsonElement.Parse(await health.Content.ReadAsStringAsync(Cancel)).GetProperty("checks");
    }

    /// <summary>A database and a data folder of their own: what EF Core and Npgsql keep of a connection string must not serve another case.</summary>
    private async Task<string[]> SettingsAsync()
    {
        var name = $"tls_{Guid.NewGuid():n}";
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(tls.Servers.PostgreSql) { Pooling = false }.ConnectionString);
        await connection.OpenAsync(Cancel);
        await using var command = new NpgsqlCommand($"create database {name}", connection);
        await command.ExecuteNonQueryAsync(Cancel);
        var postgreSql = new NpgsqlConnectionStringBuilder(tls.Servers.PostgreSql) { Database = name, SslMode = SslMode.VerifyFull, MaxPoolSize = 20 };
        return
        [
            $"--Bus:RabbitMq={tls.Servers.RabbitMq}", $"--Storage:PostgreSql={postgreSql.ConnectionString}", $"--Storage:Redis={tls.Servers.Redis}", $"--Storage:DataFolder={Path.Combine(_folder, name)}",
            "--Storage:MigrateAtStart=true", "--urls=http://127.0.0.1:0",
        ];
    }
}
