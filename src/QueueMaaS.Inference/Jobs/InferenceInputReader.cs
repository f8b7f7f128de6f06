using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Inference.Jobs;

/// <summary>
/// Reads the input of inference jobs. The usual one, a model and tensors, is taken from the JSON as it stands: the serializer would read every number once more to make a document of each tensor's data.
/// Whatever is not exactly that goes to the serializer, which knows the rest of the contract and says what is wrong.
/// </summary>
internal static class InferenceInputReader
{
    /// <exception cref="ProblemException"><c>invalid_request</c>, <c>unknown_field</c> or <c>invalid_value</c>.</exception>
    public static InferenceInput Read(JsonElement input) => TensorsOnly(input) ?? SubmissionReader.ReadInput<InferenceInput>(input);

    private static InferenceInput? TensorsOnly(JsonElement input)
    {
        if (input.ValueKind != JsonValueKind.Object)
            return null;
        var (model, inputs) = (default(string), default(Tensor[]));
        foreach (var member in input.EnumerateObject())
        {
            if (member.NameEquals("model"u8) && member.Value.ValueKind == JsonValueKind.String)
                model = member.Value.GetString();
            else if (member.NameEquals("inputs"u8) && Tensors(member.Value) is { } tensors)
                inputs = tensors;
            else
                return null;
        }

        return model is null || inputs is null ? null : new() { Model = model, Inputs = inputs };
    }

    private static Tensor[]? Tensors(JsonElement array)
    {
        if (array.ValueKind != JsonValueKind.Array)
            return null;
        var tensors = new Tensor[array.GetArrayLength()];
        var at = 0;
        foreach (var element in array.EnumerateArray())
        {
            if (Tensor(element) is not { } tensor)
                return null;
            tensors[at++] = tensor;
        }

        return tensors;
    }

    private static Tensor? Tensor(JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.Object)
            return null;
        var (name, datatype, shape, data) = (default(string), default(string), default(long[]), default(JsonElement));
        foreach (var member in element.EnumerateObject())
        {
            if (member.NameEquals("name"u8) && member.Value.ValueKind == JsonValueKind.String)
                name = member.Value.GetString();
            else if (member.NameEquals("datatype"u8) && member.Value.ValueKind == JsonValueKind.String)
                datatype = member.Value.GetString();
            else if (member.NameEquals("shape"u8) && Shape(member.Value) is { } sizes)
                shape = sizes;
            else if (member.NameEquals("data"u8))
                data = member.Value;
            else
                return null;
        }

        return name is null || datatype is null || shape is null || data.ValueKind == JsonValueKind.Undefined
            ? null
            : new() { Name = name, Datatype = datatype, Shape = shape, Data = data };
    }

    private static long[]? Shape(JsonElement array)
    {
        if (array.ValueKind != JsonValueKind.Array)
            return null;
        var sizes = new long[array.GetArrayLength()];
        var at = 0;
        foreach (var size in array.EnumerateArray())
        {
            if (size.ValueKind != JsonValueKind.Number || !size.TryGetInt64(out sizes[at++]))
                return null;
        }

        return sizes;
    }
}
