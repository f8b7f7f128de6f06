using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Preparation;

/// <summary>Refuses cards of a size that no reader wants.</summary>
public static class CardCheck
{
    private const int MaxDescription = 10_000;
    private const int MaxDataset = 200;
    private const int MaxMetrics = 100;

    /// <exception cref="ProblemException"><c>invalid_value</c>, naming the member.</exception>
    public static void Check(UploadedCard? card)
    {
        if (card?.Description?.Length > MaxDescription)
            throw Invalid("description", $"has {card.Description.Length} characters; at most {MaxDescription:#,0} are kept.");
        if (card?.Dataset?.Length > MaxDataset)
            throw Invalid("dataset", $"has {card.Dataset.Length} characters; at most {MaxDataset} are kept.");
        if (card?.Metrics is not { } metrics)
            return;
        if (metrics.Count > MaxMetrics)
            throw Invalid("metrics", $"has {metrics.Count} entries; at most {MaxMetrics} are kept.");
        if (metrics.FirstOrDefault(m => !double.IsFinite(m.Value)) is { Key: { } key })
            throw Invalid($"metrics.{key}", "is beyond double precision.");
    }

    private static ProblemException Invalid(string member, string message) => new(ProblemCodes.InvalidValue, $"`card.{member}` {message}", ("path", $"card.{member}"));
}
