using System.Buffers.Text;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation.Images;
using QueueMaaS.Inference.Preparation.Tables;
using QueueMaaS.Inference.Preparation.Texts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation;

/// <summary>Holds a request against a model's signature and pipeline. Needs no model file and no native library, so that the API can refuse at once.</summary>
public static class InferenceRequestCheck
{
    /// <summary>Most labels given.</summary>
    public const int MaxTopK = 100;

    /// <summary>Most rows in one request.</summary>
    public const int MaxRows = 10_000;

    /// <summary>Most texts in one request.</summary>
    public const int MaxTexts = 1_000;

    /// <summary>Most characters of one text.</summary>
    public const int MaxCharacters = 100_000;

    /// <summary>Checks everything but the pixels of an image and the number of tokens of a text.</summary>
    /// <exception cref="ProblemException">
    /// <c>invalid_request</c>, <c>invalid_value</c>, <c>too_large</c>, <c>image_input_unsupported</c>, <c>row_input_unsupported</c>, <c>row_invalid</c>, <c>text_input_unsupported</c>, <c>text_invalid</c>,
    /// <c>tensor_name_mismatch</c>, <c>tensor_datatype_mismatch</c> or <c>tensor_shape_mismatch</c>.
    /// </exception>
    /// <returns>The request, where all that it takes was read for the check: not of an image or of texts.</returns>
    public static PreparedRequest? Check(ModelSignature signature, ModelPipeline? pipeline, InferenceInput input, RaggedAxis? ragged = null)
    {
        CheckSettings(signature, input);
        if (input.Inputs is { } tensors)
            return FromTensors(signature, tensors, ragged);
        if (Rows(input) is { } rows)
            return FromPipeline(signature, TableEncoder.For(signature, pipeline).Encode(rows, index => PathOf(input, index)));
        if (input.Image is { } image)
            CheckImage(signature, pipeline, image);
        else
            CheckTexts(signature, pipeline, input);
        return null;
    }

    /// <summary>Checks a request and makes it ready.</summary>
    /// <param name="signature">Of the model version.</param>
    /// <param name="pipeline">Of the model version.</param>
    /// <param name="input">The request.</param>
    /// <param name="files">What the request needs beside its JSON.</param>
    /// <param name="ragged">Of the model version; its mask may be left out of the request.</param>
    internal static PreparedRequest Prepare(ModelSignature signature, ModelPipeline? pipeline, InferenceInput input, RequestFiles files, RaggedAxis? ragged = null)
    {
        CheckSettings(signature, input);
        if (input.Inputs is { } tensors)
            return FromTensors(signature, tensors, ragged);
        if (Rows(input) is { } rows)
            return FromPipeline(signature, TableEncoder.For(signature, pipeline).Encode(rows, index => PathOf(input, index)));
        if (input.Image is not { } image)
        {
            var texts = CheckTexts(signature, pipeline, input);
            return FromPipeline(signature, new TextEncoder(signature, pipeline!.Text!, files.Tokenizer).Encode(texts, index => PathOf(input, index)));
        }

        var pixels = CheckImage(signature, pipeline, image);
        var file = files.Image
            ?? (image.Base64 is { } base64 ? Convert.FromBase64String(base64) : throw new ArgumentException("The bytes of the image's artifact are needed.", nameof(files)));
        return FromImage(signature, pixels, pixels.Decode(file.Span));
    }

    /// <summary>Makes a request of an image in the model's size.</summary>
    internal static PreparedRequest FromImage(ModelSignature signature, ImagePixels pixels, PlacedImage image) =>
        new([pixels.ToTensor(image.Pixels)], 1, "", HasBatchAxis(signature), FromPipeline: true) { Placement = image.Placement };

    /// <exception cref="ProblemException"><c>invalid_value</c>.</exception>
    public static void CheckTopK(int? topK)
    {
        if (topK is < 1 or > MaxTopK)
            throw Invalid("topK", $"'topK' is {topK}; it must be between 1 and {MaxTopK}.");
    }

    /// <summary>True where the signature allows batches: every input and output has a free first axis.</summary>
    internal static bool HasBatchAxis(ModelSignature signature) => signature.Inputs.Count > 0 && HaveFreeFirstAxis(signature.Inputs) && HaveFreeFirstAxis(signature.Outputs);

    // Loops without iterators: every request comes through here.
    private static bool HaveFreeFirstAxis(IReadOnlyList<TensorSignature> tensors)
    {
        for (var i = 0; i < tensors.Count; i++)
        {
            if (tensors[i].Shape.Count == 0 || tensors[i].Shape[0] != -1)
                return false;
        }

        return true;
    }

    private static void CheckSettings(ModelSignature signature, InferenceInput input)
    {
        ArgumentNullException.ThrowIfNull(signature);
        ArgumentNullException.ThrowIfNull(input);
        var given = new[] { ("inputs", (object?)input.Inputs), ("image", input.Image), ("row", input.Row), ("rows", input.Rows), ("text", input.Text), ("texts", input.Texts) }
            .Where(member => member.Item2 is not null).Select(member => $"'{member.Item1}'").ToArray();
        if (given.Length != 1)
        {
            throw Malformed("inputs", given.Length == 0
                ? "The request has neither 'inputs' nor 'image', 'row', 'rows', 'text' or 'texts'. Give one of them: tensors, or what the model's pipeline makes tensors of."
                : $"The request has {string.Join(" and ", given)}. Give only one of them.");
        }

        CheckTopK(input.TopK);
        if (input.TimeoutMs is { } timeout && timeout is not (> 0 and <= 3_600_000))
            throw Invalid("timeoutMs", $"'timeoutMs' is {timeout}; it must be above 0 and at most 3,600,000.");
        foreach (var name in input.Outputs ?? [])
        {
            if (signature.Outputs.All(o => o.Name != name))
            {
                throw new ProblemException(
                    ProblemCodes.TensorNameMismatch,
                    $"The model has no output '{name}'. Its outputs are {string.Join(", ", signature.Outputs.Select(o => $"'{o.Name}'"))}; name some of them in 'outputs', or leave it out for all.",
                    ("outputs", signature.Outputs.Select(o => o.Name).ToArray()));
            }
        }
    }

    private static ImagePixels CheckImage(ModelSignature signature, ModelPipeline? pipeline, ImageSource image)
    {
        var pixels = ImagePixels.For(signature, pipeline);
        if (image.Base64 is null == image.Artifact is null)
            throw Malformed("image", "Give exactly one of 'image.base64' (the file's bytes) and 'image.artifact' (an uploaded file's sha256:… id).");
        if (image.Base64 is "")
            throw Invalid("image.base64", "'image.base64' is empty: there is no image in it. Give the bytes of an image file; was the file read before it was written?");
        if (image.Base64 is { } base64 && !Base64.IsValid(base64))
            throw Invalid("image.base64", "'image.base64' is not base64. Encode the image file's bytes with the standard alphabet (A–Z, a–z, 0–9, +, /) and padding, without a data: prefix.");
        return pixels;
    }

    private static IReadOnlyList<JsonElement>? Rows(InferenceInput input)
    {
        if (input.Row is { } row)
            return [row];
        if (input.Rows is not { } rows)
            return null;
        if (rows.Count == 0)
            throw Invalid("rows", "'rows' is empty. Give at least one row.");
        return rows.Count <= MaxRows ? rows : throw TooMany("rows", rows.Count, MaxRows);
    }

    private static IReadOnlyList<string> CheckTexts(ModelSignature signature, ModelPipeline? pipeline, InferenceInput input)
    {
        TextEncoder.Require(signature, pipeline);
        IReadOnlyList<string> texts = input.Text is { } text ? [text] : input.Texts!;
        if (texts.Count == 0)
            throw Invalid("texts", "'texts' is empty. Give at least one text.");
        if (texts.Count > MaxTexts)
            throw TooMany("texts", texts.Count, MaxTexts);
        for (var i = 0; i < texts.Count; i++)
        {
            if (string.IsNullOrWhiteSpace(texts[i]))
                throw new ProblemException(ProblemCodes.TextInvalid, $"`{PathOf(input, i)}` is empty. Give a text with something in it.", ("path", PathOf(input, i)));
            if (texts[i].Length > MaxCharacters)
                throw new ProblemException(ProblemCodes.TextInvalid, $"`{PathOf(input, i)}` has {texts[i].Length} characters; at most {MaxCharacters} are taken. Send it in parts.", ("path", PathOf(input, i)), ("limit", MaxCharacters));
        }

        if (texts.Count > 1 && signature.Inputs[0].Shape is [1, ..])
            throw new ProblemException(ProblemCodes.TensorShapeMismatch, $"The request has {texts.Count} texts, but the model takes one at a time. Send each in a request of its own.", ("given", texts.Count), ("expected", 1));
        return texts;
    }

    /// <summary>The place of a row or text in the request.</summary>
    private static string PathOf(InferenceInput input, int index) =>
        input.Row is not null ? "row" : input.Text is not null ? "text" : input.Rows is not null ? $"rows[{index}]" : $"texts[{index}]";

    /// <summary>Makes a request of what a table pipeline encoded.</summary>
    internal static PreparedRequest FromTable(ModelSignature signature, TensorBuffer[] inputs) => FromPipeline(signature, inputs);

    private static PreparedRequest FromPipeline(ModelSignature signature, TensorBuffer[] inputs) =>
        FromBuffers(signature, TensorReader.Match(inputs, signature)) with { FromPipeline = true };

    private static PreparedRequest FromTensors(ModelSignature signature, IReadOnlyList<Tensor> tensors, RaggedAxis? ragged)
    {
        var given = TensorReader.Read(tensors, RaggedPadding.Expected(signature, ragged, tensors.Select(static t => t.Name)));
        return FromBuffers(signature, RaggedPadding.WithMask(signature, ragged, given));
    }

    /// <summary>Makes a request of tensors that fit the signature one by one.</summary>
    internal static PreparedRequest FromBuffers(ModelSignature signature, TensorBuffer[] inputs)
    {
        for (var i = 0; i < inputs.Length; i++)
            BoundsCheck.Check(signature.Inputs[i], inputs[i]);
        if (!HasBatchAxis(signature))
            return new(inputs, 1, "", Batchable: false, FromPipeline: false);
        var rows = inputs[0].Shape[0];
        foreach (var input in inputs)
        {
            if (input.Shape[0] != rows)
            {
                throw new ProblemException(
                    ProblemCodes.TensorShapeMismatch,
                    $"Input '{input.Name}' has {input.Shape[0]} rows (its first axis), but input '{inputs[0].Name}' has {rows}. Give the same number of rows in every input.",
                    ("input", input.Name), ("expected", rows), ("given", input.Shape[0]));
            }
        }

        if (rows > int.MaxValue)
            throw new ProblemException(ProblemCodes.TensorShapeMismatch, $"The request has {rows} rows; at most {int.MaxValue} are possible.", ("given", rows));
        return new(inputs, (int)rows, Lane(signature, inputs), Batchable: rows > 0, FromPipeline: false);
    }

    /// <summary>Models with no free axis but the first have one lane, and no need for a name.</summary>
    private static string Lane(ModelSignature signature, TensorBuffer[] inputs) =>
        HasFreeInnerAxis(signature.Inputs) ? string.Join(';', inputs.Select(i => string.Join(',', i.Shape.Skip(1)))) : "";

    private static bool HasFreeInnerAxis(IReadOnlyList<TensorSignature> tensors)
    {
        for (var i = 0; i < tensors.Count; i++)
        {
            for (var axis = 1; axis < tensors[i].Shape.Count; axis++)
            {
                if (tensors[i].Shape[axis] < 0)
                    return true;
            }
        }

        return false;
    }

    private static ProblemException TooMany(string field, int given, int limit) =>
        new(ProblemCodes.TooLarge, $"'{field}' has {given} entries; at most {limit} are taken in one request. Send a batch job, or several requests.", ("field", field), ("limit", limit));

    private static ProblemException Malformed(string field, string message) => new(ProblemCodes.InvalidRequest, message, ("field", field));

    private static ProblemException Invalid(string field, string message) => new(ProblemCodes.InvalidValue, message, ("field", field));
}
