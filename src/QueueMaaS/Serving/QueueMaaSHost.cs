using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using QueueMaaS.Api;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Inference;
using QueueMaaS.Jobs;
using QueueMaaS.Jobs.Access;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Tenants;
using QueueMaaS.Messaging;
using QueueMaaS.OpenInference;
using QueueMaaS.Storage;
using QueueMaaS.Storage.Database;
using QueueMaaS.Training;
using QueueMaaS.Training.Jobs;
using QueueMaaS.Training.Sweeps;

namespace QueueMaaS.Serving;

/// <summary>Puts a process together from its roles and settings.</summary>
public static partial class QueueMaaSHost
{
    private const string DefaultUrl = "http://127.0.0.1:8080";

    /// <summary>Builds the program, ready to start.</summary>
    /// <param name="args">Settings as <c>--Section:Name=value</c>; they win over environment variables and appsettings.json.</param>
    /// <param name="adapt">Changes the registered parts before the program is built: for benchmarks and tests that put a part of their own in place of one.</param>
    /// <exception cref="SettingsException">The settings contradict each other.</exception>
    public static WebApplication Build(string[] args, Action<IServiceCollection>? adapt = null)
    {
        var builder = WebApplication.CreateBuilder(args);
        ConfigureLogging(builder.Logging, builder.Configuration);
        var roles = RolesText.Parse(builder.Configuration["Roles"]);
        var storage = builder.Configuration.GetSection(StorageOptions.Section).Get<StorageOptions>() ?? new StorageOptions();
        var bus = builder.Configuration.GetSection(BusOptions.Section).Get<BusOptions>() ?? new BusOptions();
        CheckTogether(roles, storage, bus);
        Listen(builder);
        // What a stop must wait for: jobs handed back, then the bus closed.
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(30));

        AddOptions(builder.Services, builder.Configuration);
        builder.Services.AddQueueMaaSStorage(storage);
        builder.Services.AddQueueMaaSJobs();
        builder.Services.AddInferenceChecks().AddTrainingChecks();
        builder.Services.AddQueueMaaSHealth();
        builder.Services.AddHealthChecks().AddCheck<DatabaseHealth>("database").AddCheck<RedisHealth>("redis", HealthStatus.Degraded);
        AddRoles(builder.Services, roles, builder.Configuration, bus);

        adapt?.Invoke(builder.Services);

        var app = builder.Build();
        app.MapQueueMaaSHealth();
        if (roles.HasFlag(Roles.Api))
            app.MapQueueMaaSApi();
        if (roles.HasFlag(Roles.Inference))
            app.MapOpenInference();
        app.Lifetime.ApplicationStarted.Register(() => SayWhatRuns(app, roles, storage, bus));
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

        if (!Uri.TryCreate(grpc, UriKind.Absolute, out var address) || address.Scheme != Uri.UriSchemeHttp)
            throw new SettingsException("OpenInference:GrpcUrl must be an address such as http://0.0.0.0:8001.");
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
        await using var context = await app.Services.GetRequiredService<IDbContextFactory<QueueMaaSDbContext>>().CreateDbContextAsync(cancellationToken);
        await RefuseNewerAsync(context, cancellationToken);
        if (options.MigrateAtStart ?? options.PostgreSql is null)
        {
            await context.Database.MigrateAsync(cancellationToken);
            return;
        }

        var pending = (await context.Database.GetPendingMigrationsAsync(cancellationToken)).ToArray();
        if (pending.Length > 0)
            throw new SettingsException($"The database lacks {pending.Length} migration(s), from `{pending[0]}` on. Run `queuemaas migrate` with the same settings first, or set Storage__MigrateAtStart=true.");
    }

    /// <summary>An older program on a newer schema could write rows that the newer one cannot read.</summary>
    private static async Task RefuseNewerAsync(QueueMaaSDbContext context, CancellationToken cancellationToken)
    {
        if (!await context.Database.CanConnectAsync(cancellationToken))
            return;
        var known = context.Database.GetMigrations().ToHashSet(StringComparer.Ordinal);
        if ((await context.Database.GetAppliedMigrationsAsync(cancellationToken)).FirstOrDefault(applied => !known.Contains(applied)) is { } newer)
            throw new SettingsException($"The database was brought up to date by a newer QueueMaaS (it has the migration `{newer}`, which this one does not know). Run that version or a later one; going back needs a restored backup.");
    }

    private static void AddOptions(IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<StorageOptions>().Bind(configuration.GetSection(StorageOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<BusOptions>().Bind(configuration.GetSection(BusOptions.Section)).ValidateDataAnnotations()
            .Validate(options => options.Nodes.All(node => Uri.TryCreate($"amqp://{node}", UriKind.Absolute, out var uri) && uri is { Port: > 0, AbsolutePath: "/" or "" }), "Bus:Nodes must be nodes of the cluster as `host:port`, such as Bus:Nodes:0=rabbit-1:5672.")
            .Validate(options => options.Nodes.Length == 0 || options.RabbitMq is not null, "Bus:Nodes needs Bus:RabbitMq, which says user, password and virtual host.").ValidateOnStart();
        services.AddOptions<JobOptions>().Bind(configuration.GetSection(JobOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<ImportOptions>().Bind(configuration.GetSection(ImportOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<DeploymentOptions>().Bind(configuration.GetSection(DeploymentOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<TenantsOptions>().Bind(configuration.GetSection(TenantsOptions.Section));
        services.AddOptions<AccessOptions>().Bind(configuration.GetSection(AccessOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<ApiOptions>().Bind(configuration.GetSection(ApiOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<InferenceOptions>().Bind(configuration.GetSection(InferenceOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<TrainingOptions>().Bind(configuration.GetSection(TrainingOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<SweepOptions>().Bind(configuration.GetSection(SweepOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<OpenInferenceOptions>().Bind(configuration.GetSection(OpenInferenceOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<WebhookOptions>().Bind(configuration.GetSection(WebhookOptions.Section)).ValidateDataAnnotations()
            .Validate(options => options.Secret is null || WebhookSignature.IsSecret(options.Secret), "Webhooks:Secret must be `whsec_` and base64 of 24 to 64 bytes.").ValidateOnStart();
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
        if (roles != Roles.All && (bus.RabbitMq is null || storage.PostgreSql is null))
            throw new SettingsException("A process with some of the roles needs others beside it, and they meet in RabbitMQ and PostgreSQL: set Bus__RabbitMq and Storage__PostgreSql, or run all roles (leave Roles out) for the embedded default.");
        if (bus.RabbitMq is not null && (!Uri.TryCreate(bus.RabbitMq, UriKind.Absolute, out var address) || address.Scheme is not ("amqp" or "amqps" or "rabbitmq" or "rabbitmqs")))
            throw new SettingsException("Bus:RabbitMq must be an address such as amqp://user:password@host:5672/.");
    }

    private static void ConfigureLogging(ILoggingBuilder logging, IConfiguration configuration)
    {
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

    private static void SayWhatRuns(WebApplication app, Roles roles, StorageOptions storage, BusOptions bus)
    {
        var database = storage.PostgreSql is null ? $"SQLite in {Path.GetFullPath(storage.DataFolder)}" : "PostgreSQL";
        var broker = bus.RabbitMq is null ? "an in-process bus" : $"RabbitMQ at {new Uri(bus.RabbitMq).Authority.Split('@')[^1]}";
        var urls = string.Join(", ", app.Urls);
        LogRuns(app.Logger, roles, urls, database, broker, storage.Redis is null ? "in-process signals" : "Redis");
        if (roles.HasFlag(Roles.Api) || roles.HasFlag(Roles.Inference))
            _ = WarnIfOpenAsync(app, urls);
    }

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

    [LoggerMessage(Level = LogLevel.Warning, Message = "Nobody is asked for a key: whoever reaches {Urls} can do everything. Make a first key with `queuemaas keys create`, or keep the service on a private network")]
    private static partial void LogOpen(ILogger logger, string urls);
}
