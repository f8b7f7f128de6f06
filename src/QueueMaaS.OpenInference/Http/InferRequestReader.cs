using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.OpenInference.Protocol;

namespace QueueMaaS.OpenInference.Http;

/// <summary>Reads an inference request: JSON, and behind it the tensors that are given in binary.</summary>
internal static class InferRequestReader
{
    /// <summary>Says how long the JSON is, where binary tensors follow.</summary>
    public const string LengthHeader = "Inference-Header-Content-Length";

    private const int MaxClasses = 10_000;

    /// <exception cref="ProblemException"><c>invalid_request</c>, <c>invalid_value</c>, or as <see cref="TensorReader"/>.</exception>
    public static InferRequest Read(IHeaderDictionary headers, ReadOnlyMemory<byte> body, ModelSignature signature)
    {
        var (json, binary) = Split(headers, body);
        using var document = Parse(json);
        try
        {
            return Read(document.RootElement, binary, signature);
        }
        catch (InvalidOperationException)
        {
            // System.Text.Json reads such strings only when they are asked for.
            throw Invalid("A string of the body is no text: its bytes are not UTF-8, or it has half of a surrogate pair (`\\ud800`) alone.", "");
        }
    }

    private static InferRequest Read(JsonElement root, ReadOnlyMemory<byte> binary, ModelSignature signature)
    {
        if (root.ValueKind != JsonValueKind.Object)
            throw Invalid("The body must be a JSON object with `inputs`.", "");
        var parameters = Member(root, "parameters");
        RefuseSequences(parameters);
        return new InferRequest
        {
            Id = Text(root, "id"),
            Inputs = ReadInputs(root, binary, signature),
            Outputs = ReadOutputs(root),
            BinaryOutputs = Boolean(parameters, "binary_data_output", "parameters") ?? false,
            Parameters = new(Number(parameters, "priority", "parameters") ?? 0, Number(parameters, "timeout", "parameters") ?? 0),
        };
    }

    private static (ReadOnlyMemory<byte> Json, ReadOnlyMemory<byte> Binary) Split(IHeaderDictionary headers, ReadOnlyMemory<byte> body)
    {
        if (!headers.TryGetValue(LengthHeader, out var text))
            return (body, default);
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var length) || length > body.Length)
            throw Invalid($"The header `{LengthHeader}` is `{text}`; it must be the length of the JSON part in bytes, at most the body's {body.Length}.", LengthHeader);
        // 0 stands for a body of JSON alone.
        return length == 0 ? (body, default) : (body[..length], body[length..]);
    }

    private static JsonDocument Parse(ReadOnlyMemory<byte> json)
    {
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException exception)
        {
            throw Invalid($"The body is not valid JSON at line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}. Where tensors follow in binary, the header `{LengthHeader}` must say how long the JSON is.", "");
        }
    }

    private static TensorBuffer[] ReadInputs(JsonElement root, ReadOnlyMemory<byte> binary, ModelSignature signature)
    {
        if (Member(root, "inputs") is not { ValueKind: JsonValueKind.Array } inputs)
            throw Invalid("`inputs` is missing or not an array. Give the model's input tensors in it.", "inputs");
        var tensors = new TensorBuffer[inputs.GetArrayLength()];
        var index = 0;
        foreach (var input in inputs.EnumerateArray())
        {
            tensors[index] = ReadInput(input, $"inputs[{index}]", ref binary, signature);
            index++;
        }

        return binary.IsEmpty
            ? tensors
            : throw Invalid($"{binary.Length} bytes are left over behind the binary tensors. Make each `binary_data_size` the size of its tensor.", "inputs");
    }

    private static TensorBuffer ReadInput(JsonElement input, string path, ref ReadOnlyMemory<byte> binary, ModelSignature signature)
    {
        if (input.ValueKind != JsonValueKind.Object)
            throw Invalid($"`{path}` is not an object. A tensor has `name`, `shape`, `datatype` and `data`.", path);
        var header = new TensorHeader(
            Text(input, "name") ?? throw Invalid($"`{path}.name` is missing.", path), Text(input, "datatype") ?? throw Invalid($"`{path}.datatype` is missing.", path), Shape(input, path));
        var expected = TensorReader.Expect(signature, header.Name);
        var parameters = Member(input, "parameters");
        if (Member(parameters, "shared_memory_region") is not null)
            throw Invalid($"Input '{header.Name}' lies in shared memory, which is not served. Send its values with the request.", $"{path}.parameters.shared_memory_region");
        var data = Member(input, "data");
        if (Number(parameters, "binary_data_size", $"{path}.parameters") is not { } size)
            return data is { } values ? TensorReader.Read(header, System.Runtime.InteropServices.JsonMarshal.GetRawUtf8Value(values), expected) : throw Invalid($"Input '{header.Name}' has neither `data` nor `parameters.binary_data_size`.", path);
        if (data is not null)
            throw Invalid($"Input '{header.Name}' has both `data` and `parameters.binary_data_size`. Give one of them.", path);
        if (size > (ulong)binary.Length)
            throw Invalid($"Input '{header.Name}' announces {size} bytes of binary data, but only {binary.Length} are left in the body. It may have been cut short, or the header `{LengthHeader}` is missing.", path);
        var own = binary[..(int)size];
        binary = binary[(int)size..];
        return BinaryTensor.Read(header, own, expected);
    }

    private static long[] Shape(JsonElement input, string path)
    {
        if (Member(input, "shape") is not { ValueKind: JsonValueKind.Array } shape || shape.GetArrayLength() > 64)
            throw Invalid($"`{path}.shape` is missing or not an array of at most 64 sizes.", $"{path}.shape");
        return [.. shape.EnumerateArray().Select(size => size.ValueKind == JsonValueKind.Number && size.TryGetInt64(out var value)
            ? value
            : throw Invalid($"`{path}.shape` has `{Shorten(size.GetRawText())}`, which is not a whole number.", $"{path}.shape"))];
    }

    private static WantedOutput[]? ReadOutputs(JsonElement root)
    {
        if (Member(root, "outputs") is not { } outputs)
            return null;
        if (outputs.ValueKind != JsonValueKind.Array)
            throw Invalid("`outputs` is not an array. Leave it out for all outputs.", "outputs");
        // Clients send an empty list when they want everything.
        if (outputs.GetArrayLength() == 0)
            return null;
        return [.. outputs.EnumerateArray().Select(static (output, index) => ReadOutput(output, $"outputs[{index}]"))];
    }

    private static WantedOutput ReadOutput(JsonElement output, string path)
    {
        if (output.ValueKind != JsonValueKind.Object)
            throw Invalid($"`{path}` is not an object with a `name`.", path);
        var parameters = Member(output, "parameters");
        if (Member(parameters, "shared_memory_region") is not null)
            throw Invalid($"`{path}` is wanted in shared memory, which is not served.", $"{path}.parameters.shared_memory_region");
        var classes = Number(parameters, "classification", $"{path}.parameters") ?? 0;
        return classes <= MaxClasses
            ? new(Text(output, "name") ?? throw Invalid($"`{path}.name` is missing.", path), Boolean(parameters, "binary_data", $"{path}.parameters"), (int)classes)
            : throw Invalid($"`{path}.parameters.classification` is {classes}; at most {MaxClasses} classes are given.", path);
    }

    private static void RefuseSequences(JsonElement? parameters)
    {
        if (Member(parameters, "sequence_id") is { } id && id.GetRawText() is not ("0" or "\"\""))
            throw Invalid("`parameters.sequence_id` is set, but models here keep no state between requests. Leave it out.", "parameters.sequence_id");
    }

    private static JsonElement? Member(JsonElement? element, string name) =>
        element is { ValueKind: JsonValueKind.Object } found && found.TryGetProperty(name, out var member) && member.ValueKind != JsonValueKind.Null ? member : null;

    private static string? Text(JsonElement element, string name) => Member(element, name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } text => text.GetString(),
        _ => throw Invalid($"`{name}` is not a string.", name),
    };

    private static bool? Boolean(JsonElement? element, string name, string path) => Member(element, name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        _ => throw Invalid($"`{path}.{name}` is neither true nor false.", $"{path}.{name}"),
    };

    private static ulong? Number(JsonElement? element, string name, string path) => Member(element, name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } number when number.TryGetUInt64(out var value) => value,
        { } other => throw Invalid($"`{path}.{name}` is `{Shorten(other.GetRawText())}`, not a whole number of at least 0.", $"{path}.{name}"),
    };

    private static string Shorten(string text) => text.Length > 40 ? text[..40] + "…" : text;

    private static ProblemException Invalid(string message, string path) => new(ProblemCodes.InvalidRequest, message, ("path", path));
}
