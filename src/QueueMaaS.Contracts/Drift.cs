namespace QueueMaaS.Contracts;

/// <summary>When what a version serves counts as parted from what it was trained on.</summary>
public sealed record DriftSettings
{
    /// <summary>The population stability index of a feature from which on it has parted, above 0 to 100; what chance alone gives is taken off first. Default 0.2.</summary>
    public double Threshold { get; init; } = 0.2;
    /// <summary>How far back is looked: between one and two of these windows, 1 to 2,592,000 seconds. Default 3,600.</summary>
    public double WindowSeconds { get; init; } = 3600;
    /// <summary>Rows that are needed for a judgement, 50 to 10,000,000. Default 500.</summary>
    public int MinRows { get; init; } = 500;
}

/// <summary>The input of a baseline: summarise what a version takes and gives on a data set, and watch whether what it serves stays like it.</summary>
public sealed record BaselineInput
{
    /// <summary>The version: <c>name@3</c> or <c>name@alias</c>.</summary>
    public required string Model { get; init; }
    /// <summary>The data set: <c>name</c> or <c>name@version</c>. Default: the one that the version was trained on.</summary>
    public string? Dataset { get; init; }
    /// <summary><c>train</c>, <c>test</c>, <c>val</c> or <c>all</c>. Default <c>train</c> where the data set has one, else <c>all</c>.</summary>
    public string? Split { get; init; }
    /// <summary>As <see cref="EvaluationInput.Target"/>.</summary>
    public string? Target { get; init; }
    /// <summary>Rows that are computed at most, drawn evenly, 100 to 1,000,000. Default 10,000.</summary>
    public int MaxRows { get; init; } = 10_000;
    /// <summary>When it has parted. Default: as the settings' own defaults.</summary>
    public DriftSettings Settings { get; init; } = new();
}

/// <summary>Asks for a drift monitor (<c>PUT /v1/models/{reference}/drift</c>).</summary>
public sealed record DriftRequest
{
    /// <summary>As <see cref="BaselineInput.Dataset"/>.</summary>
    public string? Dataset { get; init; }
    /// <summary>As <see cref="BaselineInput.Split"/>.</summary>
    public string? Split { get; init; }
    /// <summary>As <see cref="BaselineInput.Target"/>.</summary>
    public string? Target { get; init; }
    /// <summary>As <see cref="BaselineInput.MaxRows"/>.</summary>
    public int MaxRows { get; init; } = 10_000;
    /// <summary>As <see cref="BaselineInput.Settings"/>.</summary>
    public DriftSettings Settings { get; init; } = new();
}

/// <summary>How a monitor stands.</summary>
public enum DriftState
{
    /// <summary>Too little was served for a judgement.</summary>
    Waiting,
    /// <summary>What is served is like the baseline.</summary>
    Steady,
    /// <summary>A feature has parted from it.</summary>
    Drifting,
}

/// <summary>A drift monitor of a version.</summary>
public sealed record DriftMonitor
{
    /// <summary>Its id.</summary>
    public required string Id { get; init; }
    /// <summary>The model.</summary>
    public required string Model { get; init; }
    /// <summary>The version.</summary>
    public required int Version { get; init; }
    /// <summary>When it has parted.</summary>
    public required DriftSettings Settings { get; init; }
    /// <summary>The baseline's data set and split, <c>name@version (split)</c>.</summary>
    public required string Baseline { get; init; }
    /// <summary>Rows of the baseline.</summary>
    public required long BaselineRows { get; init; }
    /// <summary>How it stands.</summary>
    public required DriftState State { get; init; }
    /// <summary>Since when it stands so.</summary>
    public required DateTimeOffset Since { get; init; }
    /// <summary>Rows summarised of what was served in the last one to two windows, on all workers.</summary>
    public required long Rows { get; init; }
    /// <summary>Every feature, the one furthest from the baseline first; without distances where no row was served.</summary>
    public required IReadOnlyList<FeatureDrift> Features { get; init; }
}

/// <summary>How far a feature is from its baseline.</summary>
/// <param name="Name">A column (<c>age</c>), a summary of an image or text (<c>channel 1 mean</c>, <c>tokens</c>), a number of a tensor (<c>x[3]</c>), or of the answer (<c>output label</c>, <c>output margin</c>, <c>output value</c>).</param>
/// <param name="Kind"><c>number</c> or <c>category</c>.</param>
/// <param name="Psi">Population stability index over the baseline's tenths or categories, less what chance alone gives, no smaller than 0.</param>
/// <param name="Ks">Numbers: the greatest distance of the two distribution functions at the borders of the tenths (Kolmogorov and Smirnov).</param>
/// <param name="Parted">Whether it is past the threshold.</param>
public sealed record FeatureDrift(string Name, string Kind, double? Psi, double? Ks, bool Parted);

/// <summary>What the event <c>model.drift</c> says.</summary>
/// <param name="Model">The model.</param>
/// <param name="Version">The version.</param>
/// <param name="State"><c>drifting</c>, or <c>steady</c> where it has come back.</param>
/// <param name="Rows">Rows that it was judged by.</param>
/// <param name="Features">Those past the threshold, the furthest first, up to 20.</param>
public sealed record DriftEvent(string Model, int Version, DriftState State, long Rows, IReadOnlyList<FeatureDrift> Features);
