using System.ComponentModel.DataAnnotations;
using QueueMaaS.Jobs.Settings;

namespace QueueMaaS.Api.Access;

/// <summary>Tokens (JWT) of an identity provider, beside keys (configuration section <c>Tokens</c>). They are taken where <c>Authority</c> or <c>KeysFile</c> is set; from then on every route asks for a key or a token.</summary>
public sealed class TokenOptions
{
    public const string Section = "Tokens";

    /// <summary>An OpenID Connect provider, whose signing keys are read from <c>/.well-known/openid-configuration</c> and read again when they change. HTTPS, but for loopback. Default: none.</summary>
    [Address("https://login.example.org/realms/main", "https", "http")]
    public string? Authority { get; set => field = string.IsNullOrWhiteSpace(value) ? null : value; }

    /// <summary>In place of a provider: a file with the public keys that tokens are signed with, as a JSON Web Key Set. Default: none.</summary>
    public string? KeysFile { get; set => field = string.IsNullOrWhiteSpace(value) ? null : value; }

    /// <summary>Who must have made the token (<c>iss</c>). Default: the issuer that the authority names; with <c>KeysFile</c> it must be set.</summary>
    public string? Issuer { get; set => field = string.IsNullOrWhiteSpace(value) ? null : value; }

    /// <summary>Whom the token must be for (<c>aud</c>). Default <c>queuemaas</c>.</summary>
    [Required, StringLength(200)]
    public string Audience { get; set; } = "queuemaas";

    /// <summary>The claim with the scopes, as a list or with spaces between. Default <c>scope</c>.</summary>
    [Required, StringLength(200)]
    public string ScopeClaim { get; set; } = "scope";

    /// <summary>What stands before our scopes' names in that claim, such as <c>queuemaas:</c> for <c>queuemaas:submit</c>. Others are passed over. Default: nothing.</summary>
    [StringLength(100)]
    public string ScopePrefix { get; set; } = "";

    /// <summary>The claim with the tenant; a token without it is refused. Default <c>tenant</c>.</summary>
    [Required, StringLength(200)]
    public string TenantClaim { get; set; } = "tenant";

    /// <summary>How far the provider's clock may be from ours. Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan ClockSkew { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Whether tokens are taken.</summary>
    internal bool AreTaken => Authority is not null || KeysFile is not null;

    /// <summary>What does not fit together; null where all does.</summary>
    public string? Contradiction() => this switch
    {
        { Authority: not null, KeysFile: not null } => "Tokens:Authority and Tokens:KeysFile exclude each other: name the provider, or its keys.",
        { KeysFile: not null, Issuer: null } => "Tokens:KeysFile needs Tokens:Issuer: who must have made the tokens.",
        { KeysFile: { } file } when !File.Exists(file) => $"Tokens:KeysFile is `{file}`: there is no such file.",
        { Authority: { } authority } when new Uri(authority) is { Scheme: "http", IsLoopback: false } => $"Tokens:Authority is `{authority}`: signing keys are read over HTTPS only, but for loopback.",
        _ => null,
    };
}
