using Microsoft.ML.Tokenizers;

namespace QueueMaaS.Data.Texts;

/// <summary>Makes WordPiece tokens of texts. Training and serving share it, so that both see the same ids.</summary>
public sealed class WordPieceText
{
    private readonly BertTokenizer _tokenizer;
    private readonly bool _lowerCase;

    private WordPieceText(BertTokenizer tokenizer, IReadOnlyDictionary<string, int> ids, bool lowerCase)
    {
        _tokenizer = tokenizer;
        Ids = ids;
        _lowerCase = lowerCase;
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
        var options = new BertOptions { LowerCaseBeforeTokenization = lowerCase, RemoveNonSpacingMarks = false };
        // The mask is for training alone: a vocabulary without it serves as well.
        if (!ids.ContainsKey(options.MaskingToken))
            options.MaskingToken = options.UnknownToken;
        return new(BertTokenizer.Create(file, options), ids, lowerCase);
    }

    /// <summary>The ids of a text, no more than <paramref name="most"/>, without special tokens.</summary>
    public IReadOnlyList<int> Encode(string text, int most) => _tokenizer.EncodeToIds(_lowerCase ? Accents.Strip(text) : text, most, addSpecialTokens: false, out _, out _);
}
