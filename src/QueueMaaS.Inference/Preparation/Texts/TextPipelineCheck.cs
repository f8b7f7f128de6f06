using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation.Texts;

/// <summary>The model's inputs that a text feeds.</summary>
/// <param name="Ids">For the ids, or for the text itself.</param>
/// <param name="Mask">For the attention mask.</param>
/// <param name="Types">For the token types.</param>
internal sealed record TextInputs(TensorSignature Ids, TensorSignature? Mask, TensorSignature? Types)
{
    public static TextInputs Of(ModelSignature signature, TextPreparation text) => new(
        Find(signature, text.Ids) ?? Find(signature, "input_ids") ?? signature.Inputs[0],
        text.Kind == TokenizerKind.Raw ? null : Find(signature, text.Mask ?? "attention_mask"),
        text.Kind == TokenizerKind.Raw ? null : Find(signature, text.Types ?? "token_type_ids"));

    /// <summary>The length of every text where the inputs say so; else null.</summary>
    public int? FixedLength => Ids.Shape is [_, >= 0 and var length] ? (int)length : null;

    private static TensorSignature? Find(ModelSignature signature, string? name) => signature.Inputs.FirstOrDefault(i => i.Name == name);
}

/// <summary>Holds a text pipeline against the model's signature; the tokenizer's files are looked at by <see cref="TokenizerFiles"/>.</summary>
internal static class TextPipelineCheck
{
    private const int MaxTokens = 131_072;
    private static readonly string[] Ids = [Datatypes.Int32, Datatypes.Int64];

    /// <summary>The first fault, or null where there is none.</summary>
    public static PipelineFault? Find(ModelSignature signature, TextPreparation text) => FindOwn(text) ?? FindMisfit(signature, text);

    private static PipelineFault? FindOwn(TextPreparation text)
    {
        if (text.Kind == TokenizerKind.Raw)
        {
            var foreign = text.Vocabulary is not null ? "vocabulary" : text.Merges is not null ? "merges" : text.Mask is not null ? "mask" : text.Types is not null ? "types" : null;
            return foreign is null ? null : At(foreign, "a raw text goes to the model as it is; leave it out.");
        }

        if (string.IsNullOrEmpty(text.Vocabulary))
            return At("vocabulary", "name the uploaded file of the tokenizer, `sha256:…` (POST /v1/artifacts answers it).");
        if (text.Kind == TokenizerKind.Bpe != text.Merges is not null)
            return At("merges", text.Merges is null ? "name the uploaded merges.txt, `sha256:…`." : "only `bpe` has one; leave it out.");
        if (text.MaxLength is < 1 or > MaxTokens)
            return At("maxLength", $"it is {text.MaxLength}; give 1 to {MaxTokens:#,0} tokens.");
        if (text.MaxLength <= Around(text))
            return At("maxLength", $"it is {text.MaxLength}, which the tokens before and after each text fill: nothing of the text would be seen. Give at least {Around(text) + 1}.");
        if (text.PadToMultipleOf is < 1 or > 1024)
            return At("padToMultipleOf", $"it is {text.PadToMultipleOf}; give 1 to 1,024.");
        return text.PadId < 0 ? At("padId", "an id is 0 or greater.") : null;
    }

    private static PipelineFault? FindMisfit(ModelSignature signature, TextPreparation text)
    {
        foreach (var (member, name) in new[] { ("ids", text.Ids), ("mask", text.Mask), ("types", text.Types) })
        {
            if (name is not null && signature.Inputs.All(i => i.Name != name))
                return At(member, $"the model has no input '{name}'; its inputs are {Describe(signature.Inputs)}.");
        }

        var inputs = TextInputs.Of(signature, text);
        var fed = new[] { inputs.Ids, inputs.Mask, inputs.Types }.OfType<TensorSignature>().ToArray();
        if (fed.Distinct().Count() < fed.Length)
            return At("ids", $"two of `ids`, `mask` and `types` feed the same input '{inputs.Ids.Name}'; each needs one of its own.");
        var empty = signature.Inputs.Except(fed).ToArray();
        if (empty.Length > 0)
            return At("ids", $"nothing feeds the model's inputs {Describe(empty)}. Name them in `ids`, `mask` or `types`, or export the model without them.");
        return text.Kind == TokenizerKind.Raw ? FindRawMisfit(inputs.Ids) : FindTokenMisfit(inputs, text);
    }

    private static PipelineFault? FindRawMisfit(TensorSignature input)
    {
        if (input.Datatype != Datatypes.Bytes)
            return At("ids", $"a raw text feeds a BYTES input, but '{input.Name}' is {input.Datatype}. Choose the tokenizer that the model was trained with.");
        return input.Shape.Count == 1 || input.Shape is [_, -1 or 1] ? null : At("ids", $"a raw text feeds an input [N] or [N, 1], but it is {Describe([input])}.");
    }

    private static PipelineFault? FindTokenMisfit(TextInputs inputs, TextPreparation text)
    {
        if (!Ids.Contains(inputs.Ids.Datatype, StringComparer.Ordinal))
            return At("ids", $"ids feed an INT64 or INT32 input, but it is {Describe([inputs.Ids])}.");
        foreach (var (member, input) in new[] { ("ids", inputs.Ids), ("mask", inputs.Mask), ("types", inputs.Types) })
        {
            if (input is null)
                continue;
            if (input.Shape.Count != 2 || !NumberWriter.Takes(input.Datatype))
                return At(member, $"tokens feed an input [N, length], but it is {Describe([input])}.");
            if (input.Shape[1] >= 0 && input.Shape[1] != (inputs.FixedLength ?? text.MaxLength))
                return At(member, $"its length {input.Shape[1]} is not that of the others; the model's inputs are {Describe([inputs.Ids, input])}.");
        }

        if (inputs.FixedLength is not { } length)
            return null;
        if (length <= Around(text))
            return At("ids", $"the model's input takes exactly {length} tokens, which those before and after each text fill: nothing of the text would be seen. Leave them out by empty `startToken` and `endToken`, or export the model with a longer input.");
        if (text.MaxLength is { } most && most != length)
            return At("maxLength", $"it is {most}, but the model's input takes exactly {length} tokens; leave it out.");
        return text.Padding == TextPadding.Longest ? At("padding", $"the model's input takes exactly {length} tokens; leave it out or give `fixed`.") : null;
    }

    /// <summary>Tokens before and after each text, as far as the pipeline itself says so.</summary>
    private static int Around(TextPreparation text)
    {
        var (start, end) = text.Kind == TokenizerKind.WordPiece ? (text.StartToken ?? "[CLS]", text.EndToken ?? "[SEP]") : (text.StartToken, text.EndToken);
        return (string.IsNullOrEmpty(start) ? 0 : 1) + (string.IsNullOrEmpty(end) ? 0 : 1);
    }

    private static string Describe(IEnumerable<TensorSignature> inputs) => string.Join(", ", inputs.Select(i => $"'{i.Name}' ({i.Datatype} {TensorBuffer.Describe(i.Shape)})"));

    private static PipelineFault At(string member, string message) => new($"pipeline.text.{member}", message);
}
