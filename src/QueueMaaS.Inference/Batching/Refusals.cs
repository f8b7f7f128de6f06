using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Batching;

/// <summary>Why a request is not computed, in the words that its caller gets.</summary>
internal static class Refusals
{
    public static ProblemException Unmeetable(BatchEstimate estimate, TimeSpan left) => new(
        ProblemCodes.DeadlineExceeded,
        $"The request cannot be answered in the {left.TotalMilliseconds:0.#} ms left to its deadline: by what waits before it and what batches take, it would start in {estimate.Start.TotalMilliseconds:0.#} ms and finish in {estimate.Finish.TotalMilliseconds:0.#} ms. Give it more time, a higher priority, or add workers.",
        ("expectedStartMs", Math.Round(estimate.Start.TotalMilliseconds, 1)), ("expectedFinishMs", Math.Round(estimate.Finish.TotalMilliseconds, 1)));

    public static ProblemException DeadlineExceeded() => new(
        ProblemCodes.DeadlineExceeded, "The request's deadline passed before its computation could start. Give it more time, a higher priority, or add workers.");

    public static ProblemException QueueFull(BatcherSettings settings, int rows, long bytes) => new(
        ProblemCodes.QueueFull,
        $"The queue of model '{settings.Model}' version {settings.Version} is full ({rows} of {settings.MaxQueueRows} rows, {bytes} of {settings.MaxQueueBytes} bytes). Try again in a moment, or add workers.",
        ("model", settings.Model), ("version", settings.Version), ("maxQueueRows", settings.MaxQueueRows))
    { IsTransient = true };

    public static ProblemException ShuttingDown() => new(
        ProblemCodes.Unavailable, "The model is being unloaded on this worker. Try again.")
    { IsTransient = true };
}
