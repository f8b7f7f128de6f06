using MassTransit;
using MassTransit.Middleware;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Jobs.Settings;
using QueueMaaS.Messaging.Dispatch;
using QueueMaaS.Messaging.Events;
using QueueMaaS.Messaging.RabbitMq;
using QueueMaaS.Messaging.Submission;

namespace QueueMaaS.Messaging;

/// <summary>What of the bus this process takes part in.</summary>
/// <param name="TakesSubmissions">Consumes the submission queue.</param>
/// <param name="RelaysEvents">Publishes the jobs' events.</param>
/// <param name="Works">Kinds it works on, each with how many messages it handles at once.</param>
public sealed record BusRoles(bool TakesSubmissions, bool RelaysEvents, IReadOnlyDictionary<JobKind, int> Works);

public static class MessagingServices
{
    /// <summary>Joins the bus: RabbitMQ where its address is given, otherwise one that lives in this process; the same consumers either way.</summary>
    public static IServiceCollection AddQueueMaaSBus(this IServiceCollection services, BusOptions options, BusRoles roles)
    {
        // A self-hosted service tells nobody that it runs.
        services.Configure<UsageTelemetryOptions>(telemetry => telemetry.Enabled = false);
        services.AddMassTransit(bus =>
        {
            // MassTransit's own check: whether this process's consumers run.
            bus.ConfigureHealthCheckOptions(health =>
            {
                health.Name = "bus";
                // The API accepts jobs without the bus, and must not be taken out of service with it.
                if (roles.TakesSubmissions)
                    health.MinimalFailureStatus = HealthStatus.Degraded;
            });
            bus.AddConsumer<SubmitJobConsumer>();
            bus.AddConsumer<WorkConsumer>();
            if (options.RabbitMq is { } address)
            {
                bus.UsingRabbitMq((context, rabbit) =>
                {
                    rabbit.Host(new Uri(address), host =>
                    {
                        // MassTransit by itself takes only port 5671 for TLS.
                        if (new Uri(address) is { Scheme: "amqps" or "rabbitmqs", Host: var name })
                        {
                            host.UseSsl(ssl =>
                            {
                                ssl.ServerName = name;
                                ssl.Protocol = System.Security.Authentication.SslProtocols.None;
                                ssl.CertificateValidationCallback = context.GetRequiredService<ServerTrust>().CheckOf(RabbitConnection.ServerName);
                            });
                        }

                        if (options.Nodes.Length > 0)
                            host.UseCluster(cluster => Array.ForEach(options.Nodes, cluster.Node));
                    });
                    ConfigureMessages(rabbit);
                    rabbit.Message<JobEvent>(message => message.SetEntityName(BusNames.EventsExchange));
                    rabbit.Publish<JobEvent>(publish => publish.ExchangeType = "topic");
                    // Whoever wants to hear of events can bind a queue before the first one.
                    rabbit.DeployPublishTopology = true;
                    Configure(context, rabbit, roles, (endpoint, prefetch) =>
                    {
                        if (options.QueueType == "quorum")
                            endpoint.SetQuorumQueue();
                        endpoint.PrefetchCount = prefetch;
                    });
                });
            }
            else
            {
                bus.UsingInMemory((context, memory) =>
                {
                    ConfigureMessages(memory);
                    memory.Message<JobEvent>(message => message.SetEntityName(BusNames.EventsExchange));
                    if (roles.TakesSubmissions)
                        TakeSubmissions(context, memory, options.SubmissionPrefetch);
                    Configure(context, memory, roles, (endpoint, prefetch) => endpoint.PrefetchCount = prefetch);
                });
            }
        });
        if (options.RabbitMq is not null)
        {
            services.AddSingleton(provider => new RabbitConnection(options, provider.GetRequiredService<ServerTrust>()));
            // One for the whole life of the process: it remembers whether the broker ever answered.
            services.AddSingleton<BrokerHealth>();
            services.AddHealthChecks().AddCheck<BrokerHealth>("broker");
            services.AddSingleton<RabbitPublisher>();
            services.AddSingleton<IDispatchQueue>(provider => provider.GetRequiredService<RabbitPublisher>());
            services.AddSingleton<IEventPublisher>(provider => provider.GetRequiredService<RabbitPublisher>());
            if (roles.TakesSubmissions)
                AddSubmissionQueue(services, options);
        }
        else
        {
            services.AddSingleton<IDispatchQueue, BusDispatchQueue>();
            services.AddSingleton<IEventPublisher, BusEventPublisher>();
        }

        if (roles.TakesSubmissions)
            services.AddSingleton<SubmissionIntake>();
        if (roles.RelaysEvents)
            services.AddHostedService<EventRelay>();
        return services;
    }

    private static void AddSubmissionQueue(IServiceCollection services, BusOptions options)
    {
        // Replies and what is unprocessable are few, and share a channel of their own: one that the broker closes takes no delivery with it.
        services.AddSingleton<RabbitChannel>();
        services.AddSingleton<RabbitReplies>();
        services.AddSingleton<UnprocessableQueue>();
        services.AddSingleton(provider => ActivatorUtilities.CreateInstance<SubmissionQueue>(provider, options));
        services.AddHostedService(provider => provider.GetRequiredService<SubmissionQueue>());
        services.AddHealthChecks().AddCheck<SubmissionQueue>("submissions");
    }

    /// <summary>
    /// Gives MassTransit this program's log. It keeps the first one that it meets in a process, so that a second program there, as in tests, would write to the log of the first,
    /// and fail once that is disposed.
    /// </summary>
    public static void UseQueueMaaSBusLog(this IServiceProvider services) => LogContext.ConfigureCurrentLogContext(services.GetRequiredService<Microsoft.Extensions.Logging.ILoggerFactory>());

    private static void ConfigureMessages(IBusFactoryConfigurator bus)
    {
        bus.ConfigureJsonSerializerOptions(json =>
        {
            QueueMaaSJson.Apply(json);
            return json;
        });
        // Everything we send is plain JSON that any client can read; what we take may also be in MassTransit's envelope.
        bus.UseRawJsonSerializer(RawSerializerOptions.AddTransportHeaders | RawSerializerOptions.CopyHeaders, isDefault: true);
    }

    private static void TakeSubmissions(IBusRegistrationContext context, IInMemoryBusFactoryConfigurator bus, int prefetch) => bus.ReceiveEndpoint(BusNames.SubmitExchange, endpoint =>
    {
        endpoint.PrefetchCount = prefetch;
        endpoint.ConfigureConsumeTopology = false;
        endpoint.AddDeserializer(new UnreadBody(), isDefault: true);
        endpoint.ConfigureConsumer<SubmitJobConsumer>(context);
    });

    private static void Configure<TEndpoint>(
        IBusRegistrationContext context, IBusFactoryConfigurator<TEndpoint> bus, BusRoles roles, Action<TEndpoint, int> tune)
        where TEndpoint : IReceiveEndpointConfigurator
    {
        foreach (var (kind, atOnce) in roles.Works)
        {
            foreach (var priority in Enum.GetValues<PriorityClass>())
            {
                bus.ReceiveEndpoint(WorkQueues.Name(kind, priority), endpoint =>
                {
                    tune(endpoint, atOnce);
                    endpoint.ConfigureConsumeTopology = false;
                    endpoint.ConcurrentMessageLimit = atOnce;
                    // A pointer whose handling failed is not kept: the table still has the job, and the sweeper sends it again.
                    endpoint.DiscardFaultedMessages();
                    endpoint.ConfigureConsumer<WorkConsumer>(context);
                });
            }
        }
    }
}
