using MassTransit;
using MassTransit.Middleware;
using Microsoft.Extensions.DependencyInjection;
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
            bus.ConfigureHealthCheckOptions(health => health.Name = "bus");
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
                    rabbit.SendTopology.ErrorQueueNameFormatter = UnprocessableName.Instance;
                    ConfigureMessages(rabbit);
                    rabbit.Message<JobEvent>(message => message.SetEntityName(BusNames.EventsExchange));
                    rabbit.Publish<JobEvent>(publish => publish.ExchangeType = "topic");
                    // Whoever wants to hear of events can bind a queue before the first one.
                    rabbit.DeployPublishTopology = true;
                    Configure(context, rabbit, roles, options.SubmissionPrefetch, (endpoint, prefetch) =>
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
                    memory.SendTopology.ErrorQueueNameFormatter = UnprocessableName.Instance;
                    ConfigureMessages(memory);
                    memory.Message<JobEvent>(message => message.SetEntityName(BusNames.EventsExchange));
                    Configure(context, memory, roles, options.SubmissionPrefetch, (endpoint, prefetch) => endpoint.PrefetchCount = prefetch);
                });
            }
        });
        if (options.RabbitMq is { } broker)
        {
            services.AddSingleton(provider => new RabbitConnection(broker, options.Nodes, provider.GetRequiredService<ServerTrust>()));
            services.AddHealthChecks().AddCheck<BrokerHealth>("broker");
            services.AddSingleton(provider => new RabbitPublisher(provider.GetRequiredService<RabbitConnection>(), options.QueueType));
            services.AddSingleton<IDispatchQueue>(provider => provider.GetRequiredService<RabbitPublisher>());
            services.AddSingleton<IEventPublisher>(provider => provider.GetRequiredService<RabbitPublisher>());
        }
        else
        {
            services.AddSingleton<IDispatchQueue, BusDispatchQueue>();
            services.AddSingleton<IEventPublisher, BusEventPublisher>();
        }

        if (roles.RelaysEvents)
            services.AddHostedService<EventRelay>();
        return services;
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

    private static void Configure<TEndpoint>(
        IBusRegistrationContext context, IBusFactoryConfigurator<TEndpoint> bus, BusRoles roles, int submissionPrefetch, Action<TEndpoint, int> tune)
        where TEndpoint : IReceiveEndpointConfigurator
    {
        if (roles.TakesSubmissions)
        {
            bus.ReceiveEndpoint(BusNames.SubmitExchange, endpoint =>
            {
                tune(endpoint, submissionPrefetch);
                endpoint.ConfigureConsumeTopology = false;
                endpoint.AddDeserializer(new UnreadBody(), isDefault: true);
                var unprocessable = ActivatorUtilities.CreateInstance<UnprocessableFilter>(context);
                endpoint.ConfigureError(pipe =>
                {
                    pipe.UseFilter(unprocessable);
                    pipe.UseFilter(new ErrorTransportFilter());
                });
                // Without it a foreign envelope would go to a queue of MassTransit's own that nobody looks at.
                endpoint.ConfigureDeadLetter(pipe => pipe.UseFilter(new ForeignMessageFilter(unprocessable)));
                endpoint.ConfigureConsumer<SubmitJobConsumer>(context);
            });
        }

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

    private sealed class UnprocessableName : IErrorQueueNameFormatter
    {
        public static readonly UnprocessableName Instance = new();

        public string FormatErrorQueueName(string queueName) => queueName == BusNames.SubmitExchange ? BusNames.UnprocessableQueue : $"{queueName}.error";
    }
}
