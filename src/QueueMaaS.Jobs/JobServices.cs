using Microsoft.Extensions.DependencyInjection;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.DeadLetters;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Jobs.Estimation;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Leasing;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Retention;
using QueueMaaS.Jobs.Scheduling;
using QueueMaaS.Jobs.Settings;
using QueueMaaS.Jobs.Submission;
using QueueMaaS.Jobs.Tenants;

namespace QueueMaaS.Jobs;

public static class JobServices
{
    /// <summary>What every role needs: submission, dispatch, the sweeper, waiting.</summary>
    public static IServiceCollection AddQueueMaaSJobs(this IServiceCollection services)
    {
        services.AddSingleton(typeof(CurrentOptions<>));
        services.AddSingleton<WebhookTargets>();
        services.AddSingleton<IWebhookTargetPolicy>(provider => provider.GetRequiredService<WebhookTargets>());
        services.AddSingleton<TenantLimits>();
        services.AddSingleton<Admission>();
        services.AddSingleton<DispatchInbox>();
        services.AddSingleton<PredictedCosts>();
        services.AddHostedService<Dispatcher>();
        services.AddHostedService<Sweeper>();
        services.AddSingleton<EagerStart>();
        services.AddSingleton<JobSubmitter>();
        services.AddSingleton<JobWaiter>();
        services.AddSingleton<DeadLetterOffice>();
        services.AddSingleton<JobEstimator>();
        services.AddSingleton<FileImporter>();
        services.AddSingleton<GateCheck>();
        services.AddSingleton<Rollouts>();
        services.AddSingleton<DriftMonitors>();
        services.AddSingleton<Access.KeyOffice>();
        return services;
    }

    /// <summary>What one of the roles must do for all: make the jobs of schedules, delete what has been kept long enough. Several processes that do it do no harm.</summary>
    public static IServiceCollection AddQueueMaaSHousekeeping(this IServiceCollection services)
    {
        services.AddHostedService<Scheduler>();
        services.AddHostedService<Cleaner>();
        services.AddSingleton<ArtifactCleaner>();
        services.AddHostedService(provider => provider.GetRequiredService<ArtifactCleaner>());
        services.AddHostedService<WatchKeeper>();
        return services;
    }

    /// <summary>What a role that runs jobs needs beside its executors.</summary>
    public static IServiceCollection AddQueueMaaSWorker(this IServiceCollection services)
    {
        services.AddSingleton(WorkerIdentity.OfThisProcess());
        // Before anything is claimed.
        services.AddHostedService<Presence>();
        services.AddSingleton<LeaseKeeper>();
        services.AddHostedService(provider => provider.GetRequiredService<LeaseKeeper>());
        services.AddSingleton<JobRunner>();
        services.AddSingleton<JobWorker>();
        services.AddHostedService(provider => provider.GetRequiredService<JobWorker>());
        return services;
    }

    /// <summary>What the role that sends webhooks needs.</summary>
    public static IServiceCollection AddQueueMaaSNotifier(this IServiceCollection services) => services.AddSingleton<WebhookRequests>().AddHostedService<WebhookNotifier>();
}
