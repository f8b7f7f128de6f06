namespace QueueMaaS.Training.Specification.Presets;

/// <summary>Puts a graph together: each layer follows the one before unless told otherwise.</summary>
internal sealed class NetworkBuilder
{
    private readonly List<GraphNode> _nodes = [];

    /// <summary>The id of the latest layer.</summary>
    public string Last => _nodes.Count == 0 ? ModelSpecification.InputId : _nodes[^1].Id;

    public IReadOnlyList<GraphNode> Nodes => _nodes;

    /// <summary>Appends a layer and answers its id.</summary>
    public string Add(string id, LayerSpecification layer, params IReadOnlyList<string> from)
    {
        _nodes.Add(new(id, layer, from.Count == 0 ? [Last] : from));
        return id;
    }

    /// <summary>Appends a layer whose weights begin as told.</summary>
    public string Add(string id, LayerSpecification layer, LayerInitialisation first)
    {
        _nodes.Add(new(id, layer, [Last]) { Initialisation = first });
        return id;
    }
}
