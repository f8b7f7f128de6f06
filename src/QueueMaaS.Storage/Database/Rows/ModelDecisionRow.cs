using QueueMaaS.Contracts;

namespace QueueMaaS.Storage.Database;

/// <summary>A decision about a version of a model.</summary>
public sealed class ModelDecisionRow
{
    public required string Id { get; set; }
    public required string Tenant { get; set; }
    public required string Name { get; set; }
    public required string Cause { get; set; }
    public required DateTimeOffset At { get; set; }
    public required string Decision { get; set; }

    public ModelDecision ToDecision() => Json.Read<ModelDecision>(Decision)!;
}
