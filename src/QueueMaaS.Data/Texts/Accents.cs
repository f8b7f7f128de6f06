using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace QueueMaaS.Data.Texts;

/// <summary>
/// Takes the accents off letters, as uncased vocabularies need it: Unicode's canonical decomposition, less the marks that stand above or below (category Mn).
/// The program runs without the system's Unicode library (a machine need not have one), and then the framework cannot decompose. So what each letter of the basic plane becomes stands in
/// <c>accents.txt</c>, one on a line with its result behind it; Hangul syllables follow the standard's arithmetic (Unicode 16, section 3.12).
/// </summary>
public static class Accents
{
    private const char FirstSyllable = '\uAC00';
    private const char LastSyllable = '\uD7A3';
    private const int Vowels = 21;
    private const int Finals = 28;

    private static readonly FrozenDictionary<char, string> Decomposed = Read();

    /// <summary>The text without accents.</summary>
    public static string Strip(string text)
    {
        if (Ascii.IsValid(text))
            return text;
        var changed = new StringBuilder(text.Length);
        foreach (var c in text)
        {
            if (c is >= FirstSyllable and <= LastSyllable)
                Syllable(c - FirstSyllable, changed);
            else if (Decomposed.TryGetValue(c, out var letters))
                changed.Append(letters);
            else if (CharUnicodeInfo.GetUnicodeCategory(c) != UnicodeCategory.NonSpacingMark)
                changed.Append(c);
        }

        return changed.ToString();
    }

    private static void Syllable(int index, StringBuilder target)
    {
        target.Append((char)(0x1100 + (index / (Vowels * Finals)))).Append((char)(0x1161 + (index / Finals % Vowels)));
        if (index % Finals > 0)
            target.Append((char)(0x11A7 + (index % Finals)));
    }

    private static FrozenDictionary<char, string> Read()
    {
        using var resource = typeof(Accents).Assembly.GetManifestResourceStream("accents.txt")!;
        using var reader = new StreamReader(resource);
        var letters = new Dictionary<char, string>();
        while (reader.ReadLine() is { Length: > 0 } line)
            letters[line[0]] = line[1..];
        return letters.ToFrozenDictionary();
    }
}
