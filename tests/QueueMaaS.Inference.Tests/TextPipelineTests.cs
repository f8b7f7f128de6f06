using System.Runtime.InteropServices;
using System.Text;
using Google.Protobuf;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Texts;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Preparation.Texts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Inference.Tests;

/// <summary>Texts in, token ids out: the expected ids are worked out by hand from vocabularies of a few entries.</summary>
public sealed class TextPipelineTests : IDisposable
{
    private const string WordPieceVocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\nworld\n##s\n!\ncafe\n";

    private static readonly ModelSignature Bert = new(
        [new("input_ids", Datatypes.Int64, [-1, -1]), new("attention_mask", Datatypes.Int64, [-1, -1]), new("token_type_ids", Datatypes.Int64, [-1, -1])],
        [new("logits", Datatypes.Fp32, [-1, 2])]);

    private static readonly ModelSignature IdsOnly = new([new("ids", Datatypes.Int32, [-1, -1])], [new("y", Datatypes.Fp32, [-1, 1])]);

    private readonly TempFolder _folder = new();
    private readonly FolderArtifacts _artifacts;
    private readonly TokenizerCache _cache;

    public TextPipelineTests()
    {
        _artifacts = new(_folder);
        _cache = new(_artifacts);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Word_pieces_stand_between_their_marks_and_shorter_texts_are_filled_up_and_masked()
    {
        var text = new TextPreparation { Kind = TokenizerKind.WordPiece, Vocabulary = _artifacts.Add(WordPieceVocabulary) };

        var inputs = await EncodeAsync(Bert, text, "Hello worlds!", "Café");

        inputs[0].Shape.ShouldBe([2L, 6]);
        Longs(inputs[0].Bytes).ShouldBe([2L, 4, 5, 6, 7, 3, 2, 8, 3, 0, 0, 0]);
        Longs(inputs[1].Bytes).ShouldBe([1L, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
        Longs(inputs[2].Bytes).ShouldAllBe(type => type == 0);
    }

    [Fact]
    public async Task Symbols_and_emoji_reach_a_model_of_word_pieces_as_they_do_in_the_reference()
    {
        var text = new TextPreparation { Kind = TokenizerKind.WordPiece, Vocabulary = _artifacts.Add(WordPieceVocabulary + "$\n€\n😀\n##😀\n") };

        var inputs = await EncodeAsync(Bert, text, "hello$world €", "😀😀", "$");

        Longs(inputs[0].Bytes).ShouldBe([2L, 4, 9, 5, 10, 3, 2, 11, 12, 3, 0, 0, 2, 9, 3, 0, 0, 0]);
    }

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("Ünïcödé Ångström ñ ç", "Unicode Angstrom n c")]
    [InlineData("e\u0301", "e")]
    [InlineData("straße øre 東京", "straße øre 東京")]
    [InlineData("각", "\u1100\u1161\u11A8")]
    [InlineData("ế", "e")]
    public void Accents_come_off_as_the_canonical_decomposition_says(string text, string stripped) => Accents.Strip(text).ShouldBe(stripped);

    [Fact]
    public async Task Case_and_accents_count_where_the_vocabulary_is_cased()
    {
        var text = new TextPreparation { Kind = TokenizerKind.WordPiece, Vocabulary = _artifacts.Add(WordPieceVocabulary), LowerCase = false };

        Longs((await EncodeAsync(Bert, text, "hello Hello"))[0].Bytes).ShouldBe([2L, 4, 1, 3]);
    }

    [Fact]
    public async Task A_text_longer_than_allowed_loses_its_end_or_is_refused()
    {
        var text = new TextPreparation { Kind = TokenizerKind.WordPiece, Vocabulary = _artifacts.Add(WordPieceVocabulary), MaxLength = 4 };

        Longs((await EncodeAsync(Bert, text, "hello hello hello world"))[0].Bytes).ShouldBe([2L, 4, 4, 3]);
        var problem = await Samples.ShouldFailAsync(EncodeAsync(Bert, text with { Truncate = false }, "hello", "hello hello hello"), ProblemCodes.TextInvalid);
        problem.Details!["path"].GetString().ShouldBe("texts[1]");
    }

    [Fact]
    public async Task Lengths_are_rounded_up_or_fixed_as_the_pipeline_says()
    {
        var text = new TextPreparation { Kind = TokenizerKind.WordPiece, Vocabulary = _artifacts.Add(WordPieceVocabulary), MaxLength = 10 };

        (await EncodeAsync(Bert, text with { PadToMultipleOf = 4 }, "hello hello hello"))[0].Shape.ShouldBe([1L, 8]);
        (await EncodeAsync(Bert, text with { Padding = TextPadding.Fixed }, "hello"))[0].Shape.ShouldBe([1L, 10]);
        var five = new ModelSignature([new("ids", Datatypes.Int64, [-1, 5])], Bert.Outputs);
        (await EncodeAsync(five, text with { MaxLength = null }, "hello"))[0].Shape.ShouldBe([1L, 5]);
    }

    [Fact]
    public async Task Byte_pairs_are_merged_in_the_order_of_the_merges()
    {
        // "low lower": l·o, then lo·w; Ġ stands for the space before a word.
        var vocabulary = _artifacts.Add("""{"l":0,"o":1,"w":2,"e":3,"r":4,"Ġ":5,"lo":6,"low":7,"er":8,"Ġlow":9,"</s>":10}""");
        var merges = _artifacts.Add("#version: 0.2\nl o\nlo w\ne r\nĠ low\n");
        var text = new TextPreparation { Kind = TokenizerKind.Bpe, Vocabulary = vocabulary, Merges = merges, Ids = "ids", EndToken = "</s>" };

        Ints((await EncodeAsync(IdsOnly, text, "low lower"))[0].Bytes).ShouldBe([7, 9, 8, 10]);
    }

    [Fact]
    public async Task Tiktoken_files_are_read_with_their_special_tokens()
    {
        var lines = new StringBuilder();
        for (var b = 0; b < 256; b++)
            lines.Append(Convert.ToBase64String([(byte)b])).Append(' ').Append(b).Append('\n');
        lines.Append(Convert.ToBase64String("ab"u8)).Append(" 256\n").Append(Convert.ToBase64String("abc"u8)).Append(" 257\n");
        var text = new TextPreparation
        {
            Kind = TokenizerKind.Tiktoken,
            Vocabulary = _artifacts.Add(lines.ToString()),
            SpecialTokens = new Dictionary<string, int> { ["<|end|>"] = 300 },
            EndToken = "<|end|>",
        };

        Ints((await EncodeAsync(IdsOnly, text, "abcab"))[0].Bytes).ShouldBe([257, 256, 300]);
    }

    [Fact]
    public async Task Sentence_pieces_are_the_likeliest_ones()
    {
        // Unigram pieces with log probabilities: "▁hello" beats its letters.
        var text = new TextPreparation { Kind = TokenizerKind.SentencePiece, Vocabulary = _artifacts.Add(SentencePieces(("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("▁hello", -1, 1), ("▁", -2, 1), ("h", -5, 1), ("e", -5, 1), ("l", -5, 1), ("o", -5, 1))) };

        Ints((await EncodeAsync(IdsOnly, text, "hello"))[0].Bytes).ShouldBe([1, 3]);
        Ints((await EncodeAsync(IdsOnly, text with { StartToken = "", EndToken = "</s>" }, "hello ho"))[0].Bytes).ShouldBe([3, 4, 5, 8, 2]);
    }

    [Fact]
    public async Task A_raw_text_goes_into_the_model_as_it_is()
    {
        var signature = new ModelSignature([new("words", Datatypes.Bytes, [-1, 1])], Bert.Outputs);

        var inputs = await EncodeAsync(signature, new() { Kind = TokenizerKind.Raw }, "eins", "zwei");

        inputs[0].Texts.ToArray().ShouldBe(["eins", "zwei"]);
        inputs[0].Shape.ShouldBe([2L, 1]);
    }

    [Theory]
    [InlineData("", ProblemCodes.TextInvalid)]
    [InlineData("  \n", ProblemCodes.TextInvalid)]
    public async Task An_empty_text_is_refused(string empty, string code)
    {
        var text = new TextPreparation { Kind = TokenizerKind.WordPiece, Vocabulary = _artifacts.Add(WordPieceVocabulary) };

        await Samples.ShouldFailAsync(EncodeAsync(Bert, text, empty), code);
        await Samples.ShouldFailAsync(EncodeAsync(Bert, text, new string('x', 100_001)), code);
    }

    [Theory]
    [InlineData(TokenizerKind.WordPiece, "hello\nworld\n")]
    [InlineData(TokenizerKind.Bpe, "not json")]
    [InlineData(TokenizerKind.Bpe, "[1,2]")]
    [InlineData(TokenizerKind.SentencePiece, "just some bytes")]
    [InlineData(TokenizerKind.Tiktoken, "no base64 here\n")]
    public async Task A_file_that_is_not_the_tokenizers_is_refused_at_registration(TokenizerKind kind, string content)
    {
        var file = _artifacts.Add(content);
        var text = new TextPreparation { Kind = kind, Vocabulary = file, Merges = kind == TokenizerKind.Bpe ? file : null };

        var problem = await Samples.ShouldFailAsync(PipelineCheck.CheckAsync(IdsOnly, new() { Text = text }, _cache, CancellationToken.None), ProblemCodes.PipelineInvalid);

        problem.Details!["path"].GetString()!.ShouldStartWith("pipeline.text.");
    }

    [Fact]
    public async Task A_tokenizer_that_was_never_uploaded_is_named()
    {
        var text = new TextPreparation { Kind = TokenizerKind.WordPiece, Vocabulary = $"sha256:{new string('0', 64)}" };

        (await Samples.ShouldFailAsync(PipelineCheck.CheckAsync(Bert, new() { Text = text }, _cache, CancellationToken.None), ProblemCodes.ArtifactNotFound)).Message.ShouldContain("pipeline.text.vocabulary");
    }

    [Fact]
    public void A_text_pipeline_that_does_not_fit_the_model_is_refused_at_registration()
    {
        Refused(Bert, new() { Kind = TokenizerKind.WordPiece }, "vocabulary");
        Refused(Bert, new() { Kind = TokenizerKind.Bpe, Vocabulary = "sha256:0" }, "merges");
        Refused(Bert, new() { Kind = TokenizerKind.Raw }, "ids");
        Refused(Bert, new() { Kind = TokenizerKind.WordPiece, Vocabulary = "sha256:0", MaxLength = 0 }, "maxLength");
        Refused(Bert, new() { Kind = TokenizerKind.WordPiece, Vocabulary = "sha256:0", MaxLength = 1 }, "maxLength");
        Refused(Bert, new() { Kind = TokenizerKind.WordPiece, Vocabulary = "sha256:0", MaxLength = 2 }, "maxLength");
        Refused(Bert, new() { Kind = TokenizerKind.WordPiece, Vocabulary = "sha256:0", Mask = "nothing" }, "mask");
        Refused(new([new("x", Datatypes.Fp32, [-1, -1])], Bert.Outputs), new() { Kind = TokenizerKind.WordPiece, Vocabulary = "sha256:0" }, "ids");

        static void Refused(ModelSignature signature, TextPreparation text, string member) =>
            Samples.ShouldFail(() => PipelineCheck.Check(signature, new() { Text = text }), ProblemCodes.PipelineInvalid).Details!["path"].GetString().ShouldBe($"pipeline.text.{member}");
    }

    [Fact]
    public async Task Tokenizers_are_kept_and_the_longest_unused_goes_first()
    {
        for (var i = 0; i < TokenizerCache.Keep + 3; i++)
            await _cache.GetAsync(new() { Kind = TokenizerKind.WordPiece, Vocabulary = _artifacts.Add($"{WordPieceVocabulary}extra{i}\n") }, CancellationToken.None);

        _cache.Count.ShouldBe(TokenizerCache.Keep);
    }

    private async Task<IReadOnlyList<Tensors.TensorBuffer>> EncodeAsync(ModelSignature signature, TextPreparation text, params string[] texts)
    {
        var tokenizer = await _cache.GetAsync(text, CancellationToken.None);
        return InferenceRequestCheck.Prepare(signature, new() { Text = text }, new() { Model = "m", Texts = texts }, new() { Tokenizer = tokenizer }).Inputs;
    }

    private static long[] Longs(ReadOnlyMemory<byte> bytes) => MemoryMarshal.Cast<byte, long>(bytes.Span).ToArray();

    private static int[] Ints(ReadOnlyMemory<byte> bytes) => MemoryMarshal.Cast<byte, int>(bytes.Span).ToArray();

    /// <summary>A SentencePiece model file: pieces (field 1) of text, score and type; the trainer's specification (field 2) says unigram and names the marks; the normaliser's (field 3) puts a space in front.</summary>
    private static byte[] SentencePieces(params (string Text, float Score, int Type)[] pieces)
    {
        using var file = new MemoryStream();
        using (var output = new CodedOutputStream(file, leaveOpen: true))
        {
            foreach (var (text, score, type) in pieces)
            {
                Message(output, 1, piece =>
                {
                    piece.WriteTag(1, WireFormat.WireType.LengthDelimited);
                    piece.WriteString(text);
                    piece.WriteTag(2, WireFormat.WireType.Fixed32);
                    piece.WriteFloat(score);
                    piece.WriteTag(3, WireFormat.WireType.Varint);
                    piece.WriteInt32(type);
                });
            }

            Message(output, 2, trainer =>
            {
                foreach (var (field, value) in new[] { (3, 1), (40, 0), (41, 1), (42, 2) })
                {
                    trainer.WriteTag(field, WireFormat.WireType.Varint);
                    trainer.WriteInt32(value);
                }
            });
            Message(output, 3, normaliser =>
            {
                foreach (var field in new[] { 3, 4, 5 })
                {
                    normaliser.WriteTag(field, WireFormat.WireType.Varint);
                    normaliser.WriteBool(true);
                }
            });
        }

        return file.ToArray();
    }

    private static void Message(CodedOutputStream output, int field, Action<CodedOutputStream> write)
    {
        using var memory = new MemoryStream();
        using (var inner = new CodedOutputStream(memory, leaveOpen: true))
            write(inner);
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(ByteString.CopyFrom(memory.ToArray()));
    }

    /// <summary>Artifacts as files of a folder.</summary>
    private sealed class FolderArtifacts(TempFolder folder) : IArtifactStore
    {
        public string Add(string content) => Add(Encoding.UTF8.GetBytes(content));

        public string Add(byte[] content)
        {
            var id = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(content));
            File.WriteAllBytes(folder.File(id), content);
            return $"sha256:{id}";
        }

        public Task<Artifact> PutAsync(Stream content, long maxBytes, CancellationToken cancellationToken) => throw new InvalidOperationException("No test stores anything.");

        public Task<string> GetFileAsync(string artifactId, CancellationToken cancellationToken) => File.Exists(folder.File(artifactId[7..]))
            ? Task.FromResult(folder.File(artifactId[7..]))
            : throw new ProblemException(ProblemCodes.ArtifactNotFound, $"There is no artifact `{artifactId}`.");

        public Task DeleteAsync(string artifactId, CancellationToken cancellationToken) => throw new InvalidOperationException("No test removes anything.");
    }
}
