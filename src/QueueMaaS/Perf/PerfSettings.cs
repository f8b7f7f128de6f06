using System.Net.Http.Headers;

namespace QueueMaaS.Perf;

/// <summary>What to measure.</summary>
internal sealed record PerfSettings
{
    public required string Model { get; init; }
    public required Uri Url { get; init; }
    /// <summary>An API key, where the service asks for one.</summary>
    public string? Key { get; init; }
    public AuthenticationHeaderValue? Authorization => Key is null ? null : new("Bearer", Key);

    /// <summary>The broker; null to send over the Open Inference Protocol.</summary>
    public string? RabbitMq { get; init; }

    /// <summary>Callers that each wait for their answer, or (where <see cref="IsRate"/>) requests a second.</summary>
    public required IReadOnlyList<double> Levels { get; init; }

    /// <summary>True: requests come at random moments (Poisson) whether the ones before are answered or not.</summary>
    public bool IsRate { get; init; }

    /// <summary>How long one measurement is.</summary>
    public TimeSpan Window { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Three windows in a row whose throughput and latency lie within this share of their mean end a level.</summary>
    public double Stability { get; init; } = 0.1;

    /// <summary>After so many windows a level ends as unstable.</summary>
    public int MaxWindows { get; init; } = 10;

    /// <summary>Search for the highest load whose p99 stays within this; null to measure the levels.</summary>
    public TimeSpan? LatencyBound { get; init; }

    /// <summary>For inputs with free sizes: the shapes to send in turn.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<long[]>> Shapes { get; init; } = new Dictionary<string, IReadOnlyList<long[]>>();

    /// <summary>Instead of single requests, batch jobs of so many made-up items.</summary>
    public int? BatchItems { get; init; }

    /// <summary>Instead of single requests, batch jobs over this file.</summary>
    public string? BatchFile { get; init; }

    /// <summary>How many batch jobs, one after the other.</summary>
    public int Runs { get; init; } = 3;

    /// <summary>Whether jobs have FP32 tensors as base64.</summary>
    public bool AsBase64 { get; init; }

    /// <summary>Where to write the table as CSV as well.</summary>
    public string? Csv { get; init; }
}
