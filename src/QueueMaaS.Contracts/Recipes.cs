using System.Text.Json;

namespace QueueMaaS.Contracts;

/// <summary>A named, versioned bundle of training settings. A training names it (<c>"recipe": "cifar-plain@1"</c>), and what it says itself goes over the recipe's settings.</summary>
public sealed record Recipe
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }
    /// <summary>Its version, from 1. A version never changes.</summary>
    public required int Version { get; init; }
    /// <summary>What it is for.</summary>
    public required string Description { get; init; }
    /// <summary><c>images</c>, <c>tables</c> or <c>texts</c>.</summary>
    public required string For { get; init; }
    /// <summary>What it sets: a <see cref="TrainingInput"/> without <c>model</c> and <c>dataset</c>.</summary>
    public required JsonElement Training { get; init; }
    /// <summary>Why each thing is as it is, and where it comes from, by field.</summary>
    public required IReadOnlyDictionary<string, string> Reasons { get; init; }
}
