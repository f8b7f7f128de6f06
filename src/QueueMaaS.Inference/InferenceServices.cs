using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using QueueMaaS.Inference.BatchJobs;
using QueueMaaS.Inference.Drift;
using QueueMaaS.Inference.Evaluation;
using QueueMaaS.Inference.Jobs;
using QueueMaaS.Inference.Models;
using QueueMaaS.Inference.Preparation.Texts;
using QueueMaaS.Inference.Promotion;
using QueueMaaS.Inference.Sessions;
using QueueMaaS.Inference.Traffic;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference;

public static class InferenceServices
{
    /// <summary>What every process that accepts jobs or registers models needs. Loads no model.</summary>
    public static IServiceCollection AddInferenceChecks(this IServiceCollection services)
    {
        services.AddSingleton<ISubmissionCheck, InferenceSubmissionCheck>();
        services.AddSingleton<ISubmissionCheck, BatchSubmissionCheck>();
        services.AddSingleton<EvaluationSubmissionCheck>();
        services.AddSingleton<ISubmissionCheck>(static provider => provider.GetRequiredService<EvaluationSubmissionCheck>());
        services.AddSingleton<ISubmissionCheck, PromotionSubmissionCheck>();
        services.AddSingleton<ISubmissionCheck, BaselineSubmissionCheck>();
        services.TryAddSingleton<ModelLoader>();
        services.AddSingleton<IModelInspector>(static provider => new OnnxModelInspector(provider.GetRequiredService<ModelLoader>(), provider.GetRequiredService<IOptions<InferenceOptions>>().Value));
        services.TryAddSingleton<TokenizerCache>();
        services.TryAddSingleton<BatchSummaries>();
        return services;
    }

    /// <summary>The inference worker's executors.</summary>
    public static IServiceCollection AddInferenceExecutors(this IServiceCollection services)
    {
        services.AddSingleton<IValidateOptions<InferenceOptions>, ExecutionProvider>();
        services.TryAddSingleton<ModelLoader>();
        services.AddSingleton<IModelHost>(provider => new ModelHost(
            provider.GetRequiredService<IOptions<InferenceOptions>>().Value, provider.GetRequiredService<TimeProvider>(), provider.GetService<IMeterFactory>(), provider.GetRequiredService<ModelLoader>()));
        services.AddSingleton<IInferenceDemand>(provider => (ModelHost)provider.GetRequiredService<IModelHost>());
        services.TryAddSingleton<TokenizerCache>();
        services.AddSingleton<Predictor>();
        services.AddHostedService<LoadReporter>();
        services.AddSingleton<ShadowRunner>();
        services.AddHostedService(static provider => provider.GetRequiredService<ShadowRunner>());
        services.AddSingleton<ServedTraffic>();
        services.AddHostedService(static provider => provider.GetRequiredService<ServedTraffic>());
        services.AddSingleton<OpenArchives>();
        services.AddSingleton<BatchSources>();
        services.AddSingleton<DatasetTables>();
        services.AddSingleton<BatchPreparation>();
        services.AddSingleton<EvaluationSources>();
        services.AddSingleton<IJobExecutor, InferenceJobExecutor>();
        services.AddSingleton<IJobExecutor, BatchJobExecutor>();
        services.AddSingleton<IJobExecutor, ChunkJobExecutor>();
        services.AddSingleton<EvaluatedTrainings>();
        services.AddSingleton<Evaluator>();
        services.AddSingleton<IJobExecutor, EvaluationJobExecutor>();
        services.AddSingleton<IJobExecutor, PromotionJobExecutor>();
        services.AddSingleton<IJobExecutor, BaselineJobExecutor>();
        return services;
    }
}
