namespace QueueMaaS.Data.Texts;

/// <summary>Makes a WordPiece vocabulary out of texts: the special tokens, every letter and sign seen (alone and as the continuation of a word), then the words seen most often. A rare word is put together from letters.</summary>
public static class WordVocabulary
{
    /// <summary>The token that texts are filled up with; its id is 0.</summary>
    public const string Padding = "[PAD]";

    private static readonly string[] Special = [Padding, "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

    /// <summary>The tokens in the order of their ids; the same for the same texts.</summary>
    /// <param name="texts">What to learn from.</param>
    /// <param name="size">Most tokens.</param>
    /// <param name="leastCount">Words seen less often are left out.</param>
    /// <param name="lowerCase">Whether texts are lower-cased and lose their accents.</param>
    public static IReadOnlyList<string> Build(IEnumerable<string> texts, int size, int leastCount, bool lowerCase)
    {
        ArgumentNullException.ThrowIfNull(texts);
        var words = new Dictionary<string, int>(StringComparer.Ordinal);
        var letters = new Dictionary<string, int>(StringComparer.Ordinal);
        var split = new BertWords(lowerCase);
        foreach (var text in texts)
        {
            foreach (var word in split.Of(text))
            {
                words[word] = words.GetValueOrDefault(word) + 1;
                foreach (var rune in word.EnumerateRunes())
                    letters[rune.ToString()] = letters.GetValueOrDefault(rune.ToString()) + 1;
            }
        }

        var tokens = new List<string>(Special);
        var known = tokens.ToHashSet(StringComparer.Ordinal);
        // Letters come in pairs; at most half of the room is theirs.
        foreach (var letter in ByCount(letters).Take(Math.Max(0, (size / 2 - Special.Length) / 2)))
        {
            Add(letter);
            Add("##" + letter);
        }

        foreach (var word in ByCount(words.Where(w => w.Value >= leastCount)))
        {
            if (tokens.Count >= size)
                break;
            Add(word);
        }

        return tokens;

        void Add(string token)
        {
            if (known.Add(token))
                tokens.Add(token);
        }
    }

    private static IEnumerable<string> ByCount(IEnumerable<KeyValuePair<string, int>> counts) => counts.OrderByDescending(c => c.Value).ThenBy(c => c.Key, StringComparer.Ordinal).Select(c => c.Key);
}
