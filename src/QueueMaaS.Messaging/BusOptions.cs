using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Messaging;

/// <summary>The message bus (configuration section <c>Bus</c>).</summary>
public sealed class BusOptions
{
    public const string Section = "Bus";

    /// <summary>RabbitMQ's address, <c>amqp://user:password@host:5672/vhost</c>. Default: none, and the bus lives in this process.</summary>
    public string? RabbitMq { get; set => field = string.IsNullOrWhiteSpace(value) ? null : value; }

    /// <summary>The nodes of a cluster, each <c>host:port</c>, tried in a random order; user, password and virtual host are those of <c>RabbitMq</c>. Default: only the node that <c>RabbitMq</c> names.</summary>
    public string[] Nodes { get; set; } = [];

    /// <summary>Classic or quorum queues for work. Quorum queues live on several nodes. Changing it needs the old queues to be deleted. Default <c>quorum</c>.</summary>
    [RegularExpression("quorum|classic")]
    public string QueueType { get; set; } = "quorum";

    /// <summary>Submissions handled at the same time by one process. Default 128.</summary>
    [Range(1, 4096)]
    public int SubmissionPrefetch { get; set; } = 128;
}
