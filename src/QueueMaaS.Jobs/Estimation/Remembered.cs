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
        while (true)
        {
            if (_answers.TryGetValue(key, out var known) && IsFresh(known))
                return known.Value;
            if (_answers.Count >= Capacity)
                _answers.Clear();
            var answer = new Answer(ask, time.GetTimestamp());
            // Of several who come at once one asks, and the others take its answer.
            if (known is null ? _answers.TryAdd(key, answer) : _answers.TryUpdate(key, answer, known) || _answers.TryAdd(key, answer))
                return answer.Value;
        }
    }

    private bool IsFresh(Answer answer) => time.GetElapsedTime(answer.AskedAt) < lifetime && !answer.HasFailed;

    private sealed class Answer(Func<Task<TValue>> ask, long askedAt)
    {
        private readonly Lazy<Task<TValue>> _value = new(ask);

        public long AskedAt { get; } = askedAt;

        public Task<TValue> Value => _value.Value;

        public bool HasFailed => _value is { IsValueCreated: true, Value: { IsFaulted: true } or { IsCanceled: true } };
    }
}
