using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;

namespace QueueMaaS.Perf;

/// <summary>Makes requests with random values for a model that describes its inputs.</summary>
internal static class SampleInputs
{
    private const int Variants = 16;

    /// <summary>The <c>inputs</c> of as many requests as there are variants, in every given shape.</summary>
    /// <exception cref="PerfException">A size is free and not given.</exception>
    /// <param name="inputs">What the model takes.</param>
    /// <param name="shapes">By input, the shapes to send in turn.</param>
    /// <param name="asBase64">FP32 values as base64 of their bytes, as jobs may have them.</param>
    public static IReadOnlyList<JsonArray> Make(IReadOnlyList<TensorSignature> inputs, IReadOnlyDictionary<string, IReadOnlyList<long[]>> shapes, bool asBase64 = false)
    {
        foreach (var name in shapes.Keys.Where(name => inputs.All(input => input.Name != name)))
            throw new PerfException($"--shape names the input `{name}`, which the model does not have. Its inputs are {string.Join(", ", inputs.Select(input => input.Name))}.");
        var random = new Random(1);
        var turns = inputs.Select(input => shapes.TryGetValue(input.Name, out var given) ? given.Count : 1).Max();
        return [.. Enumerable.Range(0, Math.Max(Variants, turns)).Select(turn => new JsonArray([.. inputs.Select(input => (JsonNode)Tensor(input, ShapeOf(input, shapes, turn), random, asBase64))]))];
    }

    private static long[] ShapeOf(TensorSignature input, IReadOnlyDictionary<string, IReadOnlyList<long[]>> shapes, int turn)
    {
        if (shapes.TryGetValue(input.Name, out var given))
            return given[turn % given.Count];
        if (input.Shape.Skip(1).Any(size => size < 0))
            throw new PerfException($"Input `{input.Name}` has free sizes, [{string.Join(",", input.Shape)}]. Say which to send: --shape {input.Name}:{string.Join(",", input.Shape.Select(size => size < 0 ? "1" : size.ToString(CultureInfo.InvariantCulture)))} (with | between several, sent in turn).");
        return [.. input.Shape.Select(size => size < 0 ? 1 : size)];
    }

    private static JsonObject Tensor(TensorSignature input, long[] shape, Random random, bool asBase64)
    {
        var values = Enumerable.Range(0, (int)shape.Aggregate(1L, (product, size) => product * size)).Select(_ => Value(input, random)).ToArray();
        return new()
        {
            ["name"] = input.Name,
            ["datatype"] = input.Datatype,
            ["shape"] = JsonSerializer.SerializeToNode(shape),
            ["data"] = asBase64 && input.Datatype == Datatypes.Fp32
                ? JsonValue.Create(Convert.ToBase64String(MemoryMarshal.AsBytes<float>(values.Select(value => value.GetValue<float>()).ToArray())))
                : new JsonArray(values),
        };
    }

    private static JsonNode Value(TensorSignature input, Random random) => input.Datatype switch
    {
        Datatypes.Fp16 or Datatypes.Fp32 or Datatypes.Fp64 => JsonValue.Create(MathF.Round(random.NextSingle(), 4)),
        Datatypes.Bool => JsonValue.Create(random.Next(2) == 1),
        Datatypes.Bytes => JsonValue.Create("text"),
        _ => JsonValue.Create(random.NextInt64(0, Math.Min(100, (input.Maximum ?? 1) + 1))),
    };
}
