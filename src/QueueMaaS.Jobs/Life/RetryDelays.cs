namespace QueueMaaS.Jobs.Life;

/// <summary>Exponential backoff with full jitter: a random wait between zero and base·2^(attempt-1), capped, so that jobs that failed together do not return together.</summary>
/// <remarks>Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.</remarks>
public sealed record RetryDelays(TimeSpan Base, TimeSpan Max)
{
    /// <summary>The wait before the attempt after <paramref name="attempt"/> (1 = the first).</summary>
    public TimeSpan After(int attempt)
    {
        var ceiling = Math.Min(Max.TotalMilliseconds, Base.TotalMilliseconds * Math.Pow(2, Math.Clamp(attempt - 1, 0, 30)));
        return TimeSpan.FromMilliseconds(Random.Shared.NextDouble() * ceiling);
    }
}
