using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Notification;

/// <summary>The <c>type</c> of each webhook.</summary>
public static class WebhookTypes
{
    public const string Started = "job.started";
    public const string Progress = "job.progress";
    public const string Log = "job.log";
    public const string Completed = "job.completed";
    public const string GroupCompleted = "group.completed";
    public const string ModelPromoted = "model.promoted";
    public const string ModelRefused = "model.refused";
    public const string ModelRollout = "model.rollout";
    public const string ModelRolledBack = "model.rolledBack";
    public const string ModelDrift = "model.drift";
    public const string EndpointDisabled = "endpoint.disabled";
    public const string Test = "endpoint.test";

    /// <summary>What an endpoint can choose.</summary>
    public static readonly IReadOnlyList<string> All = [Started, Progress, Log, Completed, GroupCompleted, ModelPromoted, ModelRefused, ModelRollout, ModelRolledBack, ModelDrift];

    /// <summary>Whether the endpoint wants to hear of this.</summary>
    public static bool Wants(this WebhookEndpoint endpoint, string type, JobKind? kind)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        return endpoint.Events.Contains($",{type},", StringComparison.Ordinal) && (kind is null || endpoint.Kinds is null || endpoint.Kinds.Contains($",{kind},", StringComparison.Ordinal));
    }
}
