using System.Runtime.InteropServices;
using QueueMaaS.Data.Loading;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Feeding;

/// <summary>What goes into a model, item by item, exactly as serving prepares it.</summary>
public abstract class ExampleInputs
{
    /// <summary>How many items there are.</summary>
    public abstract int Count { get; }

    /// <summary>The shape of one item.</summary>
    public abstract TensorShape Shape { get; }

    /// <summary>Numbers in one item.</summary>
    public int Width => (int)Shape.Count;

    /// <summary>Writes the numbers of an item. Token ids are written as numbers: they are below 2²⁴, where single precision is exact.</summary>
    public abstract void Read(int index, Span<float> target);

    /// <summary>Writes an item as it is varied in one epoch; by default as it is.</summary>
    /// <param name="index">The item.</param>
    /// <param name="seed">Decides the variation.</param>
    /// <param name="epoch">From 1.</param>
    /// <param name="target">Where to write.</param>
    public virtual void Vary(int index, long seed, int epoch, Span<float> target) => Read(index, target);

    /// <summary>Numbers as a tensor of the type that the model takes.</summary>
    internal torch.Tensor ToTensor(ReadOnlySpan<float> values, int rows, torch.Device device)
    {
        var plain = torch.empty(Shape.WithBatch(rows));
        // Straight into libtorch's memory; torch.tensor(array) would first make a large array for the collector.
        MemoryMarshal.AsBytes(values).CopyTo(plain.bytes);
        return (Shape.IsTokens ? plain.to(torch.int64) : plain).to(device);
    }
}

/// <summary>Images: (value ÷ 255 − mean) ÷ deviation.</summary>
public sealed class ImageInputs : ExampleInputs
{
    private const int Levels = 256;

    private readonly LabelledImages _images;
    private readonly ImageVariation? _variation;
    // One number for each byte value and channel, computed as serving computes it.
    private readonly float[] _levels;

    /// <summary>Images with an optional normalisation and variation.</summary>
    public ImageInputs(LabelledImages images, IReadOnlyList<double>? mean = null, IReadOnlyList<double>? deviation = null, ImageVariation? variation = null)
    {
        ArgumentNullException.ThrowIfNull(images);
        _images = images;
        _variation = variation;
        _levels = new float[images.Channels * Levels];
        for (var c = 0; c < images.Channels; c++)
        {
            var (m, d) = ((float)(mean?[c] ?? 0), (float)(deviation?[c] ?? 1));
            for (var value = 0; value < Levels; value++)
                _levels[c * Levels + value] = (value * (1f / 255f) - m) / d;
        }
    }

    /// <inheritdoc/>
    public override int Count => _images.Count;

    /// <inheritdoc/>
    public override TensorShape Shape => TensorShape.Image(_images.Channels, _images.Height, _images.Width);

    /// <inheritdoc/>
    public override void Read(int index, Span<float> target) => Write(_images[index], target);

    /// <inheritdoc/>
    public override void Vary(int index, long seed, int epoch, Span<float> target)
    {
        if (_variation is null)
        {
            Read(index, target);
            return;
        }

        Span<byte> varied = _images.ImageBytes <= 16 * 1024 ? stackalloc byte[_images.ImageBytes] : new byte[_images.ImageBytes];
        _variation.Apply(_images[index], varied, _images.Channels, _images.Height, _images.Width, index, seed, epoch);
        Write(varied, target);
    }

    private void Write(ReadOnlySpan<byte> pixels, Span<float> target)
    {
        var plane = _images.Width * _images.Height;
        for (var c = 0; c < _images.Channels; c++)
        {
            var levels = _levels.AsSpan(c * Levels, Levels);
            var from = pixels.Slice(c * plane, plane);
            var to = target.Slice(c * plane, plane);
            for (var p = 0; p < from.Length; p++)
                to[p] = levels[from[p]];
        }
    }
}

/// <summary>Numbers in memory: rows of a table, arrays, or token ids.</summary>
/// <param name="values">Items one after the other.</param>
/// <param name="shape">The shape of one.</param>
public sealed class NumberInputs(float[] values, TensorShape shape) : ExampleInputs
{
    /// <summary>All numbers.</summary>
    public float[] Values => values;

    /// <inheritdoc/>
    public override int Count => Width == 0 ? 0 : values.Length / Width;

    /// <inheritdoc/>
    public override TensorShape Shape => shape;

    /// <inheritdoc/>
    public override void Read(int index, Span<float> target) => values.AsSpan(index * Width, Width).CopyTo(target);
}
