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

    /// <summary>The nodes of a cluster, each <c>host:port</c>, tried in a random order; user, password and virtual host are those of <c>RabbitMq</c>. Default: only the node that <c>RabbitMq</c> names.</summary>
    [NodeAddress]
    public string[] Nodes { get; set; } = [];

    /// <summary>Classic or quorum queues for work. Quorum queues live on several nodes. Changing it needs the old queues to be deleted. Default <c>quorum</c>.</summary>
    [RegularExpression("quorum|classic")]
    public string QueueType { get; set; } = "quorum";

    /// <summary>Most submissions handled at the same time by one process; fewer while they are large, so that together they have about 64 MiB. Default 512.</summary>
    [Range(1, 4096)]
    public int SubmissionPrefetch { get; set; } = 512;
}

/// <summary>A node of the broker's cluster.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class NodeAddressAttribute : SettingRuleAttribute
{
    public override string Allowed => "a host and a port such as rabbit-1:5672";

    public override bool IsValid(object? value) =>
        value is null || (value is string text && text.LastIndexOf(':') is > 0 and var colon && Uri.CheckHostName(text[..colon].Trim('[', ']')) != UriHostNameType.Unknown && ushort.TryParse(text[(colon + 1)..], out var port) && port > 0);
}
