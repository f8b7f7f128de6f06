using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Preparation.Answers;

/// <summary>A box that a model proposes, by its edges in pixels of the model's input.</summary>
internal readonly record struct Candidate(float Left, float Top, float Right, float Bottom, float Score, int Class)
{
    public float Area => Math.Max(0, Right - Left) * Math.Max(0, Bottom - Top);

    /// <summary>Intersection over union; 0 where both are empty.</summary>
    public float Overlap(in Candidate other)
    {
        var width = Math.Min(Right, other.Right) - Math.Max(Left, other.Left);
        var height = Math.Min(Bottom, other.Bottom) - Math.Max(Top, other.Top);
        if (width <= 0 || height <= 0)
            return 0;
        var shared = width * height;
        return shared / (Area + other.Area - shared);
    }
}

/// <summary>Non-maximum suppression: of boxes that overlap too much, the one with the best score stays.</summary>
internal static class BoxSuppression
{
    /// <summary>No more boxes are compared than this, the best ones: it is quadratic, and a threshold of 0 would compare every box of the grid.</summary>
    public const int MaxCandidates = 10_000;

    /// <summary>The boxes that stay, best first; equal scores in the order given.</summary>
    public static List<Candidate> Suppress(List<Candidate> candidates, SuppressionMode mode, double iouThreshold, int most)
    {
        var order = candidates.OrderByDescending(c => c.Score).Take(MaxCandidates);
        var kept = new List<Candidate>();
        foreach (var candidate in order)
        {
            if (kept.Count == most)
                break;
            if (mode == SuppressionMode.None || !kept.Exists(k => (mode == SuppressionMode.Agnostic || k.Class == candidate.Class) && k.Overlap(candidate) > iouThreshold))
                kept.Add(candidate);
        }

        return kept;
    }
}
