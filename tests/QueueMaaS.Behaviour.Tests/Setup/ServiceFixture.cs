using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Serving;
using QueueMaaS.Testing;

namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>A whole QueueMaaS in this process, reached as users reach it: over HTTP and the bus.</summary>
public abstract class ServiceFixture : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-tests-").FullName;
    private WebApplication? _app;
    private HttpClient? _http;
    private S3Server? _s3;

    public IServiceProvider Services => _app!.Services;
    public HttpClient Http => _http!;
    public QueueMaaSClient Api { get; private set; } = null!;
    public BusJobClient Bus => _app!.Services.GetRequiredService<BusJobClient>();
    public IJobStore Jobs => _app!.Services.GetRequiredService<IJobStore>();
    /// <summary>Where the Open Inference Protocol is served over gRPC.</summary>
    public string GrpcAddress => new Uri(_app!.Urls.Last()).Authority;
    /// <summary>Where models may be imported from by path.</summary>
    public string ImportFolder => Directory.CreateDirectory(Path.Combine(_folder, "imports")).FullName;
    public WebhookReceiver Webhooks { get; } = new();

    /// <summary>The broker's address; null where the bus lives in the process.</summary>
    public virtual string? RabbitMq => null;

    public async ValueTask InitializeAsync()
    {
        await Webhooks.StartAsync();
        string[] common =
        [
            "--urls=http://127.0.0.1:0", "--OpenInference:GrpcUrl=http://127.0.0.1:0", $"--Storage:DataFolder={_folder}", "--Storage:MigrateAtStart=true", "--Webhooks:AllowPrivateTargets=true", $"--Webhooks:Secret={Webhooks.Secret}",
            "--Webhooks:RetrySchedule:0=00:00:00.2", "--Webhooks:RetrySchedule:1=00:00:05", "--Webhooks:RetrySchedule:2=00:05:00", "--Webhooks:RetrySchedule:3=00:30:00", "--Jobs:RetryBase=00:00:00.1", "--Jobs:SweepEvery=00:00:00.2", "--Deployment:LookEvery=00:00:00.1", "--Deployment:DriftRowsPerSecond=1000", "--Api:MaxUploadBytes=4000000", "--Imports:AllowPrivate=true", $"--Imports:Folder={ImportFolder}", "--Jobs:MaxSubmissionBytes=100000",
            "--Tenants:quota:MaxWaiting=2", "--Tenants:rate:SubmissionsPerSecond=0.5", "--Tenants:narrow:MaxRunning=1", "--Webhooks:DisableAfter=00:00:01", "--Webhooks:Timeout=00:00:02", "--Logging:LogLevel:Default=Warning", "--Logging:LogLevel:Microsoft=Error", "--Logging:LogLevel:MassTransit=None",
        ];
        _s3 = OnS3 ? await S3Server.StartAsync() : null;
        _app = QueueMaaSHost.Build([.. common, .. await SettingsAsync(), .. _s3?.Settings ?? []]);
        await QueueMaaSHost.PrepareDatabaseAsync(_app, CancellationToken.None);
        await _app.StartAsync();
        _http = new HttpClient { BaseAddress = new Uri(_app.Urls.First() + "/"), Timeout = TimeSpan.FromMinutes(3) };
        Api = new QueueMaaSClient(_http);
        if (UploadToken() is { } token)
            _http.DefaultRequestHeaders.Authorization = new("Bearer", token);
        await Api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), CancellationToken.None);
        _http.DefaultRequestHeaders.Authorization = null;
    }

    /// <summary>What the first upload is sent with, where the service asks from its start who calls.</summary>
    protected virtual string? UploadToken() => null;

    public async ValueTask DisposeAsync()
    {
        _http?.Dispose();
        if (_app is not null)
        {
            await _app.StopAsync();
            await _app.DisposeAsync();
        }

        await Webhooks.DisposeAsync();
        await EndAsync();
        if (_s3 is not null)
            await _s3.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives another tenant the model <c>double</c>.</summary>
    public async Task ShareModelAsync(string tenant)
    {
        var catalog = Services.GetRequiredService<IModelCatalog>();
        if (await catalog.FindAsync(tenant, new VersionReference("double", 1, null), CancellationToken.None) is not null)
            return;
        var own = (await catalog.FindAsync("default", new VersionReference("double", 1, null), CancellationToken.None))!;
        await catalog.RegisterAsync(tenant, new NewModelVersion { Name = "double", Artifact = new Artifact(own.Artifact, own.Bytes), Signature = own.Signature, Batching = own.Batching }, CancellationToken.None);
    }

    /// <summary>Whether its artifacts are on S3.</summary>
    protected virtual bool OnS3 => false;

    protected abstract Task<string[]> SettingsAsync();

    protected virtual ValueTask EndAsync() => ValueTask.CompletedTask;

    /// <summary>Waits for a job that was published on the bus to be accepted and to end.</summary>
    public async Task<Job> WaitForBusJobAsync(string id)
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                return await Api.WaitAsync(id, TestContext.Current.CancellationToken);
            }
            catch (ProblemException exception) when (exception.Problem.Code == ProblemCodes.JobNotFound && tries < 2000)
            {
                await Task.Yield();
            }
        }
    }
}

/// <summary>The embedded default: SQLite, in-process bus and signals.</summary>
public class EmbeddedService : ServiceFixture
{
    protected override Task<string[]> SettingsAsync() => Task.FromResult<string[]>(["--Bus:RabbitMq=", "--Storage:PostgreSql=", "--Storage:Redis="]);
}

/// <summary>Real RabbitMQ, PostgreSQL and Redis.</summary>
public class ServersService : ServiceFixture
{
    private ServerSpace? _space;

    public override string? RabbitMq => _space!.Servers.RabbitMq;

    protected override async Task<string[]> SettingsAsync()
    {
        _space = await ServerSpace.CreateAsync();
        return [.. _space.Settings.Select(setting => $"--{setting.Key}={setting.Value}")];
    }

    protected override async ValueTask EndAsync()
    {
        if (_space is not null)
            await _space.DisposeAsync();
    }
}

/// <summary>The embedded default where keys come and go: none is remembered.</summary>
public sealed class EmbeddedKeysService : EmbeddedService
{
    protected override async Task<string[]> SettingsAsync() => [.. await base.SettingsAsync(), "--Api:KeyCache=00:00:00"];
}

/// <summary>The real servers where keys come and go.</summary>
public sealed class ServersKeysService : ServersService
{
    protected override async Task<string[]> SettingsAsync() => [.. await base.SettingsAsync(), "--Api:KeyCache=00:00:00"];
}

/// <summary>The embedded default where every job goes by the queue.</summary>
public sealed class EmbeddedQueueService : EmbeddedService
{
    protected override async Task<string[]> SettingsAsync() => [.. await base.SettingsAsync(), "--Jobs:EagerStart=false"];
}

/// <summary>The real servers where every job goes by the queue.</summary>
public sealed class ServersQueueService : ServersService
{
    protected override async Task<string[]> SettingsAsync() => [.. await base.SettingsAsync(), "--Jobs:EagerStart=false"];
}

/// <summary>The test servers with a database of one's own.</summary>
public sealed class ServerSpace : IAsyncDisposable
{
    private ServerSpace(TestServers servers, string database)
    {
        Servers = servers;
        var postgreSql = new NpgsqlConnectionStringBuilder(servers.PostgreSql) { Database = database, MaxPoolSize = 40 };
        Settings = new Dictionary<string, string> { ["Bus:RabbitMq"] = servers.RabbitMq, ["Storage:PostgreSql"] = postgreSql.ConnectionString, ["Storage:Redis"] = servers.Redis };
    }

    public TestServers Servers { get; }

    public IReadOnlyDictionary<string, string> Settings { get; }

    public static async Task<ServerSpace> CreateAsync()
    {
        var servers = await TestServers.StartAsync(Console.WriteLine, CancellationToken.None);
        var database = $"queuemaas_{Guid.NewGuid():n}";
        // Not of a pool: a test before may have restarted the server, and the pool would not know.
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(servers.PostgreSql) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand($"create database {database}", connection);
        await command.ExecuteNonQueryAsync();
        return new ServerSpace(servers, database);
    }

    public ValueTask DisposeAsync() => Servers.DisposeAsync();
}
