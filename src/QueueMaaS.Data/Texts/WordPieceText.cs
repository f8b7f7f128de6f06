using Microsoft.ML.Tokenizers;

namespace QueueMaaS.Data.Texts;

/// <summary>Makes WordPiece tokens of texts. Training and serving share it, so that both see the same ids.</summary>
public sealed class WordPieceText
{
    private readonly BertTokenizer _tokenizer;

    private WordPieceText(BertTokenizer tokenizer, IReadOnlyDictionary<string, int> ids)
    {
        _tokenizer = tokenizer;
        Ids = ids;
    }

    /// <summary>The id of each token.</summary>
    public IReadOnlyDictionary<string, int> Ids { get; }

    /// <summary>Reads a <c>vocab.txt</c>, one token on each line.</summary>
    /// <exception cref="ArgumentException">It is none.</exception>
    public static WordPieceText Load(string vocabulary, bool lowerCase)
    {
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (index, line) in File.ReadLines(vocabulary).Index())
            ids.TryAdd(line.TrimEnd('\r'), index);
        using var file = File.OpenRead(vocabulary);
        var options = new BertOptions { LowerCaseBeforeTokenization = lowerCase, Normalizer = new BertWords(lowerCase) };
        // The mask is for training alone: a vocabulary without it serves as well.
        if (!ids.ContainsKey(options.MaskingToken))
            options.MaskingToken = options.UnknownToken;
        options.PreTokenizer = BertWords.Splitter(SpecialTokens(options, ids, lowerCase));
        return new(BertTokenizer.Create(file, options), ids);
    }

    /// <summary>The ids of a text, no more than <paramref name="most"/>, without special tokens.</summary>
    public IReadOnlyList<int> Encode(string text, int most)
    {
        // The library leaves a word out whose pieces do not all fit; the reference cuts it. No word has more pieces than it may have characters.
        var ids = _tokenizer.EncodeToIds(text, (int)Math.Min(int.MaxValue, (long)most + _tokenizer.MaxInputCharsPerWord), addSpecialTokens: false, out _, out _);
        return ids.Count > most ? [.. ids.Take(most)] : ids;
    }

    /// <summary>The special tokens as they look in a text that has been lower-cased; those that are missing are told by the library.</summary>
    private static Dictionary<string, int> SpecialTokens(BertOptions options, Dictionary<string, int> ids, bool lowerCase)
    {
        var tokens = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var token in new[] { options.UnknownToken, options.SeparatorToken, options.PaddingToken, options.ClassificationToken, options.MaskingToken })
        {
            if (ids.TryGetValue(token, out var id))
                tokens[lowerCase ? token.ToLowerInvariant() : token] = id;
        }

        return tokens;
    }
}
