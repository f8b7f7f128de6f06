using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Checkpoints;

/// <summary>
/// Tensors in a safetensors file (https://github.com/huggingface/safetensors): eight bytes with the length of a JSON header, the header with each tensor's type, shape and place, then the bytes.
/// All tensors here are F32. The values of metadata are texts.
/// </summary>
public static class SafetensorsFile
{
    private const string Metadata = "__metadata__";
    private const int MaxHeader = 100_000_000;

    /// <summary>Writes a file; an existing one is replaced.</summary>
    public static void Write(string path, IReadOnlyDictionary<string, WeightValues> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        ArgumentNullException.ThrowIfNull(metadata);
        var ordered = tensors.OrderBy(t => t.Key, StringComparer.Ordinal).ToArray();
        using var header = new MemoryStream();
        using (var json = new Utf8JsonWriter(header))
        {
            json.WriteStartObject();
            json.WriteStartObject(Metadata);
            foreach (var (key, value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal))
                json.WriteString(key, value);
            json.WriteEndObject();
            long at = 0;
            foreach (var (name, tensor) in ordered)
            {
                json.WriteStartObject(name);
                json.WriteString("dtype", "F32");
                WriteNumbers(json, "shape", tensor.Shape);
                WriteNumbers(json, "data_offsets", [at, at += tensor.Values.LongLength * sizeof(float)]);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        // Padded with spaces so that the tensors are aligned.
        while (header.Length % 8 != 0)
            header.WriteByte((byte)' ');
        using var file = File.Create(path);
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        file.Write(length);
        header.WriteTo(file);
        foreach (var (_, tensor) in ordered)
            file.Write(MemoryMarshal.AsBytes(tensor.Values.AsSpan()));
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="InvalidDataException">It is none, is cut short, or holds other types than F32.</exception>
    public static (IReadOnlyDictionary<string, WeightValues> Tensors, IReadOnlyDictionary<string, string> Metadata) Read(string path)
    {
        using var file = File.OpenRead(path);
        try
        {
            Span<byte> length = stackalloc byte[8];
            file.ReadExactly(length);
            var size = BinaryPrimitives.ReadInt64LittleEndian(length);
            if (size is < 2 or > MaxHeader || size > file.Length)
                throw new InvalidDataException("The file does not begin as a safetensors file does.");
            var header = new byte[size];
            file.ReadExactly(header);
            using var json = JsonDocument.Parse(header);
            var tensors = new Dictionary<string, WeightValues>(StringComparer.Ordinal);
            var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var entry in json.RootElement.EnumerateObject())
            {
                if (entry.Name == Metadata)
                {
                    foreach (var value in entry.Value.EnumerateObject())
                        metadata[value.Name] = value.Value.GetString() ?? "";
                }
                else
                {
                    tensors[entry.Name] = ReadTensor(file, 8 + size, entry);
                }
            }

            return (tensors, metadata);
        }
        catch (Exception e) when (e is EndOfStreamException or JsonException or KeyNotFoundException or InvalidOperationException or OverflowException)
        {
            throw new InvalidDataException($"The safetensors file is damaged: {e.Message}", e);
        }
    }

    private static WeightValues ReadTensor(FileStream file, long start, JsonProperty entry)
    {
        if (entry.Value.GetProperty("dtype").GetString() != "F32")
            throw new InvalidDataException($"The tensor '{entry.Name}' is not F32.");
        long[] shape = [.. entry.Value.GetProperty("shape").EnumerateArray().Select(s => s.GetInt64())];
        var offsets = entry.Value.GetProperty("data_offsets");
        var values = new float[checked(shape.Aggregate(1L, (a, b) => checked(a * b)))];
        if (offsets[1].GetInt64() - offsets[0].GetInt64() != values.LongLength * sizeof(float))
            throw new InvalidDataException($"The tensor '{entry.Name}' has another size than its shape says.");
        file.Position = start + offsets[0].GetInt64();
        file.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return new(shape, values);
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, IEnumerable<long> numbers)
    {
        json.WriteStartArray(name);
        foreach (var number in numbers)
            json.WriteNumberValue(number);
        json.WriteEndArray();
    }
}
