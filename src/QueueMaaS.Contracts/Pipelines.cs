using System.Text.Json.Serialization;

namespace QueueMaaS.Contracts;

/// <summary>How a request's image, row or text becomes the model's tensors, and how its outputs become labels, boxes or values.</summary>
public sealed record ModelPipeline
{
    /// <summary>For models that take images.</summary>
    public ImagePreparation? Image { get; init; }
    /// <summary>For models that take table rows.</summary>
    public TablePreparation? Table { get; init; }
    /// <summary>For models that take texts.</summary>
    public TextPreparation? Text { get; init; }
    /// <summary>Class names by class index, in the order of the last axis of the output that holds the scores.</summary>
    public IReadOnlyList<string>? Labels { get; init; }
    /// <summary>How outputs become answers. Default: with <see cref="Labels"/>, a softmax over the last axis of the first output gives the scores; without, the tensors are the answer.</summary>
    public Postprocessing? Postprocess { get; init; }
}

/// <summary>
/// Decode (EXIF orientation applied), resize to <see cref="Width"/> × <see cref="Height"/>, then for each value <c>(value × scale − mean) ÷ deviation</c>, laid out as <see cref="Layout"/> says.
/// The tensor has the input's own datatype: FP16, FP32 or FP64; UINT8 and INT8 are rounded and clamped.
/// </summary>
/// <param name="Width">Pixels.</param>
/// <param name="Height">Pixels.</param>
/// <param name="Channels">3 (colour) or 1 (grey, ITU-R 601 luma).</param>
/// <param name="Mean">One number, or one per channel in the order of <see cref="Order"/>, in units of the scaled values; default 0.</param>
/// <param name="Deviation">One number, or one per channel in the order of <see cref="Order"/>, in units of the scaled values; default 1.</param>
public sealed record ImagePreparation(
    int Width, int Height, int Channels, [property: JsonConverter(typeof(NumberOrListConverter))] IReadOnlyList<double>? Mean = null, [property: JsonConverter(typeof(NumberOrListConverter))] IReadOnlyList<double>? Deviation = null)
{
    /// <summary>The input that the image feeds. Default: the model's first.</summary>
    public string? Input { get; init; }
    /// <summary>How an image of another shape is brought to <see cref="Width"/> × <see cref="Height"/>. Default <see cref="ResizeMode.Stretch"/>.</summary>
    public ResizeMode Mode { get; init; }
    /// <summary>Resize so that the shorter side has this many pixels, then cut <see cref="Width"/> × <see cref="Height"/> out of the middle (256 and then 224 × 224 is usual). At least the greater of the two. Default: none, and <see cref="Mode"/> decides. Takes the place of <see cref="Mode"/>.</summary>
    public int? Resize { get; init; }
    /// <summary>The colour around a <see cref="ResizeMode.Fit"/> image: one number or one per channel in the order red, green, blue, 0 to 255. Default 0 (black).</summary>
    [JsonConverter(typeof(NumberOrListConverter))]
    public IReadOnlyList<double>? Fill { get; init; }
    /// <summary>How pixels between pixels are computed. Default <see cref="Interpolation.Bilinear"/>.</summary>
    public Interpolation Interpolation { get; init; }
    /// <summary>The order of the channels. Default <see cref="ChannelOrder.Rgb"/>.</summary>
    public ChannelOrder Order { get; init; }
    /// <summary>What each value from 0 to 255 is multiplied by. Default 1/255; 1 where the input is UINT8 or INT8.</summary>
    public double? Scale { get; init; }
    /// <summary>The order of the tensor's axes. Default <see cref="ImageLayout.Nchw"/>.</summary>
    public ImageLayout Layout { get; init; }
    /// <summary>What becomes of transparency. Default <see cref="AlphaMode.White"/>.</summary>
    public AlphaMode Alpha { get; init; }
}

/// <summary>How an image is brought to a size of another shape.</summary>
public enum ResizeMode
{
    /// <summary>Each axis by itself; the aspect is not kept.</summary>
    Stretch,
    /// <summary>The whole image, its aspect kept, in the middle of a filled area (letterbox).</summary>
    Fit,
    /// <summary>As large as needed to cover the area, its aspect kept, then the middle is cut out.</summary>
    Cover,
}

/// <summary>How pixels between pixels are computed.</summary>
public enum Interpolation
{
    /// <summary>Triangle filter; the area is considered when the image shrinks (antialiasing).</summary>
    Bilinear,
    /// <summary>The nearest pixel, as it is.</summary>
    Nearest,
    /// <summary>Cubic filter (a = −0.5), with antialiasing.</summary>
    Bicubic,
    /// <summary>The mean over the area that a new pixel covers.</summary>
    Area,
}

/// <summary>The order of colour channels.</summary>
public enum ChannelOrder
{
    /// <summary>Red, green, blue.</summary>
    Rgb,
    /// <summary>Blue, green, red.</summary>
    Bgr,
}

/// <summary>The order of an image tensor's axes.</summary>
public enum ImageLayout
{
    /// <summary>Batch, channels, height, width.</summary>
    Nchw,
    /// <summary>Batch, height, width, channels.</summary>
    Nhwc,
}

/// <summary>What becomes of an image's transparency.</summary>
public enum AlphaMode
{
    /// <summary>The image is laid on white.</summary>
    White,
    /// <summary>Alpha is dropped and the colours are taken as stored, as most training loaders do (and ours does).</summary>
    Ignore,
}

/// <summary>Which columns a row has, and how they become the model's inputs: columns of the same input stand side by side in their order.</summary>
public sealed record TablePreparation
{
    /// <summary>The columns, 1 to 10,000.</summary>
    public required IReadOnlyList<TableColumn> Columns { get; init; }
    /// <summary>The input of columns that name none. Default: the model's first.</summary>
    public string? Input { get; init; }
}

/// <summary>A column of a table.</summary>
public sealed record TableColumn
{
    /// <summary>Its name in <c>row</c> objects.</summary>
    public required string Name { get; init; }
    /// <summary>What its values are.</summary>
    public required ColumnKind Kind { get; init; }
    /// <summary>The input that it feeds. Default: that of the table.</summary>
    public string? Input { get; init; }
    /// <summary>Stands in for a value that is missing or null: a number, a text or true/false, as a row would give it. Default: a missing value is an error.</summary>
    public System.Text.Json.JsonElement? Missing { get; init; }
    /// <summary>Numbers: smaller ones are moved to this first (outliers). Default: they are not.</summary>
    public double? Least { get; init; }
    /// <summary>Numbers: greater ones are moved to this first. Default: they are not.</summary>
    public double? Greatest { get; init; }
    /// <summary>Numbers: take the logarithm of 1 + value first; values of −1 and below are then errors. Default false.</summary>
    public bool Log1p { get; init; }
    /// <summary>Numbers: <c>(value − mean) ÷ deviation</c>. Default 0. Not together with <see cref="Min"/> and <see cref="Max"/>.</summary>
    public double? Mean { get; init; }
    /// <summary>Numbers: see <see cref="Mean"/>. Default 1.</summary>
    public double? Deviation { get; init; }
    /// <summary>Numbers: <c>(value − min) ÷ (max − min)</c>; given together with <see cref="Max"/>.</summary>
    public double? Min { get; init; }
    /// <summary>Numbers: see <see cref="Min"/>.</summary>
    public double? Max { get; init; }
    /// <summary>Categories: the known ones, in the order of their indexes. May be left out where the input is BYTES, which takes the text itself.</summary>
    public IReadOnlyList<string>? Categories { get; init; }
    /// <summary>Categories: how one becomes numbers. Default <see cref="CategoryEncoding.OneHot"/>. Not looked at where the input is BYTES.</summary>
    public CategoryEncoding Encoding { get; init; }
    /// <summary>Categories: what becomes of one that is not known. Default <see cref="UnknownCategory.Error"/>.</summary>
    public UnknownCategory Unknown { get; init; }
}

/// <summary>What a column's values are.</summary>
public enum ColumnKind
{
    /// <summary>A number; one column of the input.</summary>
    Number,
    /// <summary>A text or whole number out of a list; one column, or one per category.</summary>
    Category,
    /// <summary>true or false; 1 or 0 in one column of the input.</summary>
    Boolean,
}

/// <summary>How a category becomes numbers.</summary>
public enum CategoryEncoding
{
    /// <summary>One column per category: 1 for the one that it is, else 0.</summary>
    OneHot,
    /// <summary>One column: the category's index, from 0.</summary>
    Index,
}

/// <summary>What becomes of a category that is not known.</summary>
public enum UnknownCategory
{
    /// <summary>The request is refused.</summary>
    Error,
    /// <summary>Zero for every category (one-hot only).</summary>
    Zeros,
    /// <summary>An index of its own after the known ones; with one-hot one more column.</summary>
    Reserved,
}

/// <summary>How a text becomes the model's inputs.</summary>
public sealed record TextPreparation
{
    /// <summary>What makes tokens of the text.</summary>
    public required TokenizerKind Kind { get; init; }
    /// <summary>The tokenizer's file, an uploaded artifact <c>sha256:…</c>: <c>vocab.txt</c> (WordPiece), <c>vocab.json</c> (BPE), <c>tokenizer.model</c> (SentencePiece) or the <c>.tiktoken</c> file. Not for <see cref="TokenizerKind.Raw"/>.</summary>
    public string? Vocabulary { get; init; }
    /// <summary>BPE: <c>merges.txt</c>, an uploaded artifact.</summary>
    public string? Merges { get; init; }
    /// <summary>WordPiece: lower-case the text and strip accents first (an <c>uncased</c> vocabulary). Default true.</summary>
    public bool LowerCase { get; init; } = true;
    /// <summary>BPE: put a space before the text, as RoBERTa and Bart are sometimes trained. Default false.</summary>
    public bool PrefixSpace { get; init; }
    /// <summary>Tiktoken: how the text is split before merging. Default <see cref="TiktokenSplit.Cl100k"/>.</summary>
    public TiktokenSplit Split { get; init; }
    /// <summary>Tokens that the file does not hold, with their ids (tiktoken's <c>&lt;|endoftext|&gt;</c>).</summary>
    public IReadOnlyDictionary<string, int>? SpecialTokens { get; init; }
    /// <summary>The token before each text; empty for none. Default: <c>[CLS]</c> for WordPiece, the model file's beginning of sentence for SentencePiece, else none.</summary>
    public string? StartToken { get; init; }
    /// <summary>The token after each text; empty for none. Default: <c>[SEP]</c> for WordPiece, else none.</summary>
    public string? EndToken { get; init; }
    /// <summary>Most tokens of a text, start and end counted, 1 to 131,072. Default: the input's fixed length, else 512.</summary>
    public int? MaxLength { get; init; }
    /// <summary>True: longer texts lose their end. False: they are refused. Default true.</summary>
    public bool Truncate { get; init; } = true;
    /// <summary>To which length texts are filled up. Default: to the input's length where it is fixed, else to the longest of the request.</summary>
    public TextPadding? Padding { get; init; }
    /// <summary>Round the padded length up to a multiple of this, 1 to 1,024: fewer different lengths batch better. Default 1.</summary>
    public int PadToMultipleOf { get; init; } = 1;
    /// <summary>What texts are filled up with. Default: the id of <c>[PAD]</c>, <c>&lt;pad&gt;</c> or <c>&lt;|pad|&gt;</c> where the vocabulary has it, else 0.</summary>
    public int? PadId { get; init; }
    /// <summary>The input for the ids (or, for <see cref="TokenizerKind.Raw"/>, for the text). Default <c>input_ids</c> where the model has it, else its first input.</summary>
    public string? Ids { get; init; }
    /// <summary>The input for the attention mask, 1 for tokens and 0 for padding. Default <c>attention_mask</c> where the model has it.</summary>
    public string? Mask { get; init; }
    /// <summary>The input for the token types, all 0. Default <c>token_type_ids</c> where the model has it.</summary>
    public string? Types { get; init; }
}

/// <summary>What makes tokens of a text.</summary>
public enum TokenizerKind
{
    /// <summary>Nothing: the text goes into a BYTES input as it is.</summary>
    Raw,
    /// <summary>BERT's basic splitting and WordPiece.</summary>
    WordPiece,
    /// <summary>Byte-level byte pair encoding, as GPT-2 and RoBERTa have it.</summary>
    Bpe,
    /// <summary>SentencePiece (BPE or unigram), as Llama and T5 have it.</summary>
    SentencePiece,
    /// <summary>Byte pair encoding over a tiktoken file.</summary>
    Tiktoken,
}

/// <summary>How tiktoken splits a text before merging.</summary>
public enum TiktokenSplit
{
    /// <summary>As <c>cl100k_base</c> does.</summary>
    Cl100k,
    /// <summary>As <c>o200k_base</c> does.</summary>
    O200k,
    /// <summary>As <c>gpt2</c>, <c>r50k_base</c> and <c>p50k_base</c> do.</summary>
    Gpt2,
}

/// <summary>To which length texts are filled up.</summary>
public enum TextPadding
{
    /// <summary>The longest text of the request.</summary>
    Longest,
    /// <summary>Always <see cref="TextPreparation.MaxLength"/>.</summary>
    Fixed,
}
