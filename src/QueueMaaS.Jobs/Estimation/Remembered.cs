using System.Collections.Concurrent;

namespace QueueMaaS.Jobs.Estimation;

/// <summary>Remembers answers for a moment, so that many who ask at once cost one question.</summary>
internal sealed class Remembered<TKey, TValue>(TimeSpan lifetime, TimeProvider time)
    where TKey : notnull
{
    private const int Capacity = 1024;
    private readonly ConcurrentDictionary<TKey, Answer> _answers = new();

    /// <summary>The answer, asked for where none is fresh. A question that failed is asked again by the next one who comes.</summary>
    public Task<TValue> GetAsync(TKey key, Func<Task<TValue>> ask)
    {
        if (_answers.TryGetValue(key, out var known) && time.GetElapsedTime(known.AskedAt) < lifetime && known.Value is { IsFaulted: false, IsCanceled: false })
            return known.Value;
        if (_answers.Count >= Capacity)
            _answers.Clear();
        var answer = new Answer(ask(), time.GetTimestamp());
        _answers[key] = answer;
        return answer.Value;
    }

    private sealed record Answer(Task<TValue> Value, long AskedAt);
}
