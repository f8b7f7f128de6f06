using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification.Layers;

namespace QueueMaaS.Training.Specification;

/// <summary>A layer in its place.</summary>
/// <param name="Id">Its name, by which others take its output and under which its weights are stored.</param>
/// <param name="Layer">What it computes.</param>
/// <param name="From">Where its inputs come from: ids of earlier layers, or <c>input</c>.</param>
public sealed record GraphNode(string Id, LayerSpecification Layer, IReadOnlyList<string> From)
{
    /// <summary>The first values of its weights, where they are not the layer's defaults.</summary>
    public LayerInitialisation? Initialisation { get; init; }

    /// <summary>True: its weights are not trained, and its running figures do not move.</summary>
    public bool Frozen { get; init; }
}

/// <summary>A model as a graph of layers; one graph builds the TorchSharp computation and the ONNX file. The last layer's output is the model's.</summary>
/// <param name="Name">Its name, such as a preset's.</param>
/// <param name="Nodes">In the order of computation: a layer takes from earlier ones only.</param>
public sealed record ModelSpecification(string Name, IReadOnlyList<GraphNode> Nodes)
{
    /// <summary>What layers call the model's input.</summary>
    public const string InputId = "input";

    private const string ViewsId = "views";

    /// <summary>A model whose layers follow each other.</summary>
    public static ModelSpecification Sequential(string name, params IReadOnlyList<LayerSpecification> layers) =>
        new(name, [.. layers.Select((layer, i) => new GraphNode($"layer{i + 1}", layer, [i == 0 ? InputId : $"layer{i}"]))]);

    /// <summary>The same model with everything that depends on the data filled in.</summary>
    /// <param name="outputs">How many outputs the task has: the size of linear layers that name none.</param>
    /// <param name="tokens">How many tokens there are: the size of embeddings that name none.</param>
    public ModelSpecification For(int outputs, int? tokens = null) => this with
    {
        Nodes = [.. Nodes.Select(node => node.Layer switch
        {
            Layers.LinearLayer { Out: null } linear => node with { Layer = linear with { Out = outputs } },
            Layers.EmbeddingLayer { Tokens: null } embedding when tokens is not null => node with { Layer = embedding with { Tokens = tokens } },
            _ => node,
        })],
    };

    /// <summary>The same model, answering with the average over views of its input where it is asked for any; views that it had before are replaced.</summary>
    public ModelSpecification With(ViewSettings views)
    {
        ArgumentNullException.ThrowIfNull(views);
        var bare = Nodes.Where(n => n.Layer is not (ViewsLayer or ViewAverageLayer)).ToArray();
        var gone = Nodes.Where(n => n.Layer is ViewsLayer or ViewAverageLayer).ToDictionary(n => n.Id, n => n.From[0], StringComparer.Ordinal);
        if (!views.Mirror && views.Shift == 0)
            return this with { Nodes = [.. bare.Select(n => n with { From = [.. n.From.Select(Source)] })] };
        return this with
        {
            Nodes =
            [
                new(ViewsId, new ViewsLayer(views.Mirror, views.Shift), [InputId]),
                .. bare.Select(n => n with { From = [.. n.From.Select(Source).Select(from => from == InputId ? ViewsId : from)] }),
                new($"{ViewsId}.average", new ViewAverageLayer(views.Mirror, views.Shift), [bare[^1].Id]),
            ],
        };

        string Source(string from) => gone.TryGetValue(from, out var before) ? Source(before) : from;
    }

    /// <summary>The shape after each layer.</summary>
    /// <exception cref="ProblemException"><c>specification_invalid</c>, naming the layer, what goes into it and what it needs.</exception>
    public IReadOnlyList<TensorShape> InferShapes(TensorShape input) => [.. Inputs(input).Select(i => i.Output)];

    /// <summary>What goes into each layer and what comes out.</summary>
    /// <exception cref="ProblemException"><c>specification_invalid</c>, naming the layer, what goes into it and what it needs.</exception>
    public IReadOnlyList<(IReadOnlyList<TensorShape> Inputs, TensorShape Output)> Inputs(TensorShape input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (Nodes.Count == 0)
            throw new ProblemException(ProblemCodes.SpecificationInvalid, $"The model '{Name}' has no layers. Give at least one.", ("model", Name));
        var known = new Dictionary<string, TensorShape>(StringComparer.Ordinal) { [InputId] = input };
        var all = new List<(IReadOnlyList<TensorShape>, TensorShape)>(Nodes.Count);
        for (var i = 0; i < Nodes.Count; i++)
        {
            var node = Nodes[i];
            IReadOnlyList<TensorShape> inputs = [.. node.From.Select(from => known.GetValueOrDefault(from) ?? throw Unknown(i, from, known.Keys))];
            var output = Infer(i, inputs, input);
            if (!known.TryAdd(node.Id, output))
                throw new ProblemException(ProblemCodes.SpecificationInvalid, $"In the model '{Name}' two layers are called '{node.Id}'. Give each an 'id' of its own.", ("model", Name), ("layer", i + 1), ("id", node.Id));
            all.Add((inputs, output));
        }

        return all;
    }

    private TensorShape Infer(int index, IReadOnlyList<TensorShape> inputs, TensorShape input)
    {
        var layer = Nodes[index].Layer;
        try
        {
            var (least, most) = layer.InputCount;
            if (inputs.Count < least || inputs.Count > most)
                throw new LayerShapeException(least == most ? $"{least} input{(least == 1 ? "" : "s")}, not {inputs.Count}; name them in 'from'" : $"{least} to {most} inputs, not {inputs.Count}; name them in 'from'");
            if (!layer.TakesTokens && inputs.Any(i => i.IsTokens))
                throw new LayerShapeException("numbers, not token ids; put an embedding before it");
            var output = layer.Infer(inputs);
            return output.Count is > 0 and <= int.MaxValue ? output : throw new LayerShapeException($"an output of 1 to {int.MaxValue:N0} numbers");
        }
        catch (LayerShapeException e)
        {
            var gets = string.Join(" and ", inputs);
            throw new ProblemException(
                Problem.Create(
                    ProblemCodes.SpecificationInvalid,
                    $"The model '{Name}' does not fit inputs of shape {input}{(input.IsImage ? " (channels, height, width)" : "")}: layer {index + 1}, {Place(index)}{layer.Description}, gets {gets} and needs {e.Message}. Use other inputs{(input.IsImage ? ", such as larger images," : "")} or another model.",
                    ("model", Name), ("layer", index + 1), ("layerId", Nodes[index].Id), ("layerType", layer.Description), ("layerInput", inputs.Select(i => i.Sizes).ToArray()), ("input", input.Sizes)),
                e);
        }

        // Numbered layers are named by their number alone.
        string Place(int at) => Nodes[at].Id == $"layer{at + 1}" ? "" : $"'{Nodes[at].Id}' ";
    }

    private ProblemException Unknown(int index, string from, IEnumerable<string> known) => new(
        ProblemCodes.SpecificationInvalid,
        $"In the model '{Name}', layer {index + 1}, '{Nodes[index].Id}' ({Nodes[index].Layer.Description}), takes from '{from}', and no earlier layer is called that. Earlier are: {string.Join(", ", known.TakeLast(20).Select(k => $"'{k}'"))}.",
        ("model", Name), ("layer", index + 1), ("from", from));
}
