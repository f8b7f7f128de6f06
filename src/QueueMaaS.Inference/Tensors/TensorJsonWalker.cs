using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Tensors;

/// <summary>Walks a tensor's JSON data value by value, flat or nested. Nested data must have the shape's own structure, or a row that is too short would shift all that follow.</summary>
internal ref struct TensorJsonWalker
{
    /// <summary>The value that <see cref="Next"/> stopped at.</summary>
    public Utf8JsonReader Token;

    private readonly long[] _shape;
    private readonly int[] _counts;
    private bool? _nested;
    private int _depth;

    public TensorJsonWalker(ReadOnlySpan<byte> json, long[] shape)
    {
        Token = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 64 });
        _shape = shape;
        _counts = new int[shape.Length + 1];
    }

    /// <summary>Goes to the next value; false at the end.</summary>
    public bool Next(TensorHeader tensor)
    {
        while (Token.Read())
        {
            switch (Token.TokenType)
            {
                case JsonTokenType.StartArray:
                    Open(tensor);
                    break;
                case JsonTokenType.EndArray:
                    Close(tensor);
                    break;
                case JsonTokenType.StartObject:
                    throw new ProblemException(
                        ProblemCodes.TensorShapeMismatch,
                        $"The data of input '{tensor.Name}' holds a JSON object. Give an array of values, flat or nested as the shape.", ("input", tensor.Name));
                default:
                    if (_depth == 1)
                        _nested ??= false;
                    if (_nested == true && _depth != _shape.Length)
                        throw Structure(tensor);
                    if (_depth > 0)
                        _counts[_depth - 1]++;
                    return true;
            }
        }

        return false;
    }

    private void Open(TensorHeader tensor)
    {
        if (_depth > 0)
        {
            _nested ??= true;
            if (_nested == false || _depth >= _shape.Length)
                throw Structure(tensor);
            _counts[_depth - 1]++;
        }

        if (_depth < _counts.Length)
            _counts[_depth] = 0;
        _depth++;
    }

    private void Close(TensorHeader tensor)
    {
        _depth--;
        if (_nested == true && _counts[_depth] != _shape[_depth])
            throw Structure(tensor);
    }

    private static ProblemException Structure(TensorHeader tensor) => new(
        ProblemCodes.TensorShapeMismatch,
        $"The data of input '{tensor.Name}' is nested, but not as its shape [{string.Join(", ", tensor.Shape)}] says. Nest it exactly so, or give a flat array.",
        ("input", tensor.Name), ("expected", tensor.Shape));
}
