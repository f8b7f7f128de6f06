namespace QueueMaaS.Contracts;

/// <summary>Asks for shadow traffic (<c>PUT /v1/models/{name}/shadow</c>): a share of an alias's requests is computed by another version, too, after they were answered.</summary>
public sealed record ShadowRequest
{
    /// <summary>The version that computes beside.</summary>
    public required int Version { get; init; }
    /// <summary>The alias whose requests are looked at. Default <c>production</c>: those that name the model alone among them.</summary>
    public string Alias { get; init; } = "production";
    /// <summary>The share of those requests, over 0 to 1. Default 1.</summary>
    public double Share { get; init; } = 1;
}

/// <summary>Shadow traffic and what came of it, on all workers.</summary>
public sealed record Shadow
{
    /// <summary>Its id.</summary>
    public required string Id { get; init; }
    /// <summary>The model.</summary>
    public required string Model { get; init; }
    /// <summary>What was asked for.</summary>
    public required ShadowRequest Request { get; init; }
    /// <summary>Since when.</summary>
    public required DateTimeOffset CreatedAt { get; init; }
    /// <summary>Answered requests that were drawn to be computed again.</summary>
    public required long Requests { get; init; }
    /// <summary>Those that were.</summary>
    public required long Computed { get; init; }
    /// <summary>Those that were dropped, because callers kept the worker busy or too many waited.</summary>
    public required long Dropped { get; init; }
    /// <summary>Those that the shadow version could not compute.</summary>
    public required long Failed { get; init; }
    /// <summary>Why the first of them failed.</summary>
    public string? FirstError { get; init; }
    /// <summary>Rows whose likeliest labels were compared; 0 where the versions give no labels.</summary>
    public required long LabelledRows { get; init; }
    /// <summary>The share of them for which both versions say the same label.</summary>
    public double? Agreement { get; init; }
    /// <summary>The greatest absolute difference of a number in outputs of the same name and shape; left out where there are none.</summary>
    public double? MaxDeviation { get; init; }
    /// <summary>The mean absolute difference of those numbers.</summary>
    public double? MeanDeviation { get; init; }
    /// <summary>How long callers waited for the answers that were computed again: half of them no longer than this.</summary>
    public double? ServedP50Ms { get; init; }
    /// <summary>99 % of them no longer than this; to 2 %.</summary>
    public double? ServedP99Ms { get; init; }
    /// <summary>How long the shadow version took: half of them no longer than this.</summary>
    public double? ShadowP50Ms { get; init; }
    /// <summary>99 % of them no longer than this; to 2 %.</summary>
    public double? ShadowP99Ms { get; init; }
}
