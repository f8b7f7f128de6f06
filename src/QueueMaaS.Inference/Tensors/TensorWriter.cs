using System.Runtime.InteropServices;
using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Tensors;

/// <summary>Writes tensors in memory as Open Inference Protocol JSON, flat and in row-major order.</summary>
public static class TensorWriter
{
    /// <summary>Writes <paramref name="tensor"/>. JSON has no NaN and no infinities: they are written as <c>null</c>.</summary>
    /// <param name="tensor">The tensor.</param>
    public static Tensor Write(TensorBuffer tensor) => Write(tensor, long.MaxValue).Tensor;

    /// <summary>The same within a limit, which several tensors may share: <c>Left</c> of it is for the next.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="mostBytes">Most bytes of its text.</param>
    /// <exception cref="ProblemException"><c>answer_too_large</c>.</exception>
    public static (Tensor Tensor, long Left) Write(TensorBuffer tensor, long mostBytes)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        var buffer = new AnswerBuffer(mostBytes, expected: tensor.Count <= int.MaxValue / 8 ? tensor.Count * 8 : int.MaxValue);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartArray();
            WriteValues(json, tensor);
            json.WriteEndArray();
        }

        return (new() { Name = tensor.Name, Shape = tensor.Shape, Datatype = tensor.Datatype.Name, Data = JsonElement.Parse(buffer.Written.Span) }, mostBytes - buffer.Written.Length);
    }

    /// <summary>Writes the values one after the other into an array that the caller has opened.</summary>
    public static void WriteValues(Utf8JsonWriter json, TensorBuffer tensor)
    {
        ArgumentNullException.ThrowIfNull(json);
        ArgumentNullException.ThrowIfNull(tensor);
        var bytes = tensor.Bytes.Span;
        switch (tensor.Datatype.Name)
        {
            case Datatypes.Fp32:
                foreach (var value in MemoryMarshal.Cast<byte, float>(bytes))
                {
                    if (float.IsFinite(value))
                        json.WriteNumberValue(value);
                    else
                        json.WriteNullValue();
                }

                break;
            case Datatypes.Fp64:
                foreach (var value in MemoryMarshal.Cast<byte, double>(bytes))
                {
                    if (double.IsFinite(value))
                        json.WriteNumberValue(value);
                    else
                        json.WriteNullValue();
                }

                break;
            case Datatypes.Fp16:
                foreach (var value in MemoryMarshal.Cast<byte, Half>(bytes))
                {
                    if (Half.IsFinite(value))
                        json.WriteNumberValue((float)value);
                    else
                        json.WriteNullValue();
                }

                break;
            case Datatypes.Bool:
                foreach (var value in bytes)
                    json.WriteBooleanValue(value != 0);
                break;
            case Datatypes.Bytes:
                foreach (var value in tensor.Texts.Span)
                    json.WriteStringValue(value);
                break;
            default:
                WriteIntegers(json, tensor.Datatype.Name, bytes);
                break;
        }
    }

    private static void WriteIntegers(Utf8JsonWriter json, string datatype, ReadOnlySpan<byte> bytes)
    {
        switch (datatype)
        {
            case Datatypes.Int64:
                foreach (var value in MemoryMarshal.Cast<byte, long>(bytes))
                    json.WriteNumberValue(value);
                break;
            case Datatypes.Int32:
                foreach (var value in MemoryMarshal.Cast<byte, int>(bytes))
                    json.WriteNumberValue(value);
                break;
            case Datatypes.Int16:
                foreach (var value in MemoryMarshal.Cast<byte, short>(bytes))
                    json.WriteNumberValue(value);
                break;
            case Datatypes.Int8:
                foreach (var value in MemoryMarshal.Cast<byte, sbyte>(bytes))
                    json.WriteNumberValue(value);
                break;
            case Datatypes.UInt64:
                foreach (var value in MemoryMarshal.Cast<byte, ulong>(bytes))
                    json.WriteNumberValue(value);
                break;
            case Datatypes.UInt32:
                foreach (var value in MemoryMarshal.Cast<byte, uint>(bytes))
                    json.WriteNumberValue(value);
                break;
            case Datatypes.UInt16:
                foreach (var value in MemoryMarshal.Cast<byte, ushort>(bytes))
                    json.WriteNumberValue(value);
                break;
            default:
                foreach (var value in bytes)
                    json.WriteNumberValue(value);
                break;
        }
    }
}
