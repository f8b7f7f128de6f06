using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using QueueMaaS.Jobs.Access;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.DeadLetters;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Jobs.Estimation;
using QueueMaaS.Jobs.Leasing;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Scheduling;
using QueueMaaS.Jobs.Settings;
using QueueMaaS.Jobs.Tenants;
using QueueMaaS.Storage.Artifacts;
using QueueMaaS.Storage.Artifacts.S3;
using QueueMaaS.Storage.Database;
using QueueMaaS.Storage.Database.Pipeline;
using QueueMaaS.Storage.Presence;
using QueueMaaS.Storage.Signals;
using StackExchange.Redis;

namespace QueueMaaS.Storage;

public static class StorageServices
{
    /// <summary>What Redis is called where its certificate is spoken of.</summary>
    public const string Redis = "Redis";

    /// <summary>Names of the projects under <c>migrations/</c>.</summary>
    public const string PostgreSqlMigrations = "QueueMaaS.Migrations.PostgreSql";
    public const string SqliteMigrations = "QueueMaaS.Migrations.Sqlite";

    /// <summary>Registers the stores behind the ports: SQLite and in-process signals, or PostgreSQL and Redis where their connection strings are given.</summary>
    public static IServiceCollection AddQueueMaaSStorage(this IServiceCollection services, StorageOptions options, S3Options? s3 = null)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<ServerTrust>();
        services.AddPooledDbContextFactory<QueueMaaSDbContext>(builder => Configure(builder, options));
        services.AddSingleton<DatabaseSession>();
        services.AddSingleton<DatabaseSchema>();
        services.AddSingleton(provider => new JobStore(
            provider.GetRequiredService<DatabaseSession>(), provider.GetRequiredService<IJobPipeline>(), provider.GetRequiredService<DispatchInbox>(), provider.GetRequiredService<IJobSignals>(),
            provider.GetRequiredService<IJobCache>(), provider.GetRequiredService<TenantLimits>(), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<JobStore>>()));
        services.AddSingleton<IJobStore>(provider => provider.GetRequiredService<JobStore>());
        services.AddSingleton<IJobEvents>(provider => provider.GetRequiredService<JobStore>());
        services.AddSingleton<IQueueControl>(provider => provider.GetRequiredService<JobStore>());
        services.AddSingleton<IEventOutbox, EventOutbox>();
        services.AddSingleton<IScheduleStore, ScheduleStore>();
        services.AddSingleton<IUnprocessableStore, UnprocessableStore>();
        AddPipeline(services, options);
        services.AddSingleton<ModelCatalog>();
        services.AddSingleton<IModelCatalog>(provider => new CachedModelCatalog(provider.GetRequiredService<ModelCatalog>(), provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<IDatasetCatalog, DatasetCatalog>();
        services.AddSingleton<IFileCatalog, FileCatalog>();
        services.AddSingleton<IDeploymentStore, DeploymentStore>();
        services.AddSingleton<IWatchStore, WatchStore>();
        services.AddSingleton<AccessStore>();
        services.AddSingleton<IApiKeyStore>(provider => provider.GetRequiredService<AccessStore>());
        services.AddSingleton<IAuditTrail>(provider => provider.GetRequiredService<AccessStore>());
        services.AddSingleton<IKeyPepper, KeyPepper>();
        services.AddSingleton<IWebhookStore, WebhookStore>();
        services.AddSingleton<FileArtifactStore>();
        AddArtifacts(services, s3 ?? new S3Options());
        services.AddSingleton<IArtifactUses, ArtifactUses>();
        services.AddSingleton<IUploadStore, FileUploadStore>();
        if (options.Redis is { } redis)
        {
            services.AddSingleton<IConnectionMultiplexer>(provider =>
            {
                var configuration = ConfigurationOptions.Parse(redis);
                // Redis is a cache and a signal: its absence must not keep the program from starting.
                configuration.AbortOnConnectFail = false;
                configuration.AsyncTimeout = 1000;
                configuration.CertificateValidation += provider.GetRequiredService<ServerTrust>().CheckOf(Redis);
                return ConnectionMultiplexer.Connect(configuration);
            });
            services.AddSingleton<IJobSignals, RedisSignals>();
            services.AddSingleton<IJobCache, RedisJobCache>();
            services.AddSingleton<ILoadBoard, RedisLoadBoard>();
        }
        else
        {
            services.AddSingleton<IJobSignals, InProcessSignals>();
            services.AddSingleton<IJobCache, NoJobCache>();
            services.AddSingleton<ILoadBoard, InProcessLoadBoard>();
        }

        return services;
    }

    private static void AddArtifacts(IServiceCollection services, S3Options s3)
    {
        if (s3.Bucket is null)
        {
            services.AddSingleton<IArtifactStore>(provider => provider.GetRequiredService<FileArtifactStore>());
            services.AddSingleton<IArtifactUpkeep>(provider => provider.GetRequiredService<FileArtifactStore>());
            return;
        }

        services.AddSingleton<S3Connection>();
        services.AddSingleton(provider => new ArtifactCache(
            s3.CacheFolder ?? Path.Combine(provider.GetRequiredService<IOptions<StorageOptions>>().Value.DataFolder, "artifact-cache"), s3.CacheBytes,
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ArtifactCache>>()));
        services.AddSingleton<S3ArtifactStore>();
        services.AddSingleton<IArtifactStore>(provider => provider.GetRequiredService<S3ArtifactStore>());
        services.AddSingleton<IArtifactUpkeep, S3ArtifactUpkeep>();
    }

    private static void AddPipeline(IServiceCollection services, StorageOptions options)
    {
        if (options.PostgreSql is not { } postgreSql)
        {
            services.AddSingleton<IJobPipeline, EntityPipeline>();
            services.AddSingleton<IWorkerPresence, FilePresence>();
            return;
        }

        services.AddSingleton(_ => PipelineSource(postgreSql));
        services.AddSingleton<IJobPipeline, PostgreSqlPipeline>();
        services.AddSingleton<IWorkerPresence, PostgreSqlPresence>();
    }

    /// <summary>
    /// Connections for the pipeline's few statements, which are prepared and planned once. The planner must not be led by how small the tables were at that moment:
    /// it is kept from reading whole tables and from comparing each row of a group with each other.
    /// </summary>
    private static NpgsqlDataSource PipelineSource(string postgreSql)
    {
        var connection = new NpgsqlConnectionStringBuilder(Pooled(postgreSql)) { MaxAutoPrepare = 16, AutoPrepareMinUsages = 2 };
        connection.Options = $"{connection.Options} -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_nestloop=off -c jit=off".Trim();
        return NpgsqlDataSource.Create(connection);
    }

    /// <summary>Nothing of a session outlives its use but a worker's lock, which is given up by itself; PostgreSQL need not be asked to reset the session at every use.</summary>
    private static string Pooled(string postgreSql) => new NpgsqlConnectionStringBuilder(postgreSql) { NoResetOnClose = true }.ConnectionString;

    /// <summary>Points EF Core at the configured database; also used by the design-time tools.</summary>
    public static void Configure(DbContextOptionsBuilder builder, StorageOptions options)
    {
        if (options.PostgreSql is { } postgreSql)
        {
            builder.UseNpgsql(Pooled(postgreSql), npgsql => npgsql.MigrationsAssembly(PostgreSqlMigrations).EnableRetryOnFailure(maxRetryCount: 6, maxRetryDelay: TimeSpan.FromSeconds(2), errorCodesToAdd: null));
        }
        else
        {
            Directory.CreateDirectory(options.DataFolder);
            var connection = new SqliteConnectionStringBuilder { DataSource = Path.Combine(Path.GetFullPath(options.DataFolder), "queuemaas.db"), DefaultTimeout = 30 };
            builder.UseSqlite(connection.ConnectionString, sqlite => sqlite.MigrationsAssembly(SqliteMigrations)).AddInterceptors(new SqliteWriteAheadLog());
        }

        builder.UseSnakeCaseNamingConvention();
    }
}
