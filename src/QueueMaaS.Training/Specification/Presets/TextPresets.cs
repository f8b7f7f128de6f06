using QueueMaaS.Training.Specification.Layers;

namespace QueueMaaS.Training.Specification.Presets;

/// <summary>Presets for token ids; token 0 is padding.</summary>
internal static class TextPresets
{
    private const int Size = 128;

    /// <summary>Convolutions over 3, 4 and 5 tokens, the greatest of each over the text (arXiv 1408.5882).</summary>
    public static IReadOnlyList<GraphNode> TextCnn()
    {
        var net = new NetworkBuilder();
        net.Add("embedding", new EmbeddingLayer(Size, Padding: 0));
        net.Add("channels", new TransposeLayer());
        string[] branches = [.. new[] { 3, 4, 5 }.Select(kernel =>
        {
            net.Add($"conv{kernel}", new Conv1dLayer(100, kernel, Padding: kernel / 2), "channels");
            net.Add($"relu{kernel}", new ActivationLayer(Activation.Relu));
            net.Add($"steps{kernel}", new TransposeLayer());
            return net.Add($"max{kernel}", new SequencePoolLayer(PoolMode.Max));
        })];
        net.Add("join", new ConcatLayer(), branches);
        net.Add("dropout", new DropoutLayer(0.5));
        net.Add("head", new LinearLayer());
        return net.Nodes;
    }

    /// <summary>Two blocks of a Transformer encoder with four heads, the mean over the tokens.</summary>
    public static IReadOnlyList<GraphNode> SmallTransformer()
    {
        var net = new NetworkBuilder();
        net.Add("mask", new TokenMaskLayer());
        net.Add("embedding", new EmbeddingLayer(Size, Padding: 0), ModelSpecification.InputId);
        net.Add("position", new PositionLayer());
        net.Add("dropout", new DropoutLayer(0.1));
        for (var i = 1; i <= 2; i++)
            net.Add($"block{i}", new TransformerEncoderLayer(4, 256), net.Last, "mask");
        net.Add("norm", new LayerNormLayer());
        net.Add("mean", new SequencePoolLayer(), net.Last, "mask");
        net.Add("head", new LinearLayer());
        return net.Nodes;
    }

    /// <summary>An LSTM in both directions, the greatest of its states over the tokens.</summary>
    public static IReadOnlyList<GraphNode> Lstm()
    {
        var net = new NetworkBuilder();
        net.Add("mask", new TokenMaskLayer());
        net.Add("embedding", new EmbeddingLayer(Size, Padding: 0), ModelSpecification.InputId);
        net.Add("lstm", new LstmLayer(Size, Bidirectional: true));
        net.Add("max", new SequencePoolLayer(PoolMode.Max), net.Last, "mask");
        net.Add("dropout", new DropoutLayer(0.3));
        net.Add("head", new LinearLayer());
        return net.Nodes;
    }
}
