using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Images;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation.Images;

/// <summary>Turns images into the tensor that a model's pipeline asks for.</summary>
internal sealed class ImagePixels
{
    private const int Levels = 256;

    private readonly ImagePreparation _preparation;
    private readonly TensorSignature _input;
    private readonly ImagePlacer _placer;
    private readonly long[] _rowShape;
    // One number for each byte value and channel, so that no arithmetic is left for the pixels and every path gives the very same numbers.
    private readonly float[] _levels;

    private ImagePixels(ImagePreparation preparation, TensorSignature input)
    {
        _preparation = preparation;
        _input = input;
        _placer = new(preparation);
        _rowShape = [1, .. ImagePipelineCheck.RowShape(preparation)];
        _levels = new float[preparation.Channels * Levels];
        var whole = input.Datatype is Datatypes.UInt8 or Datatypes.Int8;
        var scale = preparation.Scale is { } given ? (float)given : whole ? 1 : 1f / 255f;
        for (var c = 0; c < preparation.Channels; c++)
        {
            var mean = (float)(Of(preparation.Mean, c) ?? 0);
            var deviation = (float)(Of(preparation.Deviation, c) ?? 1);
            for (var value = 0; value < Levels; value++)
                _levels[c * Levels + value] = (value * scale - mean) / deviation;
        }
    }

    /// <summary>A channel's own number, or the one for all.</summary>
    private static double? Of(IReadOnlyList<double>? numbers, int channel) => numbers is null ? null : numbers[numbers.Count == 1 ? 0 : channel];

    /// <summary>Bytes of one image: channels × height × width.</summary>
    public int ImageBytes => _preparation.Channels * _preparation.Height * _preparation.Width;

    /// <summary>The preparation for a model.</summary>
    /// <exception cref="ProblemException"><c>image_input_unsupported</c>: it has no image pipeline, or one that does not fit its signature.</exception>
    public static ImagePixels For(ModelSignature signature, ModelPipeline? pipeline)
    {
        if (pipeline?.Image is not { } image)
        {
            throw new ProblemException(
                ProblemCodes.ImageInputUnsupported,
                $"The model has no image pipeline. Send its inputs {string.Join(", ", signature.Inputs.Select(i => $"'{i.Name}' ({i.Datatype} {TensorBuffer.Describe(i.Shape)})"))}, or register a version with a pipeline for images.");
        }

        if (ImagePipelineCheck.Find(signature, image) is { } fault)
            throw new ProblemException(ProblemCodes.ImageInputUnsupported, $"The model's image pipeline does not fit it; register a version whose pipeline does. `{fault.Path}`: {fault.Message}", ("path", fault.Path));
        return new(image, ImagePipelineCheck.InputOf(signature, image));
    }

    /// <summary>Decodes an image file and brings it to the model's size.</summary>
    /// <exception cref="ProblemException"><c>image_unreadable</c>.</exception>
    public PlacedImage Decode(ReadOnlySpan<byte> file) => Place(ImageDecoder.Decode(file, _preparation.Channels, _preparation.Alpha == AlphaMode.White));

    /// <summary>Brings a decoded image to the model's size.</summary>
    public PlacedImage Place(PlanarImage image) => _placer.Place(image);

    /// <summary>One row from planar bytes of the model's size, red first.</summary>
    public TensorBuffer ToTensor(ReadOnlySpan<byte> planar)
    {
        if (planar.Length != ImageBytes)
            throw new ArgumentException($"{planar.Length} bytes are not an image of {ImageBytes}.", nameof(planar));
        var datatype = TensorDatatype.Find(_input.Datatype)!;
        var bytes = GC.AllocateUninitializedArray<byte>(planar.Length * datatype.Size);
        switch (datatype.Name)
        {
            case Datatypes.Fp16:
                Write(planar, MemoryMarshal.Cast<byte, Half>(bytes.AsSpan()), static level => (Half)level);
                break;
            case Datatypes.Fp64:
                Write(planar, MemoryMarshal.Cast<byte, double>(bytes.AsSpan()), static level => level);
                break;
            case Datatypes.UInt8:
                Write(planar, bytes.AsSpan(), static level => (byte)Math.Clamp(MathF.Round(level), 0, 255));
                break;
            case Datatypes.Int8:
                Write(planar, MemoryMarshal.Cast<byte, sbyte>(bytes.AsSpan()), static level => (sbyte)Math.Clamp(MathF.Round(level), -128, 127));
                break;
            default:
                Write(planar, MemoryMarshal.Cast<byte, float>(bytes.AsSpan()), static level => level);
                break;
        }

        return TensorBuffer.OfBytes(_input.Name, datatype, (long[])_rowShape.Clone(), bytes);
    }

    private void Write<T>(ReadOnlySpan<byte> planar, Span<T> target, Func<float, T> convert)
    {
        var channels = _preparation.Channels;
        var plane = _preparation.Height * _preparation.Width;
        var levels = new T[Levels];
        for (var c = 0; c < channels; c++)
        {
            for (var value = 0; value < Levels; value++)
                levels[value] = convert(_levels[c * Levels + value]);
            var from = planar.Slice((_preparation.Order == ChannelOrder.Bgr ? channels - 1 - c : c) * plane, plane);
            var (first, step) = _preparation.Layout == ImageLayout.Nchw ? (c * plane, 1) : (c, channels);
            for (var i = 0; i < from.Length; i++)
                target[first + i * step] = levels[from[i]];
        }
    }
}
