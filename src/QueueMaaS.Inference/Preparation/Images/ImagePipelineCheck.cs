using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation.Images;

/// <summary>Holds an image pipeline against the model's signature.</summary>
internal static class ImagePipelineCheck
{
    private const int MaxSide = 8192;
    private const int MaxPixels = 1 << 24;
    private static readonly string[] Takes = [Datatypes.Fp16, Datatypes.Fp32, Datatypes.Fp64, Datatypes.UInt8, Datatypes.Int8];

    /// <summary>The first fault, or null where there is none.</summary>
    public static PipelineFault? Find(ModelSignature signature, ImagePreparation image) => FindOwn(image) ?? FindMisfit(signature, image);

    /// <summary>The input that images feed.</summary>
    public static TensorSignature InputOf(ModelSignature signature, ImagePreparation image) =>
        image.Input is null ? signature.Inputs[0] : signature.Inputs.First(i => i.Name == image.Input);

    private static PipelineFault? FindOwn(ImagePreparation image)
    {
        if (image.Width is < 1 or > MaxSide)
            return At("width", $"it is {image.Width}; give 1 to {MaxSide} pixels.");
        if (image.Height is < 1 or > MaxSide || (long)image.Width * image.Height > MaxPixels)
            return At("height", $"it is {image.Height}; give 1 to {MaxSide} pixels, and no more than {MaxPixels} in all.");
        if (image.Channels is not (1 or 3))
            return At("channels", $"it is {image.Channels}; give 3 (colour) or 1 (grey).");
        if (image.Mean is { } mean && (!IsOneOrEach(mean, image.Channels) || !mean.All(double.IsFinite)))
            return At("mean", $"it has {mean.Count} numbers; give one, or one for each of the {image.Channels} channels.");
        if (image.Deviation is { } deviation && (!IsOneOrEach(deviation, image.Channels) || !deviation.All(d => double.IsFinite(d) && d != 0)))
            return At("deviation", $"give one number, or one for each of the {image.Channels} channels, none of them 0.");
        if (image.Scale is { } scale && (!double.IsFinite(scale) || scale == 0))
            return At("scale", "give a number other than 0, such as 0.00392156862745098 (1/255) or 1.");
        if (image.Resize is { } shorter && (shorter < Math.Max(image.Width, image.Height) || shorter > MaxSide))
            return At("resize", $"it is {shorter}; the shorter side must be at least {Math.Max(image.Width, image.Height)}, so that {image.Width} × {image.Height} can be cut out of the middle, and at most {MaxSide}.");
        if (image.Resize is not null && image.Mode != ResizeMode.Stretch)
            return At("mode", "`resize` takes its place; give one of the two.");
        if (image.Fill is { } fill && (!IsOneOrEach(fill, image.Channels) || !fill.All(f => f is >= 0 and <= 255)))
            return At("fill", $"give one number from 0 to 255, or one for each of the {image.Channels} channels.");
        if (image.Fill is not null && (image.Mode != ResizeMode.Fit || image.Resize is not null))
            return At("fill", "only images in mode `fit` have something to fill; leave it out or choose that mode.");
        return image.Order == ChannelOrder.Bgr && image.Channels == 1 ? At("order", "a grey image has one channel only; leave it out.") : null;
    }

    private static bool IsOneOrEach(IReadOnlyList<double> numbers, int channels) => numbers.Count == 1 || numbers.Count == channels;

    private static PipelineFault? FindMisfit(ModelSignature signature, ImagePreparation image)
    {
        if (image.Input is not null && signature.Inputs.All(i => i.Name != image.Input))
            return At("input", $"the model has no input '{image.Input}'; its inputs are {Describe(signature)}.");
        if (signature.Inputs.Count != 1)
            return At("input", $"an image can feed one input only, but the model has {signature.Inputs.Count}: {Describe(signature)}. Export it with the image as its only input.");
        var input = signature.Inputs[0];
        if (!Takes.Contains(input.Datatype, StringComparer.Ordinal))
            return At("input", $"input '{input.Name}' is {input.Datatype}; images become {string.Join(", ", Takes)}. Export the model with one of them.");
        var row = RowShape(image);
        var fits = input.Shape.Count == 4 && input.Shape[0] is -1 or 1 && row.Zip(input.Shape.Skip(1)).All(p => p.Second < 0 || p.First == p.Second);
        if (fits)
            return null;
        var becomes = $"the image becomes a tensor of shape {TensorBuffer.Describe([-1, .. row])}, which does not fit the model's input {Describe(signature)}.";
        if (input.Shape is [_, > 3, > 3, 1 or 3] && image.Layout == ImageLayout.Nchw)
            return At("layout", $"{becomes} The model's channels come last: give `layout` `nhwc`.");
        if (input.Shape is [_, 1 or 3, > 3, > 3] && image.Layout == ImageLayout.Nhwc)
            return At("layout", $"{becomes} The model's channels come first: give `layout` `nchw`.");
        var axes = image.Layout == ImageLayout.Nchw ? (string[])["channels", "height", "width"] : ["height", "width", "channels"];
        for (var axis = 0; axis < axes.Length && input.Shape.Count == 4; axis++)
        {
            if (input.Shape[axis + 1] is >= 0 and var size && size != row[axis])
                return At(axes[axis], $"{becomes} With this layout the model takes `{axes[axis]}` {size}, not {row[axis]}.");
        }

        return At("input", $"{becomes} Export the model with an input of four axes: [N, channels, height, width] or [N, height, width, channels].");
    }

    /// <summary>The axes of one image's tensor.</summary>
    public static long[] RowShape(ImagePreparation image) => image.Layout == ImageLayout.Nchw
        ? [image.Channels, image.Height, image.Width]
        : [image.Height, image.Width, image.Channels];

    private static string Describe(ModelSignature signature) => string.Join(", ", signature.Inputs.Select(i => $"'{i.Name}' ({i.Datatype} {TensorBuffer.Describe(i.Shape)})"));

    private static PipelineFault At(string member, string message) => new($"pipeline.image.{member}", message);
}
