using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using QueueMaaS.Jobs.Settings;

namespace QueueMaaS.Messaging;

/// <summary>The message bus (configuration section <c>Bus</c>).</summary>
public sealed class BusOptions
{
    public const string Section = "Bus";

    /// <summary>RabbitMQ's address, <c>amqp://user:password@host:5672/vhost</c>. Default: none, and the bus lives in this process.</summary>
    [PasswordPropertyText(true)]
    [Address("amqp://user:password@host:5672/", "amqp", "amqps", "rabbitmq", "rabbitmqs")]
    public string? RabbitMq { get; set => field = string.IsNullOrWhiteSpace(value) ? null : value; }

    /// <summary>Classic or quorum queues for work. Quorum queues live on several nodes. Changing it needs the old queues to be deleted. Default <c>quorum</c>.</summary>
    [RegularExpression("quorum|classic")]
    public string QueueType { get; set; } = "quorum";

    /// <summary>Submissions handled at the same time by one process. Default 128.</summary>
    [Range(1, 4096)]
    public int SubmissionPrefetch { get; set; } = 128;
}
