using QueueMaaS.Contracts;

namespace QueueMaaS.Messaging;

/// <summary>What a producer publishes. Its fields are read from the raw body, by the same reader as HTTP's, so this type only names the message.</summary>
public sealed record SubmitJob;

/// <summary>Pointers to queued jobs of one kind and priority class: the work itself is in the table.</summary>
public sealed record WorkPack
{
    public required JobKind Kind { get; init; }
    public required IReadOnlyList<string> Ids { get; init; }
}
