namespace QueueMaaS.Jobs.Leasing;

/// <summary>Who was seen, and since when not any more. One that was never seen is never missed: it may be of a version that shows itself to nobody.</summary>
public sealed class Sightings(TimeProvider time, TimeSpan grace)
{
    private static readonly TimeSpan Remembered = TimeSpan.FromHours(1);
    private readonly Dictionary<long, long?> _missingSince = [];

    /// <summary>Takes in a whole look: these are there, all others are not.</summary>
    public void Look(IReadOnlySet<long> present)
    {
        var now = time.GetTimestamp();
        foreach (var one in present)
            _missingSince[one] = null;
        foreach (var one in _missingSince.Keys.Where(one => !present.Contains(one)).ToArray())
        {
            var since = _missingSince[one] ??= now;
            if (time.GetElapsedTime(since, now) > Remembered)
                _missingSince.Remove(one);
        }
    }

    /// <summary>The look failed: whoever is missing may have been there meanwhile, so its time begins anew.</summary>
    public void LookFailed()
    {
        foreach (var one in _missingSince.Keys.ToArray())
        {
            if (_missingSince[one] is not null)
                _missingSince[one] = time.GetTimestamp();
        }
    }

    /// <summary>Seen once, and missing in all looks of the grace time.</summary>
    public bool IsGone(long one) => _missingSince.GetValueOrDefault(one) is { } since && time.GetElapsedTime(since) >= grace;
}
