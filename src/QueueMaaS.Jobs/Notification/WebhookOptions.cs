using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Settings;

namespace QueueMaaS.Jobs.Notification;

/// <summary>Webhooks (configuration section <c>Webhooks</c>).</summary>
public sealed class WebhookOptions
{
    public const string Section = "Webhooks";

    /// <summary>Signs webhooks of jobs that bring no secret, <c>whsec_</c> + base64. Default: none, and such webhooks are refused at submission.</summary>
    [PasswordPropertyText(true)]
    [WebhookSecret]
    public string? Secret { get; set; }

    /// <summary>Allow private, loopback and link-local targets. Default no: a producer could otherwise reach the service's own network.</summary>
    public bool AllowPrivateTargets { get; set; }

    /// <summary>Where users reach the API; the start of <c>resultUrl</c>. Default <c>http://localhost:8080</c>.</summary>
    [Required, Url]
    public string PublicUrl { get; set; } = "http://localhost:8080";

    /// <summary>How long a receiver may take to answer. Default 15 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:02:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Deliveries sent at the same time. Default 256.</summary>
    [Range(1, 4096)]
    public int Concurrency { get; set; } = 256;

    /// <summary>Deliveries sent at the same time to one receiver (a tenant's address up to its query), so that one that hangs keeps the others' places free. Default 32.</summary>
    [Range(1, 1024)]
    public int ConcurrencyPerTarget { get; set; } = 32;

    /// <summary>Deliveries sent at the same time to all receivers of one host and port, so that a host that hangs keeps the other hosts' places free. Default 128.</summary>
    [Range(1, 4096)]
    public int ConcurrencyPerHost { get; set; } = 128;

    /// <summary>An endpoint to which every try has failed for this long is disabled, and a notice goes out on the bus. Default 5 days.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "365.00:00:00")]
    public TimeSpan DisableAfter { get; set; } = TimeSpan.FromDays(5);

    /// <summary>The largest output that is put into a body, in characters. Default 65,536.</summary>
    [Range(0, 16 * 1024 * 1024)]
    public int MaxOutputChars { get; set; } = 64 * 1024;

    /// <summary>Waits between tries, each lengthened by up to a fifth at random; after the last one the delivery has failed. Default as in Standard Webhooks: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.</summary>
    [MinLength(1), Range(typeof(TimeSpan), "00:00:00", "30.00:00:00")]
    public TimeSpan[] RetrySchedule { get; set => field = value?.Length > DefaultSchedule.Length && value.AsSpan(0, DefaultSchedule.Length).SequenceEqual(DefaultSchedule) ? value[DefaultSchedule.Length..] : value!; } = DefaultSchedule;

    // The configuration binder puts what is configured behind what is there already.
    private static TimeSpan[] DefaultSchedule =>
    [
        TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(30), TimeSpan.FromHours(2), TimeSpan.FromHours(5),
        TimeSpan.FromHours(10), TimeSpan.FromHours(14), TimeSpan.FromHours(20), TimeSpan.FromHours(24),
    ];
}

/// <summary>The value must be a secret of Standard Webhooks.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class WebhookSecretAttribute : SettingRuleAttribute
{
    public override string Allowed => "`whsec_` and base64 of 24 to 64 bytes";

    public override bool IsValid(object? value) => value is null || WebhookSignature.IsSecret(value as string);
}
