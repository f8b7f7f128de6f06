using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Inference.Traffic;

/// <summary>Computes for shadow versions, one request at a time, in moments in which the worker has nothing to do for callers. What finds no such moment, or no room to wait in, is dropped and counted.</summary>
public sealed class ShadowRunner(IModelHost host, IInferenceDemand demand, IOptions<DeploymentOptions> options, TimeProvider time) : BackgroundService
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(2);

    // After callers, batch jobs and everything else.
    private static readonly InferenceCall Last = new() { Priority = 0 };
    private readonly Channel<ShadowWork> _waiting = Channel.CreateBounded<ShadowWork>(new BoundedChannelOptions(options.Value.ShadowQueue) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });

    internal bool TryAdd(ShadowWork work) => _waiting.Writer.TryWrite(work);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await foreach (var work in _waiting.Reader.ReadAllAsync(stoppingToken))
        {
            if (await IsIdleAsync(stoppingToken))
                await ComputeAsync(work, stoppingToken);
            else
                work.Feed.Drop();
        }
    }

    private async Task<bool> IsIdleAsync(CancellationToken stoppingToken)
    {
        var since = time.GetTimestamp();
        while (demand.Requests > options.Value.ShadowWhileBusy)
        {
            if (time.GetElapsedTime(since) > options.Value.ShadowPatience)
                return false;
            await Task.Delay(Look, time, stoppingToken);
        }

        return true;
    }

    private async Task ComputeAsync(ShadowWork work, CancellationToken stoppingToken)
    {
        try
        {
            var prepared = await work.Request.Again(work.Feed.Model, stoppingToken);
            // Loading is the first request's misfortune, not a property of the version.
            await host.LoadAsync(work.Feed.Model, stoppingToken);
            var started = time.GetTimestamp();
            var answer = await host.RunAsync(work.Feed.Model, prepared, Last, stoppingToken);
            work.Feed.Add(ShadowComparison.Of(work.Feed.HeadOf(work.Request.Model), work.Answer, work.Feed.HeadOf(work.Feed.Model), answer), work.ServedMs, time.GetElapsedTime(started).TotalMilliseconds);
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested && exception is not OutOfMemoryException)
        {
            work.Feed.Fail(exception is Contracts.ProblemException problem ? problem.Problem.Message : "Something went wrong on our side.");
        }
    }
}
