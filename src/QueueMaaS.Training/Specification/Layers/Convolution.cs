using QueueMaaS.Training.Export;
using TorchSharp;
using static TorchSharp.torch.nn;

namespace QueueMaaS.Training.Specification.Layers;

/// <summary>What one- and two-dimensional convolutions and poolings share: checks and sizes.</summary>
internal static class Windows
{
    public static int Size(int size, int kernel, int stride, int padding, int dilation = 1) => (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;

    /// <summary>Checks that a window fits on every axis after the first, and answers the sizes that come out.</summary>
    public static int[] Slide(TensorShape input, int axes, int kernel, int stride, int padding, int dilation = 1)
    {
        LayerNeeds.AtLeast(1, kernel, "kernel");
        LayerNeeds.AtLeast(1, stride, "stride");
        LayerNeeds.AtLeast(0, padding, "padding");
        LayerNeeds.AtLeast(1, dilation, "dilation");
        var least = Math.Max(1, dilation * (kernel - 1) + 1 - 2 * padding);
        if (input.Sizes.Count != axes + 1 || input.Sizes.Skip(1).Any(s => s < least))
        {
            throw new LayerShapeException(axes == 2
                ? $"channels × height × width with at least {least} × {least} pixels"
                : $"channels × length with a length of at least {least} (put a transpose after an embedding)");
        }

        return [.. input.Sizes.Skip(1).Select(s => Size(s, kernel, stride, padding, dilation))];
    }

    public static void CheckGroups(int inputs, int outputs, int groups)
    {
        LayerNeeds.AtLeast(1, outputs, "out");
        LayerNeeds.AtLeast(1, groups, "groups");
        if (inputs % groups != 0 || outputs % groups != 0)
            throw new LayerShapeException($"input channels ({inputs}) and 'out' ({outputs}) that are both multiples of 'groups' ({groups})");
    }

    public static long[] Repeat(int value, int axes) => [.. Enumerable.Repeat((long)value, axes)];

    /// <summary>The attributes of an ONNX window over so many axes.</summary>
    public static OnnxAttributes Attributes(int axes, int kernel, int stride, int padding) => new OnnxAttributes()
        .Ints("kernel_shape", Repeat(kernel, axes)).Ints("strides", Repeat(stride, axes)).Ints("pads", Repeat(padding, 2 * axes));

    public static string Describe(int kernel, int stride, int padding, int dilation = 1, int groups = 1, bool bias = true) =>
        $"kernel {kernel}{(stride == 1 ? "" : $", stride {stride}")}{(padding == 0 ? "" : $", padding {padding}")}{(dilation == 1 ? "" : $", dilation {dilation}")}{(groups == 1 ? "" : $", groups {groups}")}{(bias ? "" : ", no bias")}";
}

/// <summary>Checks of a layer's own settings.</summary>
internal static class LayerNeeds
{
    public static void AtLeast(int least, int value, string member)
    {
        if (value < least)
            throw new LayerShapeException($"'{member}' to be at least {least}, not {value}");
    }

    public static void Between(double least, double value, double below, string member)
    {
        if (!(value >= least && value < below))
            throw new LayerShapeException($"'{member}' to be from {least} to below {below}, not {value}");
    }
}
