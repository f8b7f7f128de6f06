using System.Text.Json;

namespace QueueMaaS.Contracts;

/// <summary>Where a tenant wants to hear of its jobs (<c>POST /v1/webhook-endpoints</c>).</summary>
public sealed record WebhookEndpointDefinition
{
    /// <summary>An http or https address. Private, loopback and link-local addresses are refused unless the service is configured to allow them.</summary>
    public required string Url { get; init; }

    /// <summary>How requests are signed. Default: as the secret says, else <c>hmac</c>. Of an endpoint that there is, <c>rotate</c> changes it.</summary>
    public WebhookSignatureKind? Signature { get; init; }

    /// <summary>The signing secret, <c>whsec_</c> + base64 of 24 to 64 bytes; for <c>ed25519</c> the private key, <c>whsk_</c> + base64 of its 32 bytes, or of 64 with the public key after them. Default: one is made; a <c>whsec_</c> secret is shown once, a private key never.</summary>
    public string? Secret { get; init; }

    /// <summary>Which events it gets: <c>job.started</c>, <c>job.progress</c>, <c>job.log</c>, <c>job.completed</c>, <c>group.completed</c>, <c>model.promoted</c>, <c>model.refused</c>, <c>model.rollout</c>, <c>model.rolledBack</c>, <c>model.drift</c>. Default: <c>job.completed</c> and <c>group.completed</c>.</summary>
    public IReadOnlyList<string>? Events { get; init; }

    /// <summary>Which kinds of job it hears of. Default: all.</summary>
    public IReadOnlyList<JobKind>? Kinds { get; init; }

    /// <summary>Most requests under way to it at the same time, 1 to 100; 1 also keeps the order of all its events. Default: no limit of its own.</summary>
    public int? MaxInFlight { get; init; }

    /// <summary>Put a completed job's output into the body, where it has at most 64 KiB; larger ones are read at <c>resultUrl</c>. Default no.</summary>
    public bool? IncludeOutput { get; init; }

    /// <summary>A note for people, up to 200 characters.</summary>
    public string? Description { get; init; }

    /// <summary>True stops it, false lets it go on. Default: as it is; a new one goes.</summary>
    public bool? Disabled { get; init; }
}

/// <summary>A webhook endpoint as the service shows it.</summary>
public sealed record WebhookEndpointView
{
    /// <summary>The endpoint's id.</summary>
    public required string Id { get; init; }
    /// <summary>Where it is.</summary>
    public required string Url { get; init; }
    /// <summary>Which events it gets.</summary>
    public required IReadOnlyList<string> Events { get; init; }
    /// <summary>Which kinds of job it hears of; absent for all.</summary>
    public IReadOnlyList<JobKind>? Kinds { get; init; }
    /// <summary>Most requests under way to it.</summary>
    public int? MaxInFlight { get; init; }
    /// <summary>Whether outputs are put into the body.</summary>
    public required bool IncludeOutput { get; init; }
    /// <summary>The note.</summary>
    public string? Description { get; init; }
    /// <summary>When it was made.</summary>
    public required DateTimeOffset CreatedAt { get; init; }
    /// <summary>Since when nothing is sent to it.</summary>
    public DateTimeOffset? DisabledAt { get; init; }
    /// <summary>Why nothing is sent to it.</summary>
    public string? DisabledReason { get; init; }
    /// <summary>Since when every try has failed.</summary>
    public DateTimeOffset? FailingSince { get; init; }
    /// <summary>How requests are signed.</summary>
    public required WebhookSignatureKind Signature { get; init; }
    /// <summary>ed25519: the public keys to verify with, the newest first; while one is replaced, each request has a signature by each.</summary>
    public IReadOnlyList<WebhookPublicKey>? PublicKeys { get; init; }
    /// <summary>The new signing secret of HMAC; only in the answer that made it.</summary>
    public string? Secret { get; init; }
}

/// <summary>How a request is signed (Standard Webhooks 1.0.0).</summary>
public enum WebhookSignatureKind
{
    /// <summary>HMAC-SHA256 (<c>v1,</c>): both sides have the secret.</summary>
    Hmac,
    /// <summary>ed25519 (<c>v1a,</c>): the service has the private key, receivers the public one.</summary>
    Ed25519,
}

/// <summary>A key that receivers verify with.</summary>
/// <param name="Key"><c>whpk_</c> + base64 of 32 bytes.</param>
/// <param name="Until">Until when requests are signed with its private key; left out for the one that stays.</param>
public sealed record WebhookPublicKey(string Key, DateTimeOffset? Until);

/// <summary>Asks for a new signing secret (<c>POST /v1/webhook-endpoints/{id}/rotate</c>).</summary>
public sealed record RotateSecretRequest
{
    /// <summary>How requests are signed from now on. Default: as the new secret says, else as before.</summary>
    public WebhookSignatureKind? Signature { get; init; }

    /// <summary>The new secret or private key. Default: one is made.</summary>
    public string? Secret { get; init; }

    /// <summary>For how many hours requests are signed with the old ones too, 0 to 720. Default 24.</summary>
    public double? KeepOldHours { get; init; }
}

/// <summary>Asks for deliveries to be sent again (<c>POST /v1/webhook-endpoints/{id}/replay</c>).</summary>
public sealed record ReplayDeliveriesRequest
{
    /// <summary>Those that were made at this moment or later.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>Only those that were given up. Default: those that were delivered too.</summary>
    public bool? OnlyFailed { get; init; }
}

/// <summary>How many deliveries are sent again.</summary>
/// <param name="Replayed">The number of them.</param>
public sealed record ReplayDeliveriesResult(int Replayed);
