using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Evaluation;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Running;

/// <summary>Trains a network. Everything random in it is a function of the seed (<see cref="Seeds"/>), so on a CPU two trainings of one plan end with the same bits, interrupted or not.</summary>
public sealed class Trainer(TimeProvider? time = null)
{
    private readonly TimeProvider _time = time ?? TimeProvider.System;

    /// <summary>Trains on a thread of its own; otherwise as <see cref="Train"/>.</summary>
    public Task<TrainedModel> TrainAsync(TrainingPlan plan, TrainingHooks? hooks = null, CancellationToken cancellationToken = default) =>
        Task.Factory.StartNew(() => Train(plan, hooks, cancellationToken), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Trains on the calling thread.</summary>
    /// <param name="plan">What and how.</param>
    /// <param name="hooks">What to call meanwhile.</param>
    /// <param name="cancellationToken">Stops within one step; where checkpoints are stored, the state at that step is stored before.</param>
    /// <exception cref="ProblemException"><c>specification_invalid</c>, <c>training_diverged</c>, <c>out_of_memory</c>, <c>invalid_value</c> or <c>training_runtime_unavailable</c>.</exception>
    public TrainedModel Train(TrainingPlan plan, TrainingHooks? hooks = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(plan);
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            using var session = new TrainingSession(plan, hooks ?? new(), _time);
            return session.Run(cancellationToken);
        }
        catch (ExternalException e) when (OutOfMemory.Is(e))
        {
            throw OutOfMemory.Explain(plan, e);
        }
    }
}

/// <summary>Tells a lack of memory from other failures of the native library.</summary>
internal static class OutOfMemory
{
    public static bool Is(ExternalException e) =>
        e.Message.Contains("out of memory", StringComparison.OrdinalIgnoreCase) || e.Message.Contains("can't allocate memory", StringComparison.OrdinalIgnoreCase) || e.Message.Contains("not enough memory", StringComparison.OrdinalIgnoreCase);

    public static ProblemException Explain(TrainingPlan plan, Exception cause)
    {
        var size = plan.Settings.BatchSize;
        var smaller = Math.Max(1, size / 2);
        var advice = size > 1 ? $"Try 'batchSize' {smaller} instead of {size}{(plan.Settings.Optimization.Accumulate < 512 ? $", with 'optimization.accumulate' {plan.Settings.Optimization.Accumulate * 2} to keep the same step" : "")}." : "Use a smaller network or smaller inputs.";
        return new(
            Problem.Create(ProblemCodes.OutOfMemory, $"The training ran out of memory with batches of {size} items of shape {plan.Data.Inputs.Shape}. {advice}", ("batchSize", size), ("tryBatchSize", smaller)), cause);
    }
}
