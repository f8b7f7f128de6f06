using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using QueueMaaS.Bench;
using QueueMaaS.Client;
using QueueMaaS.Serving;

namespace QueueMaaS.JobBench;

/// <summary>A whole QueueMaaS in this process on the real servers of the environment, with a database of its own.</summary>
internal sealed class Service : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly string _folder;

    private Service(WebApplication app, string folder, string rabbitMq, string postgreSql)
    {
        _app = app;
        _folder = folder;
        RabbitMq = rabbitMq;
        PostgreSql = postgreSql;
    }

    public string RabbitMq { get; }

    public string PostgreSql { get; }

    public string Url => _app.Urls.First();

    public IServiceProvider Services => _app.Services;

    public static async Task<Service> StartAsync(Action<IServiceCollection>? adapt = null, params string[] settings)
    {
        var folder = Directory.CreateTempSubdirectory("queuemaas-bench-").FullName;
        var postgreSql = await CreateDatabaseAsync();
        string[] common =
        [
            "--urls=http://127.0.0.1:0", $"--Storage:DataFolder={folder}", "--Storage:MigrateAtStart=true", $"--Storage:PostgreSql={postgreSql}", $"--Bus:RabbitMq={Setting("Bus__RabbitMq")}",
            $"--Storage:Redis={Setting("Storage__Redis")}", "--Webhooks:AllowPrivateTargets=true", "--Logging:LogLevel:Default=Error", "--Logging:LogLevel:Microsoft=Error", "--Logging:LogLevel:Microsoft.EntityFrameworkCore=None", "--Logging:LogLevel:MassTransit=Error",
        ];
        var app = QueueMaaSHost.Build([.. common, .. settings], adapt);
        await QueueMaaSHost.PrepareDatabaseAsync(app, CancellationToken.None);
        await app.StartAsync();
        // Nothing runs it, but it is looked up as every model is.
        using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        await new QueueMaaSClient(http).UploadModelAsync("no-op", new MemoryStream(BenchGraphs.Mlp().ToByteArray()), CancellationToken.None);
        return new Service(app, folder, Setting("Bus__RabbitMq"), postgreSql);
    }

    /// <summary>Settings of an API process alone: nobody takes what it dispatches, so it is not to dispatch again and again what waits.</summary>
    public static string[] ApiAlone { get; } = ["--Roles=api", "--Jobs:RedispatchAfter=01:00:00"];

    /// <summary>A new database on the environment's server; answers how it is reached.</summary>
    public static async Task<string> CreateDatabaseAsync()
    {
        var server = Setting("Storage__PostgreSql");
        var database = $"bench_{Guid.NewGuid():n}";
        await using var connection = new NpgsqlConnection(server);
        await connection.OpenAsync();
        await using var create = new NpgsqlCommand($"create database {database}", connection);
        await create.ExecuteNonQueryAsync();
        return new NpgsqlConnectionStringBuilder(server) { Database = database }.ConnectionString;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private static string Setting(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value
        ? value
        : throw new InvalidOperationException($"Set {name}: run the benchmark beside QueueMaaS.TestServers, as docs/benchmarks.md shows.");
}
