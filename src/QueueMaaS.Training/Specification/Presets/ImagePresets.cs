using QueueMaaS.Training.Specification.Layers;

namespace QueueMaaS.Training.Specification.Presets;

/// <summary>Presets for images.</summary>
internal static class ImagePresets
{
    /// <summary>The CNN of the Keras tutorial: about 122,000 parameters on 32 × 32 × 3, without padding.</summary>
    public static IReadOnlyList<GraphNode> SmallCnn()
    {
        var net = new NetworkBuilder();
        net.Add("conv1", new Conv2dLayer(32, 3));
        net.Add("relu1", Relu);
        net.Add("pool1", new MaxPool2dLayer(2));
        net.Add("conv2", new Conv2dLayer(64, 3));
        net.Add("relu2", Relu);
        net.Add("pool2", new MaxPool2dLayer(2));
        net.Add("conv3", new Conv2dLayer(64, 3));
        net.Add("relu3", Relu);
        net.Add("flatten", new FlattenLayer());
        net.Add("dense", new LinearLayer(64));
        net.Add("relu4", Relu);
        net.Add("head", new LinearLayer());
        return net.Nodes;
    }

    /// <summary>ResNet-18 (arXiv 1512.03385) with the stem for small images: one 3 × 3 convolution, no pooling.</summary>
    public static IReadOnlyList<GraphNode> ResNet18()
    {
        var net = new NetworkBuilder();
        Convolve(net, "stem", 64, 3, 1, 1, 1);
        net.Add("stem.relu", Relu);
        var channels = 64;
        foreach (var (stage, width) in (ReadOnlySpan<(int, int)>)[(1, 64), (2, 128), (3, 256), (4, 512)])
        {
            for (var block = 0; block < 2; block++)
            {
                Residual(net, $"stage{stage}.{block}", channels, width, stride: stage > 1 && block == 0 ? 2 : 1);
                channels = width;
            }
        }

        net.Add("pool", new AdaptivePool2dLayer());
        net.Add("flatten", new FlattenLayer());
        net.Add("head", new LinearLayer());
        return net.Nodes;
    }

    /// <summary>
    /// The network of the airbench line of work (arXiv 2404.00498) for small images: a whitening convolution that is not trained, three blocks of two convolutions, about two million parameters.
    /// Convolutions begin as the identity, normalisations learn no scale. Its pooling takes images of at least 9 pixels.
    /// </summary>
    public static IReadOnlyList<GraphNode> Airbench()
    {
        var net = new NetworkBuilder();
        net.Add("whiten", new Conv2dLayer(24, 2), new LayerInitialisation { Weight = new(InitialKind.Whitening), Bias = new(InitialKind.Zeros) });
        net.Add("whiten.gelu", new ActivationLayer(Activation.Gelu));
        foreach (var (block, width) in (ReadOnlySpan<(int, int)>)[(1, 64), (2, 256), (3, 256)])
        {
            foreach (var half in (ReadOnlySpan<string>)["a", "b"])
            {
                var id = $"block{block}.{half}";
                net.Add($"{id}.conv", new Conv2dLayer(width, 3, Padding: 1, Bias: false), new LayerInitialisation { Weight = new(InitialKind.Dirac) });
                if (half == "a")
                    net.Add($"{id}.pool", new MaxPool2dLayer(2));
                net.Add($"{id}.norm", new BatchNormLayer(Momentum: 0.4, Epsilon: 1e-12, Scale: false));
                net.Add($"{id}.gelu", new ActivationLayer(Activation.Gelu));
            }
        }

        net.Add("pool", new AdaptivePool2dLayer(1, PoolMode.Max));
        net.Add("flatten", new FlattenLayer());
        net.Add("head", new LinearLayer(Bias: false));
        net.Add("head.scale", new ScaleLayer(1.0 / 9));
        return net.Nodes;
    }

    /// <summary>MobileNetV2 (arXiv 1801.04381) cut down for small images: inverted residuals with depthwise convolutions.</summary>
    public static IReadOnlyList<GraphNode> SmallMobileNet()
    {
        var net = new NetworkBuilder();
        Convolve(net, "stem", 16, 3, 1, 1, 1);
        net.Add("stem.relu", new ActivationLayer(Activation.Relu6));
        var channels = 16;
        var block = 0;
        foreach (var (expansion, width, stride) in (ReadOnlySpan<(int, int, int)>)[(1, 16, 1), (4, 24, 2), (4, 24, 1), (4, 40, 2), (4, 40, 1), (4, 64, 2), (4, 64, 1), (4, 96, 1)])
        {
            InvertedResidual(net, $"block{++block}", channels, expansion, width, stride);
            channels = width;
        }

        Convolve(net, "last", 256, 1, 1, 0, 1);
        net.Add("last.relu", new ActivationLayer(Activation.Relu6));
        net.Add("pool", new AdaptivePool2dLayer());
        net.Add("flatten", new FlattenLayer());
        net.Add("dropout", new DropoutLayer(0.1));
        net.Add("head", new LinearLayer());
        return net.Nodes;
    }

    private static ActivationLayer Relu => new(Activation.Relu);

    private static void Convolve(NetworkBuilder net, string id, int width, int kernel, int stride, int padding, int groups, params IReadOnlyList<string> from)
    {
        net.Add($"{id}.conv", new Conv2dLayer(width, kernel, stride, padding, groups, Bias: false), from);
        net.Add($"{id}.norm", new BatchNormLayer());
    }

    private static void Residual(NetworkBuilder net, string id, int channels, int width, int stride)
    {
        var before = net.Last;
        Convolve(net, $"{id}.a", width, 3, stride, 1, 1);
        net.Add($"{id}.a.relu", Relu);
        Convolve(net, $"{id}.b", width, 3, 1, 1, 1);
        var branch = net.Last;
        if (stride != 1 || channels != width)
        {
            Convolve(net, $"{id}.shortcut", width, 1, stride, 0, 1, before);
            before = net.Last;
        }

        net.Add($"{id}.add", new AddLayer(), branch, before);
        net.Add($"{id}.relu", Relu);
    }

    private static void InvertedResidual(NetworkBuilder net, string id, int channels, int expansion, int width, int stride)
    {
        var before = net.Last;
        var wide = channels * expansion;
        if (expansion > 1)
        {
            Convolve(net, $"{id}.expand", wide, 1, 1, 0, 1);
            net.Add($"{id}.expand.relu", new ActivationLayer(Activation.Relu6));
        }

        Convolve(net, $"{id}.depthwise", wide, 3, stride, 1, wide);
        net.Add($"{id}.depthwise.relu", new ActivationLayer(Activation.Relu6));
        Convolve(net, $"{id}.project", width, 1, 1, 0, 1);
        if (stride == 1 && channels == width)
            net.Add($"{id}.add", new AddLayer(), net.Last, before);
    }
}
