using System.Text.RegularExpressions;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation.Texts;

/// <summary>Turns texts into the model's inputs.</summary>
internal sealed class TextEncoder
{
    private const int DefaultMaxLength = 512;

    private readonly TextPreparation _text;
    private readonly LoadedTokenizer? _tokenizer;
    private readonly ModelSignature _signature;
    private readonly TextInputs _inputs;
    private readonly int _maxLength;

    /// <summary>An encoder for a pipeline that fits the signature.</summary>
    public TextEncoder(ModelSignature signature, TextPreparation text, LoadedTokenizer? tokenizer)
    {
        _text = text;
        _tokenizer = tokenizer;
        _signature = signature;
        _inputs = TextInputs.Of(signature, text);
        _maxLength = _inputs.FixedLength ?? text.MaxLength ?? DefaultMaxLength;
    }

    /// <summary>The text pipeline of a model.</summary>
    /// <exception cref="ProblemException"><c>text_input_unsupported</c>.</exception>
    public static TextPreparation Require(ModelSignature signature, ModelPipeline? pipeline)
    {
        if (pipeline?.Text is not { } text)
            throw new ProblemException(ProblemCodes.TextInputUnsupported, "The model has no text pipeline. Send its inputs as tensors, or register a version with a pipeline for texts.");
        if (TextPipelineCheck.Find(signature, text) is { } fault)
            throw new ProblemException(ProblemCodes.TextInputUnsupported, $"The model's text pipeline does not fit it; register a version whose pipeline does. `{fault.Path}`: {fault.Message}", ("path", fault.Path));
        return text;
    }

    /// <summary>Encodes texts; shorter ones are filled up.</summary>
    /// <param name="texts">The texts.</param>
    /// <param name="pathOf">The place of a text in the request, for messages.</param>
    /// <exception cref="ProblemException"><c>text_invalid</c>: a text is longer than allowed.</exception>
    public TensorBuffer[] Encode(IReadOnlyList<string> texts, Func<int, string> pathOf)
    {
        if (_tokenizer is null)
            return [TensorBuffer.OfTexts(_inputs.Ids.Name, _inputs.Ids.Shape.Count == 1 ? [texts.Count] : [texts.Count, 1], texts.ToArray())];
        var tokens = new int[texts.Count][];
        for (var i = 0; i < tokens.Length; i++)
            tokens[i] = Tokens(texts[i], pathOf(i));
        var length = Length(tokens.Max(t => t.Length));
        var (ids, mask, types) = (new double[tokens.Length * length], new double[tokens.Length * length], new double[tokens.Length * length]);
        Array.Fill(ids, _tokenizer.Pad);
        for (var row = 0; row < tokens.Length; row++)
        {
            for (var i = 0; i < tokens[row].Length; i++)
            {
                ids[row * length + i] = tokens[row][i];
                mask[row * length + i] = 1;
            }
        }

        long[] shape = [tokens.Length, length];
        return [.. _signature.Inputs.Select(input => NumberWriter.Write(input, (long[])shape.Clone(), input == _inputs.Ids ? ids : input == _inputs.Mask ? mask : types, at =>
            new ProblemException(ProblemCodes.TextInvalid, $"`{pathOf(at / length)}` has a token that the model's input '{input.Name}' ({input.Datatype}) cannot hold.", ("path", pathOf(at / length)))))];
    }

    private int[] Tokens(string text, string path)
    {
        var around = (_tokenizer!.Start is null ? 0 : 1) + (_tokenizer.End is null ? 0 : 1);
        var room = Math.Max(0, _maxLength - around);
        IReadOnlyList<int> own;
        try
        {
            // One more than there is room for shows that the text is too long, and no more than that is computed.
            own = _tokenizer.Encode(text, room + 1);
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new ProblemException(Problem.Create(ProblemCodes.TextInvalid, $"`{path}` takes too long to split into tokens. Give an ordinary text, in parts if need be.", ("path", path)), e);
        }

        if (own.Count > room && !_text.Truncate)
            throw new ProblemException(ProblemCodes.TextInvalid, $"`{path}` has more than {_maxLength} tokens, the model's limit. Shorten it, or send it in parts.", ("path", path), ("maxTokens", _maxLength));
        var tokens = new List<int>(own.Count + around);
        if (_tokenizer.Start is { } start)
            tokens.Add(start);
        tokens.AddRange(own.Take(room));
        if (_tokenizer.End is { } end)
            tokens.Add(end);
        return [.. tokens.Take(_maxLength)];
    }

    private int Length(int longest)
    {
        if (_inputs.FixedLength is not null || _text.Padding == TextPadding.Fixed)
            return _maxLength;
        var multiple = _text.PadToMultipleOf;
        var rounded = (Math.Max(longest, 1) + multiple - 1) / multiple * multiple;
        return Math.Min(rounded, _maxLength);
    }
}
