using Microsoft.Extensions.Diagnostics.HealthChecks;
using QueueMaaS.Api;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Health;
using QueueMaaS.Client;
using QueueMaaS.Configuration;
using QueueMaaS.Contracts;
using QueueMaaS.Health;
using QueueMaaS.Inference;
using QueueMaaS.Jobs;
using QueueMaaS.Jobs.Access;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Settings;
using QueueMaaS.Jobs.Tenants;
using QueueMaaS.Messaging;
using QueueMaaS.OpenInference;
using QueueMaaS.Storage;
using QueueMaaS.Storage.Artifacts.S3;
using QueueMaaS.Storage.Database;
using QueueMaaS.Telemetry;
using QueueMaaS.Training;
using QueueMaaS.Training.Jobs;
using QueueMaaS.Training.Runtime;
using QueueMaaS.Training.Sweeps;

namespace QueueMaaS.Serving;

/// <summary>Puts a process together from its roles and settings.</summary>
public static partial class QueueMaaSHost
{
    internal const string DefaultUrl = "http://127.0.0.1:8080";

    /// <summary>Builds the program, ready to start.</summary>
    /// <param name="args">Settings as <c>--Section:Name=value</c>; they win over environment variables and appsettings.json.</param>
    /// <param name="adapt">Changes the registered parts before the program is built: for benchmarks and tests that put a part of their own in place of one.</param>
    /// <exception cref="SettingsException">The settings contradict each other.</exception>
    public static WebApplication Build(string[] args, Action<IServiceCollection>? adapt = null)
    {
        var builder = WebApplication.CreateBuilder(args);
        SettingSources.AddSecretFiles(builder.Configuration);
        SettingsCheck.Refuse(builder.Configuration);
        ConfigureLogging(builder.Logging, builder.Configuration);
        var roles = RolesText.Parse(builder.Configuration["Roles"]);
        var storage = builder.Configuration.GetSection(StorageOptions.Section).Get<StorageOptions>() ?? new StorageOptions();
        var bus = builder.Configuration.GetSection(BusOptions.Section).Get<BusOptions>() ?? new BusOptions();
        CheckTogether(roles, storage, bus);
        var s3 = builder.Configuration.GetSection(S3Options.Section).Get<S3Options>() ?? new S3Options();
        var tls = builder.Configuration.GetSection(TlsOptions.Section).Get<TlsOptions>() ?? new TlsOptions();
        if ((s3.Contradiction() ?? tls.Contradiction()) is { } wrong)
            throw new SettingsException(wrong);
        storage.PostgreSql = PostgreSqlCertificate.WithAuthorities(storage.PostgreSql, tls.AuthorityFile);
        builder.Services.PostConfigure<StorageOptions>(options => options.PostgreSql = storage.PostgreSql);
        if (builder.Configuration.GetSection(TokenOptions.Section).Get<TokenOptions>()?.Contradiction() is { } contradiction)
            throw new SettingsException(contradiction);
        var certificates = ServerCertificates.Find(builder.Configuration);
        ServerCertificates.Refuse(certificates, TimeProvider.System.GetUtcNow());
        Listen(builder);
        builder.WebHost.ConfigureKestrel(static kestrel => kestrel.AddServerHeader = false);
        // What a stop must wait for: jobs handed back, then the bus closed.
        var grace = builder.Configuration.GetSection(JobOptions.Section).Get<JobOptions>()?.ShutdownGrace ?? new JobOptions().ShutdownGrace;
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(30) + grace);

        AddOptions(builder.Services, builder.Configuration);
        builder.Services.AddQueueMaaSStorage(storage, s3);
        builder.Services.AddQueueMaaSJobs();
        builder.Services.AddSingleton(ThisProgram.ForModel());
        builder.Services.AddInferenceChecks().AddTrainingChecks();
        builder.Services.AddQueueMaaSHealth();
        AddHealthChecks(builder.Services, storage, s3);
        if (certificates.Count > 0)
            builder.Services.AddHealthChecks().Add(new HealthCheckRegistration("certificate", provider => new CertificateHealth(certificates, provider.GetRequiredService<TimeProvider>()), failureStatus: null, tags: null));
        builder.Services.AddQueueMaaSTelemetry(builder.Configuration.GetSection(TelemetryOptions.Section).Get<TelemetryOptions>() ?? new TelemetryOptions(), roles);
        AddRoles(builder.Services, roles, builder.Configuration, bus);

        adapt?.Invoke(builder.Services);

        var app = builder.Build();
        app.Services.UseQueueMaaSBusLog();
        app.MapQueueMaaSHealth();
        if (roles.HasFlag(Roles.Api))
            app.MapQueueMaaSApi();
        if (roles.HasFlag(Roles.Inference))
            app.MapOpenInference();
        app.Lifetime.ApplicationStarted.Register(() => SayWhatRuns(app, roles, storage, bus, s3));
        return app;
    }

    /// <summary>gRPC without TLS needs an address of its own: HTTP/1.1 and HTTP/2 cannot be told apart on one.</summary>
    private static void Listen(WebApplicationBuilder builder)
    {
        var urls = builder.Configuration[WebHostDefaults.ServerUrlsKey] ?? DefaultUrl;
        var grpc = builder.Configuration[$"{OpenInferenceOptions.Section}:{nameof(OpenInferenceOptions.GrpcUrl)}"];
        if (string.IsNullOrEmpty(grpc))
        {
            builder.WebHost.UseUrls(urls);
            return;
        }

        // Endpoints of the configuration replace the plain addresses, so all are put there; they are bound in the order of their names.
        var endpoints = urls.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(static (url, index) => new KeyValuePair<string, string?>($"Kestrel:Endpoints:Http{index}:Url", url));
        builder.Configuration.AddInMemoryCollection([.. endpoints, new("Kestrel:Endpoints:OpenInference:Url", grpc), new("Kestrel:Endpoints:OpenInference:Protocols", "Http2")]);
        builder.WebHost.UseSetting(WebHostDefaults.ServerUrlsKey, "");
    }

    /// <summary>Brings the database up to date, where settings or the embedded default ask for it, and refuses to run on one that is not.</summary>
    public static async Task PrepareDatabaseAsync(WebApplication app, CancellationToken cancellationToken)
    {
        var options = app.Services.GetRequiredService<Microsoft.Extensions.Options.IOptions<StorageOptions>>().Value;
        var schema = app.Services.GetRequiredService<DatabaseSchema>();
        var state = new SchemaState([], [], []);
        await CertificateRefusal.ExplainedAsync(app.Services, async () => state = await schema.ReadAsync(cancellationToken), cancellationToken);
        // An older program on a newer schema could write rows that the newer one cannot read.
        if (state.Newer is [var newer, ..])
            throw new SettingsException($"The database was brought up to date by a newer QueueMaaS (it has the migration `{newer}`, which this one does not know). Run that version or a later one; going back needs a restored backup.");
        if (state.Pending.Count == 0)
            return;
        if (!(options.MigrateAtStart ?? options.PostgreSql is null))
            throw new SettingsException($"The database lacks {state.Pending.Count} migration(s), from `{state.Pending[0]}` on. Run `queuemaas migrate` with the same settings first, or set Storage__MigrateAtStart=true.");
        await schema.UpdateAsync(cancellationToken);
    }

    private static void AddHealthChecks(IServiceCollection services, StorageOptions storage, S3Options s3)
    {
        services.AddSingleton<ClockHealth>();
        var checks = services.AddHealthChecks().AddCheck<DatabaseHealth>("database").AddCheck<DiskHealth>("disk").AddCheck<ClockHealth>("clock");
        if (storage.Redis is not null)
            checks.AddCheck<RedisHealth>("redis", HealthStatus.Degraded);
        if (s3.Bucket is null)
            return;
        services.AddSingleton<ArtifactHealth>();
        checks.AddCheck<ArtifactHealth>("artifacts");
    }

    /// <summary>What the catalogue checks by its text before anything is built is what the parts are given here.</summary>
    private static void AddOptions(IServiceCollection services, IConfiguration configuration)
    {
        services.Configure<StorageOptions>(configuration.GetSection(StorageOptions.Section));
        services.Configure<TlsOptions>(configuration.GetSection(TlsOptions.Section));
        services.Configure<S3Options>(configuration.GetSection(S3Options.Section));
        services.Configure<BusOptions>(configuration.GetSection(BusOptions.Section));
        services.Configure<JobOptions>(configuration.GetSection(JobOptions.Section));
        services.Configure<ImportOptions>(configuration.GetSection(ImportOptions.Section));
        services.Configure<TenantsOptions>(configuration.GetSection(TenantsOptions.Section));
        services.Configure<AccessOptions>(configuration.GetSection(AccessOptions.Section));
        services.Configure<TokenOptions>(configuration.GetSection(TokenOptions.Section));
        services.Configure<ApiOptions>(configuration.GetSection(ApiOptions.Section));
        services.Configure<InferenceOptions>(configuration.GetSection(InferenceOptions.Section));
        services.Configure<TrainingOptions>(configuration.GetSection(TrainingOptions.Section));
        services.Configure<SweepOptions>(configuration.GetSection(SweepOptions.Section));
        services.Configure<OpenInferenceOptions>(configuration.GetSection(OpenInferenceOptions.Section));
        services.Configure<WebhookOptions>(configuration.GetSection(WebhookOptions.Section));
        services.Configure<DeploymentOptions>(configuration.GetSection(DeploymentOptions.Section));
        services.Configure<TelemetryOptions>(configuration.GetSection(TelemetryOptions.Section));
        services.Configure<HealthOptions>(configuration.GetSection(HealthOptions.Section));
        services.AddHostedService<SettingsReloader>();
    }

    private static void AddRoles(IServiceCollection services, Roles roles, IConfiguration configuration, BusOptions bus)
    {
        var jobs = configuration.GetSection(JobOptions.Section).Get<JobOptions>() ?? new JobOptions();
        var inference = configuration.GetSection(InferenceOptions.Section).Get<InferenceOptions>() ?? new InferenceOptions();
        var works = new Dictionary<JobKind, int>();
        if (roles.HasFlag(Roles.Api))
            services.AddQueueMaaSApi();
        if (roles.HasFlag(Roles.Inference))
        {
            services.AddInferenceExecutors();
            services.AddOpenInference();
            works[JobKind.Inference] = inference.Prefetch;
            works[JobKind.Batch] = 8;
            works[JobKind.Chunk] = 2;
            works[JobKind.Evaluation] = 1;
            works[JobKind.Promotion] = 1;
            works[JobKind.Baseline] = 1;
        }

        if (roles.HasFlag(Roles.Training))
        {
            services.AddTrainingExecutors();
            works[JobKind.Training] = jobs.TrainingSlots;
            works[JobKind.Sweep] = 8;
        }

        if (works.Count > 0)
            services.AddQueueMaaSWorker();
        if (roles.HasFlag(Roles.Notify))
            services.AddQueueMaaSNotifier().AddQueueMaaSHousekeeping();
        services.AddQueueMaaSBus(bus, new BusRoles(TakesSubmissions: roles.HasFlag(Roles.Api), RelaysEvents: roles.HasFlag(Roles.Notify), works));
        services.AddSingleton<BusJobClient>();
    }

    private static void CheckTogether(Roles roles, StorageOptions storage, BusOptions bus)
    {
        if (roles.HasFlag(Roles.Training) && TorchRuntime.IsLeftOut)
            throw new SettingsException("This copy of the program was published without libtorch (WithTraining=false), so it cannot take the role `training`. Set Roles to some of api, inference and notify, or use a complete copy.");
        if (roles != Roles.All && (bus.RabbitMq is null || storage.PostgreSql is null))
            throw new SettingsException("A process with some of the roles needs others beside it, and they meet in RabbitMQ and PostgreSQL: set Bus__RabbitMq and Storage__PostgreSql, or run all roles (leave Roles out) for the embedded default.");
        if (bus.Nodes.Length > 0 && bus.RabbitMq is null)
            throw new SettingsException("Bus:Nodes names the nodes of a cluster, but Bus:RabbitMq is not set, which says user, password and virtual host.");
        try
        {
            _ = new Npgsql.NpgsqlConnectionStringBuilder(storage.PostgreSql);
        }
        catch (ArgumentException exception)
        {
            throw new SettingsException($"Storage:PostgreSql is not a connection string such as `Host=…;Database=queuemaas;Username=…;Password=…`: {exception.Message}");
        }

        try
        {
            if (storage.Redis is not null)
                _ = StackExchange.Redis.ConfigurationOptions.Parse(storage.Redis);
        }
        catch (ArgumentException exception)
        {
            throw new SettingsException($"Storage:Redis is not a connection string such as `host:6379,password=…`: {exception.Message}");
        }
    }

    private static void ConfigureLogging(ILoggingBuilder logging, IConfiguration configuration)
    {
        // Each look at an ill part would be a line, or several; the journal says it once.
        logging.AddFilter("Microsoft.Extensions.Diagnostics.HealthChecks", LogLevel.None);
        if (configuration.GetSection("Logging:LogLevel").Exists())
            return;
        logging.SetMinimumLevel(LogLevel.Information);
        logging.AddFilter("Microsoft", LogLevel.Warning);
        // What EF Core logs it also throws, and whoever cannot go on says so, with the cause.
        logging.AddFilter("Microsoft.EntityFrameworkCore", LogLevel.None);
        logging.AddFilter("MassTransit", LogLevel.Warning);
        // A failed submission is logged by its consumer, in one line; MassTransit would add the stack trace.
        logging.AddFilter("MassTransit.ReceiveTransport", LogLevel.Critical);
    }

    private static void SayWhatRuns(WebApplication app, Roles roles, StorageOptions storage, BusOptions bus, S3Options s3)
    {
        var database = storage.PostgreSql is null ? $"SQLite in {Path.GetFullPath(storage.DataFolder)}" : "PostgreSQL";
        var broker = bus.RabbitMq is null ? "an in-process bus" : $"RabbitMQ at {new Uri(bus.RabbitMq).Authority.Split('@')[^1]}";
        var urls = string.Join(", ", app.Urls);
        LogRuns(app.Logger, roles, urls, database, broker, storage.Redis is null ? "in-process signals" : "Redis");
        if (roles.HasFlag(Roles.Training) && TorchRuntime.CachesAreHidden)
            LogHiddenCaches(app.Logger);
        if (roles.HasFlag(Roles.Api) || roles.HasFlag(Roles.Inference))
            _ = WarnIfOpenAsync(app, urls);
        if (s3.Bucket is not null)
            _ = TryArtifactsAsync(app, s3.Place);
    }

    /// <summary>Says once, at start, whether the bucket can be used; from then on health does.</summary>
    private static async Task TryArtifactsAsync(WebApplication app, string place)
    {
        try
        {
            var found = await app.Services.GetRequiredService<ArtifactHealth>().CheckHealthAsync(new HealthCheckContext(), app.Lifetime.ApplicationStopping);
            if (found.Status == HealthStatus.Healthy)
                LogArtifacts(app.Logger, place);
            else
                LogNoArtifacts(app.Logger, place, found.Description!);
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
        {
            // The process ends.
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Artifacts are in {Place}")]
    private static partial void LogArtifacts(ILogger logger, string place);

    [LoggerMessage(Level = LogLevel.Error, Message = "Artifacts should be in {Place}. {Reason} Looked at again every Health:CheckEvery")]
    private static partial void LogNoArtifacts(ILogger logger, string place, string reason);

    private static async Task WarnIfOpenAsync(WebApplication app, string urls)
    {
        try
        {
            if (!app.Services.GetRequiredService<Microsoft.Extensions.Options.IOptions<AccessOptions>>().Value.RequireKeys && !await app.Services.GetRequiredService<IApiKeyStore>().AnyAsync(app.Lifetime.ApplicationStopping))
                LogOpen(app.Logger, urls);
        }
        catch (Exception exception) when (exception is System.Data.Common.DbException or OperationCanceledException or ObjectDisposedException)
        {
            // The database is away or the process ends: health and the log say so themselves.
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "QueueMaaS runs as {Roles} on {Urls} with {Database}, {Bus} and {Signals}")]
    private static partial void LogRuns(ILogger logger, Roles roles, string urls, string database, string bus, string signals);

    [LoggerMessage(Level = LogLevel.Information, Message = "This virtual machine hides the processor's cache sizes (CPUID leaf 8000001D; QEMU: topoext=on shows them): libtorch computes with 32 KiB, 512 KiB and 1 MiB")]
    private static partial void LogHiddenCaches(ILogger logger);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Nobody is asked for a key: whoever reaches {Urls} can do everything. Make a first key with `queuemaas keys create`, or keep the service on a private network")]
    private static partial void LogOpen(ILogger logger, string urls);
}
