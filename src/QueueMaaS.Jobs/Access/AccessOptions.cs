using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Jobs.Access;

/// <summary>Who may use the service (configuration section <c>Api</c>).</summary>
public sealed class AccessOptions
{
    public const string Section = "Api";

    /// <summary>Refuse callers without a key even while no key exists. Default no: keys are asked for once the first one was made.</summary>
    public bool RequireKeys { get; set; }

    /// <summary>Ask callers of <c>/metrics</c> for a key with the scope <c>read</c>, too. Default no.</summary>
    public bool ProtectMetrics { get; set; }

    /// <summary>A secret text that key hashes are made with, so that the table alone is of no use. Default: made at random, in the file <c>key-pepper</c> of the data folder.</summary>
    [StringLength(1024, MinimumLength = 32)]
    [PasswordPropertyText(true)]
    public string? KeyPepper { get; set => field = string.IsNullOrEmpty(value) ? null : value; }

    /// <summary>A key that was found is remembered this long, so a revocation made elsewhere works after this time at the latest. Default 5 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:05:00")]
    public TimeSpan KeyCache { get; set; } = TimeSpan.FromSeconds(5);
}
