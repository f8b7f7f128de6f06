using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;

namespace QueueMaaS.Data.Texts;

/// <summary>
/// The words of a text as the reference tokenizer of BERT sees them (BasicTokenizer): control characters go, whitespace splits, each punctuation mark and each ideograph is a word of its own,
/// and everything else, symbols and emoji too, stays part of its word. The library's own rules drop what is neither letter nor punctuation, and join words over a line break.
/// </summary>
internal sealed partial class BertWords(bool lowerCase) : Normalizer
{
    /// <summary>Splits what <see cref="Normalize(string)"/> returns; the special tokens are told from words before.</summary>
    public static PreTokenizer Splitter(IReadOnlyDictionary<string, int> specialTokens) => new RegexPreTokenizer(Word(), specialTokens);

    /// <summary>The words of a text.</summary>
    public IEnumerable<string> Of(string text) => Word().Matches(Normalize(text)).Select(m => m.Value);

    /// <inheritdoc/>
    public override string Normalize(string original)
    {
        var cleaned = new StringBuilder(original.Length);
        // Half a surrogate pair is read as the replacement character, which goes as well.
        foreach (var rune in (lowerCase ? Accents.Strip(original) : original).EnumerateRunes())
        {
            var category = Rune.GetUnicodeCategory(rune);
            if (rune.Value is '\t' or '\n' or '\r' || category == UnicodeCategory.SpaceSeparator)
                cleaned.Append(' ');
            else if (rune.Value == 0xFFFD || category is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse)
                continue;
            else if (IsIdeograph(rune.Value) || (!rune.IsBmp && IsPunctuation(category)))
                // Marks beyond the basic plane are parted here: a pattern sees halves of a pair, which have no category.
                cleaned.Append(' ').Append(rune).Append(' ');
            else if (!lowerCase)
                cleaned.Append(rune);
            else if (category != UnicodeCategory.NonSpacingMark)
                cleaned.Append(Rune.ToLowerInvariant(rune));
        }

        return cleaned.ToString();
    }

    /// <inheritdoc/>
    public override string Normalize(ReadOnlySpan<char> original) => Normalize(original.ToString());

    private static bool IsPunctuation(UnicodeCategory category) => category is >= UnicodeCategory.ConnectorPunctuation and <= UnicodeCategory.OtherPunctuation;

    private static bool IsIdeograph(int rune) => rune is (>= 0x3400 and <= 0x4DBF) or (>= 0x4E00 and <= 0x9FFF) or (>= 0xF900 and <= 0xFAFF)
        or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2CEAF) or (>= 0x2F800 and <= 0x2FA1F);

    // ASCII's symbols count as punctuation, as in the reference.
    [GeneratedRegex(@"[\p{P}$+<=>^`|~]|[^\s\p{P}$+<=>^`|~]+", RegexOptions.CultureInvariant, 5000)]
    private static partial Regex Word();
}
