using MassTransit;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Dispatch;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Messaging.Dispatch;

/// <summary>Hands a message's pointers to the worker. The message is acknowledged when the worker returns.</summary>
public sealed class WorkConsumer(JobWorker worker) : IConsumer<WorkPack>
{
    public Task Consume(ConsumeContext<WorkPack> context) => worker.HandleAsync(context.Message.Kind, context.Message.Ids, context.CancellationToken);
}

/// <summary>Sends pointers over the bus that lives in this process.</summary>
internal sealed class BusDispatchQueue(IBus bus) : IDispatchQueue
{
    public bool IsInProcess => true;

    public Task<bool> IsEmptyAsync(JobKind kind, PriorityClass priority, CancellationToken cancellationToken) => Task.FromResult(false);

    public async Task PublishAsync(JobKind kind, PriorityClass priority, IReadOnlyList<string> ids, CancellationToken cancellationToken)
    {
        var endpoint = await bus.GetSendEndpoint(new Uri($"exchange:{WorkQueues.Name(kind, priority)}"));
        await endpoint.Send(new WorkPack { Kind = kind, Ids = ids }, cancellationToken);
    }
}

/// <summary>One queue per kind and priority class.</summary>
public static class WorkQueues
{
    public static string Name(JobKind kind, PriorityClass priority) => $"queuemaas.work.{kind}.{priority}".ToLowerInvariant();
}
