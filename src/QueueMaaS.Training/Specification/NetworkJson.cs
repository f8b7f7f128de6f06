using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;

namespace QueueMaaS.Training.Specification;

/// <summary>
/// Models in JSON: a list of layers, each <c>{"type": "conv2d", "out": 32, …}</c>, with these members beside the layer's own:
/// <c>id</c> (default <c>layer1</c>, <c>layer2</c> …), <c>from</c> (one id or a list; default the layer before), <c>init</c> and <c>frozen</c>.
/// </summary>
public static class NetworkJson
{
    /// <summary>Most layers of a model.</summary>
    public const int MaxLayers = 2_000;

    private static readonly Dictionary<string, InitialKind> InitialKinds =
        Enum.GetValues<InitialKind>().Where(k => k != InitialKind.Fixed).ToDictionary(k => char.ToLowerInvariant(k.ToString()[0]) + k.ToString()[1..], k => k, StringComparer.Ordinal);

    /// <summary>Reads a model.</summary>
    /// <exception cref="ProblemException"><c>specification_invalid</c>, naming the layer and the member at fault.</exception>
    public static ModelSpecification Read(string name, IReadOnlyList<JsonElement> layers)
    {
        ArgumentNullException.ThrowIfNull(layers);
        if (layers.Count is 0 or > MaxLayers)
            throw new ProblemException(ProblemCodes.SpecificationInvalid, $"A network has 1 to {MaxLayers:N0} layers, not {layers.Count:N0}.", ("path", "network"));
        var nodes = new List<GraphNode>(layers.Count);
        for (var i = 0; i < layers.Count; i++)
            nodes.Add(ReadNode(layers[i], i, nodes));
        return new(name, nodes);
    }

    /// <summary>Writes a model so that <see cref="Read"/> gives it again.</summary>
    public static IReadOnlyList<JsonElement> Write(ModelSpecification model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return [.. model.Nodes.Select(WriteNode)];
    }

    private static GraphNode ReadNode(JsonElement json, int index, List<GraphNode> earlier)
    {
        if (json.ValueKind != JsonValueKind.Object)
            throw At(index, "", "must be an object such as {\"type\":\"linear\",\"out\":10}.");
        var settings = JsonObject.Create(json)!;
        var type = Take(settings, "type") is { ValueKind: JsonValueKind.String } t ? t.GetString()! : throw At(index, ".type", $"must name a layer: {string.Join(", ", LayerTypes.Known)}.");
        var id = Take(settings, "id") switch
        {
            null => $"layer{index + 1}",
            { ValueKind: JsonValueKind.String } given when IsId(given.GetString()!) => given.GetString()!,
            _ => throw At(index, ".id", "must be 1 to 64 of letters, digits and - _ . , and not 'input'."),
        };
        IReadOnlyList<string> from = Take(settings, "from") switch
        {
            null => [earlier.Count == 0 ? ModelSpecification.InputId : earlier[^1].Id],
            { ValueKind: JsonValueKind.String } one => [one.GetString()!],
            { ValueKind: JsonValueKind.Array } many when many.EnumerateArray().All(f => f.ValueKind == JsonValueKind.String) => [.. many.EnumerateArray().Select(f => f.GetString()!)],
            _ => throw At(index, ".from", "must be the id of a layer, or a list of ids."),
        };
        var frozen = Take(settings, "frozen") switch
        {
            null or { ValueKind: JsonValueKind.False } => false,
            { ValueKind: JsonValueKind.True } => true,
            _ => throw At(index, ".frozen", "must be true or false."),
        };
        var initialisation = Take(settings, "init") is { } init ? ReadInitialisation(init, index) : null;
        try
        {
            var layer = LayerTypes.Read(type, settings) ?? throw At(index, ".type", $"'{type}' is no layer. Known are: {string.Join(", ", LayerTypes.Known)}.");
            return new(id, layer, from) { Frozen = frozen, Initialisation = initialisation };
        }
        catch (ProblemException e) when (e.Problem.Code != ProblemCodes.SpecificationInvalid)
        {
            throw At(index, "", $"({type}): {e.Problem.Message.Replace("Input ", "It ", StringComparison.Ordinal)}", e);
        }
    }

    private static LayerInitialisation ReadInitialisation(JsonElement json, int index)
    {
        if (json.ValueKind != JsonValueKind.Object)
            throw At(index, ".init", "must be an object such as {\"weight\":\"kaimingNormal\",\"bias\":0}.");
        var result = new LayerInitialisation();
        foreach (var member in json.EnumerateObject())
        {
            result = member.Name switch
            {
                "weight" => result with { Weight = ReadInitialiser(member, index) },
                "bias" => result with { Bias = ReadInitialiser(member, index) },
                "scale" => result with { Scale = ReadInitialiser(member, index) },
                "gain" when member.Value.ValueKind == JsonValueKind.Number && member.Value.GetDouble() is > 0 and < 1e6 => result with { Gain = member.Value.GetDouble() },
                _ => throw At(index, $".init.{member.Name}", "is not known: there are weight, bias, scale and gain (a number above 0)."),
            };
        }

        return result;
    }

    private static Initialiser ReadInitialiser(JsonProperty member, int index)
    {
        if (member.Value.ValueKind == JsonValueKind.Number && double.IsFinite(member.Value.GetDouble()))
            return new(InitialKind.Fixed, member.Value.GetDouble());
        if (member.Value.ValueKind == JsonValueKind.String && InitialKinds.TryGetValue(member.Value.GetString()!, out var kind) && (member.Name == "weight" || kind is not (InitialKind.Dirac or InitialKind.Whitening)))
            return new(kind);
        throw At(index, $".init.{member.Name}", $"must be a number, or one of {string.Join(", ", InitialKinds.Keys)} (dirac and whitening for weights only).");
    }

    private static JsonElement WriteNode(GraphNode node)
    {
        var (type, settings) = LayerTypes.Write(node.Layer);
        var json = new JsonObject { ["type"] = type, ["id"] = node.Id, ["from"] = new JsonArray([.. node.From.Select(f => JsonValue.Create(f))]) };
        foreach (var (name, value) in settings)
            json[name] = value?.DeepClone();
        if (node.Frozen)
            json["frozen"] = true;
        if (node.Initialisation is { } init)
        {
            var written = new JsonObject();
            foreach (var (name, rule) in (ReadOnlySpan<(string, Initialiser?)>)[("weight", init.Weight), ("bias", init.Bias), ("scale", init.Scale)])
            {
                if (rule is not null)
                    written[name] = rule.Kind == InitialKind.Fixed ? JsonValue.Create(rule.Value) : JsonValue.Create(InitialKinds.First(k => k.Value == rule.Kind).Key);
            }

            if (init.Gain != 1)
                written["gain"] = init.Gain;
            json["init"] = written;
        }

        return JsonSerializer.SerializeToElement(json);
    }

    private static JsonElement? Take(JsonObject settings, string member)
    {
        if (!settings.TryGetPropertyValue(member, out var node))
            return null;
        settings.Remove(member);
        return node is null ? default(JsonElement) : JsonSerializer.SerializeToElement(node);
    }

    private static bool IsId(string text) => text is { Length: > 0 and <= 64 } && text != ModelSpecification.InputId && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');

    private static ProblemException At(int index, string member, string message, Exception? inner = null) =>
        new(Problem.Create(ProblemCodes.SpecificationInvalid, $"`network[{index}]{member}` {message}", ("path", $"network[{index}]{member}"), ("layer", index + 1)), inner);
}
