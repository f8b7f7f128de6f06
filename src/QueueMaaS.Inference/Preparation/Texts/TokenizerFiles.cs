using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Texts;

namespace QueueMaaS.Inference.Preparation.Texts;

/// <summary>A tokenizer in memory, with the ids that stand around a text.</summary>
/// <param name="Encode">The ids of a text alone; no more than the given number are looked at.</param>
/// <param name="Start">Before each text; null for none.</param>
/// <param name="End">After each text; null for none.</param>
/// <param name="Pad">What texts are filled up with.</param>
internal sealed record LoadedTokenizer(Func<string, int, IReadOnlyList<int>> Encode, int? Start, int? End, int Pad);

/// <summary>Reads a tokenizer's files.</summary>
internal static partial class TokenizerFiles
{
    private const long MaxBytes = 64L << 20;
    private static readonly string[] PadTokens = ["[PAD]", "<pad>", "<|pad|>"];

    /// <summary>Loads the tokenizer of a pipeline from its files.</summary>
    /// <exception cref="ProblemException"><c>pipeline_invalid</c>: a file is not of its kind, or a token is not in it.</exception>
    public static LoadedTokenizer Load(TextPreparation text, string vocabulary, string? merges)
    {
        foreach (var (member, path) in new[] { ("vocabulary", vocabulary), ("merges", merges) })
        {
            if (path is not null && new FileInfo(path).Length > MaxBytes)
                throw At(member, $"the file is larger than {MaxBytes >> 20} MiB, which no tokenizer is.").ToException();
        }

        try
        {
            return text.Kind switch
            {
                TokenizerKind.WordPiece => WordPiece(text, vocabulary),
                TokenizerKind.Bpe => Bpe(text, vocabulary, merges!),
                TokenizerKind.SentencePiece => SentencePiece(text, vocabulary),
                _ => Tiktoken(text, vocabulary),
            };
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or FormatException or JsonException or IOException or NotSupportedException
            or IndexOutOfRangeException or KeyNotFoundException or Google.Protobuf.InvalidProtocolBufferException or OverflowException)
        {
            var kind = JsonNamingPolicy.CamelCase.ConvertName(text.Kind.ToString());
            throw new ProblemException(At("vocabulary", $"the file is not one of a `{kind}` tokenizer: {FirstLine(e.Message)} Upload {FileOf(text.Kind)} as it comes with the model.").ToException().Problem, e);
        }
    }

    private static LoadedTokenizer WordPiece(TextPreparation text, string vocabulary)
    {
        var pieces = WordPieceText.Load(vocabulary, text.LowerCase);
        return new(
            pieces.Encode,
            Id(text, pieces.Ids, "startToken", text.StartToken ?? "[CLS]"), Id(text, pieces.Ids, "endToken", text.EndToken ?? "[SEP]"), Pad(text, pieces.Ids));
    }

    private static LoadedTokenizer Bpe(TextPreparation text, string vocabulary, string merges)
    {
        var ids = JsonSerializer.Deserialize<Dictionary<string, int>>(File.ReadAllBytes(vocabulary))!;
        var tokenizer = BpeTokenizer.Create(new BpeOptions(vocabulary, merges)
        {
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(Gpt2Split(), text.SpecialTokens),
            SpecialTokens = text.SpecialTokens,
        });
        return new(
            (part, most) => tokenizer.EncodeToIds(text.PrefixSpace && !part.StartsWith(' ') ? " " + part : part, most, out _, out _),
            Id(text, ids, "startToken", text.StartToken), Id(text, ids, "endToken", text.EndToken), Pad(text, ids));
    }

    private static LoadedTokenizer SentencePiece(TextPreparation text, string model)
    {
        using var file = File.OpenRead(model);
        var tokenizer = SentencePieceTokenizer.Create(file, addBeginningOfSentence: false, addEndOfSentence: false, text.SpecialTokens);
        return new(
            (part, most) => tokenizer.EncodeToIds(part, addBeginningOfSentence: false, addEndOfSentence: false, most, out _, out _),
            text.StartToken is null ? tokenizer.BeginningOfSentenceId : Id(text, tokenizer.Vocabulary, "startToken", text.StartToken),
            Id(text, tokenizer.Vocabulary, "endToken", text.EndToken), Pad(text, tokenizer.Vocabulary));
    }

    private static LoadedTokenizer Tiktoken(TextPreparation text, string vocabulary)
    {
        using var file = File.OpenRead(vocabulary);
        var split = text.Split switch
        {
            TiktokenSplit.Gpt2 => Gpt2Split(),
            TiktokenSplit.O200k => O200kSplit(),
            _ => Cl100kSplit(),
        };
        var tokenizer = TiktokenTokenizer.Create(file, new RegexPreTokenizer(split, text.SpecialTokens), normalizer: null, text.SpecialTokens);
        var ids = text.SpecialTokens ?? new Dictionary<string, int>();
        return new((part, most) => tokenizer.EncodeToIds(part, most, out _, out _), Id(text, ids, "startToken", text.StartToken), Id(text, ids, "endToken", text.EndToken), Pad(text, ids));
    }

    private static int? Id(TextPreparation text, IReadOnlyDictionary<string, int> vocabulary, string member, string? token)
    {
        if (string.IsNullOrEmpty(token))
            return null;
        if (vocabulary.TryGetValue(token, out var id) || text.SpecialTokens?.TryGetValue(token, out id) == true)
            return id;
        throw At(member, $"the token '{token}' is not in the vocabulary. Give one that is, an empty text for none, or its id in `specialTokens`.").ToException();
    }

    private static int Pad(TextPreparation text, IReadOnlyDictionary<string, int> vocabulary)
    {
        if (text.PadId is { } given)
            return given;
        foreach (var token in PadTokens)
        {
            if (vocabulary.TryGetValue(token, out var id) || text.SpecialTokens?.TryGetValue(token, out id) == true)
                return id;
        }

        return 0;
    }

    private static string FileOf(TokenizerKind kind) => kind switch
    {
        TokenizerKind.WordPiece => "vocab.txt",
        TokenizerKind.Bpe => "vocab.json and merges.txt",
        TokenizerKind.SentencePiece => "tokenizer.model",
        _ => "the .tiktoken file",
    };

    private static string FirstLine(string message)
    {
        var line = message.Split('\n')[0].Trim();
        line = line.Length > 200 ? line[..200] + "…" : line;
        return line.EndsWith('.') || line.EndsWith('…') ? line : line + ".";
    }

    private static PipelineFault At(string member, string message) => new($"pipeline.text.{member}", message);

    // The published splitting rules of the three families; a text is at most 100,000 characters, and the timeout bounds what a hostile one can cost.
    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant, 5000)]
    private static partial Regex Gpt2Split();

    [GeneratedRegex(@"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+", RegexOptions.CultureInvariant, 5000)]
    private static partial Regex Cl100kSplit();

    [GeneratedRegex(@"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant, 5000)]
    private static partial Regex O200kSplit();
}
