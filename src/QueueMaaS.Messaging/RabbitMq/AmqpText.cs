using System.Globalization;
using System.Text;

namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>AMQP's header values as text.</summary>
internal static class AmqpText
{
    /// <summary>A value as text; null for tables, lists and nothing.</summary>
    public static string? Of(object? value) => value switch
    {
        byte[] bytes => Encoding.UTF8.GetString(bytes),
        string text => text,
        IConvertible number => number.ToString(CultureInfo.InvariantCulture),
        _ => null,
    };
}
