using QueueMaaS.Data.Texts;

namespace QueueMaaS.Data.Tests;

/// <summary>Tokens as the reference tokenizer of BERT makes them (BasicTokenizer, then WordPiece), worked out by hand from its rules.</summary>
public sealed class WordPieceTests : IDisposable
{
    private static readonly string[] Vocabulary =
    [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "is", "a", "b", "##b", "cafe", "Café", "Hello", "hello", "1", "##0", "##€", "$", "€", "+", "=", "☺", "##☺", "😀", "##😀", "😡",
        "👨", "##👩", "❤", "!", "?", "_", "^", "|", "~", "<", ">", "`", "汉", "字", "。", "x", "\U00011047", "ⓐ", "'", "s", "[", "]", "sep",
    ];

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("the $ is", "the $ is")]
    [InlineData("the € is", "the € is")]
    [InlineData("the is", "the is")]
    [InlineData("😀", "😀")]
    [InlineData("☺", "☺")]
    [InlineData("+ = 😡!", "+ = 😡 !")]
    // ASCII's symbols stand alone, other symbols belong to their word.
    [InlineData("a$b", "a $ b")]
    [InlineData("a+b=a", "a + b = a")]
    [InlineData("a_b^a|b~<a>`", "a _ b ^ a | b ~ < a > `")]
    [InlineData("10€", "1 ##0 ##€")]
    [InlineData("a™", "[UNK]")]
    [InlineData("☺☺ 😀😀", "☺ ##☺ 😀 ##😀")]
    // The joiner between the two is a format character and goes; so does the variation selector, as accents do.
    [InlineData("👨\u200D👩 ❤\uFE0F", "👨 ##👩 ❤")]
    [InlineData("a\u0007b\u0000\uFFFD\u200B", "a ##b")]
    [InlineData("\uD83D a \uDE00", "a")]
    // Line breaks and tabs split, as do all other kinds of space.
    [InlineData("a\nb\ta\r\nb\u00A0a\u3000b\u2028a", "a b a b a b a")]
    [InlineData("Hello CAFÉ cafe\u0301 Ⓐ", "hello cafe cafe ⓐ")]
    [InlineData("汉字。x汉", "汉 字 。 x 汉")]
    [InlineData("x\U00011047x", "x \U00011047 x")]
    [InlineData("it's [SEP] [b]", "[UNK] ' s [SEP] [ b ]")]
    public void Uncased_texts(string text, string tokens) => Tokens(text, lowerCase: true).ShouldBe(tokens);

    [Theory]
    [InlineData("Hello CAFÉ Café $😀", "Hello [UNK] Café $ 😀")]
    [InlineData("[SEP] [sep]", "[SEP] [ sep ]")]
    public void Cased_texts(string text, string tokens) => Tokens(text, lowerCase: false).ShouldBe(tokens);

    [Fact]
    public void No_more_tokens_are_made_than_asked_for_and_no_fewer()
    {
        var pieces = Load(lowerCase: true);
        pieces.Encode("a$b 😀😀😀😀 a", 4).Select(id => Vocabulary[id]).ShouldBe(["a", "$", "b", "😀"], "a word that fits in part is cut");
        pieces.Encode("a", 4).Count.ShouldBe(1);
        pieces.Encode(string.Concat(Enumerable.Repeat("😀", 50)), 7).Count.ShouldBe(7);
        pieces.Encode("a", int.MaxValue).Count.ShouldBe(1);
    }

    [Fact]
    public void A_vocabulary_holds_the_words_that_the_tokenizer_will_see()
    {
        // What stands for itself is one token, and nothing is unknown.
        string[] texts = ["The $ is 10€", "a$b 😀😀 ☺", "汉字 Ünï\ncode", "👨\u200D👩 [b]"];
        var vocabulary = WordVocabulary.Build(texts, size: 200, leastCount: 1, lowerCase: true);
        foreach (var word in new[] { "$", "10€", "😀😀", "☺", "汉", "字", "uni", "code", "👨👩", "[" })
            vocabulary.ShouldContain(word);
        vocabulary.ShouldNotContain("汉字");

        File.WriteAllText(_folder.File("vocab.txt"), string.Join('\n', vocabulary) + "\n");
        var pieces = WordPieceText.Load(_folder.File("vocab.txt"), lowerCase: true);

        foreach (var text in texts)
            pieces.Encode(text, 100).ShouldNotContain(1, text);
        pieces.Encode("the $ is", 100).ShouldNotBe(pieces.Encode("the ☺ is", 100));
        pieces.Encode("😀😀", 100).Select(id => vocabulary[id]).ShouldBe(["😀😀"]);
        pieces.Encode("☺😀", 100).Select(id => vocabulary[id]).ShouldBe(["☺", "##😀"]);
    }

    private string Tokens(string text, bool lowerCase) => string.Join(' ', Load(lowerCase).Encode(text, 1000).Select(id => Vocabulary[id]));

    private WordPieceText Load(bool lowerCase)
    {
        File.WriteAllText(_folder.File("vocab.txt"), string.Join('\n', Vocabulary) + "\n");
        return WordPieceText.Load(_folder.File("vocab.txt"), lowerCase);
    }
}
