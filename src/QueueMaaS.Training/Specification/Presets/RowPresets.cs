using QueueMaaS.Training.Specification.Layers;

namespace QueueMaaS.Training.Specification.Presets;

/// <summary>Presets for rows of numbers; images are laid out in a row first.</summary>
internal static class RowPresets
{
    /// <summary>One linear layer: logistic regression for classes, linear regression for numbers.</summary>
    public static IReadOnlyList<GraphNode> Logistic()
    {
        var net = new NetworkBuilder();
        net.Add("flatten", new FlattenLayer());
        net.Add("head", new LinearLayer());
        return net.Nodes;
    }

    /// <summary>Two hidden layers of 128 with batch norm and a little dropout.</summary>
    public static IReadOnlyList<GraphNode> Perceptron()
    {
        var net = new NetworkBuilder();
        net.Add("flatten", new FlattenLayer());
        for (var i = 1; i <= 2; i++)
        {
            net.Add($"dense{i}", new LinearLayer(128));
            net.Add($"norm{i}", new BatchNormLayer());
            net.Add($"relu{i}", new ActivationLayer(Activation.Relu));
            net.Add($"dropout{i}", new DropoutLayer(0.1));
        }

        net.Add("head", new LinearLayer());
        return net.Nodes;
    }
}
