using System.Buffers;

namespace QueueMaaS.Data.Images;

/// <summary>How pixels between pixels are computed. All but <see cref="Nearest"/> consider the whole area when shrinking, so that thin lines do not vanish.</summary>
public enum ResampleFilter
{
    Triangle,
    Nearest,
    Cubic,
    Box,
}

/// <summary>One axis of a resize: the new size, and which part of it is wanted.</summary>
/// <param name="Size">Pixels that the whole axis would have.</param>
/// <param name="Offset">The first one wanted.</param>
/// <param name="Count">How many are wanted.</param>
public readonly record struct ResizeAxis(int Size, int Offset, int Count);

/// <summary>Resizes planar bytes, one axis after the other. The triangle filter is bilinear when growing, an area-weighted bilinear when shrinking.</summary>
public static class PlanarResampler
{
    // The cubic that image libraries share for photographs; -0.75 is the other usual choice.
    private const double CubicA = -0.5;

    /// <summary>Resizes each plane of <paramref name="source"/> into <paramref name="destination"/>.</summary>
    public static void Resize(
        ReadOnlySpan<byte> source, int width, int height, int channels, Span<byte> destination, int newWidth, int newHeight, ResampleFilter filter = ResampleFilter.Triangle) =>
        Resize(source, width, height, channels, destination, new ResizeAxis(newWidth, 0, newWidth), new ResizeAxis(newHeight, 0, newHeight), filter);

    /// <summary>Resizes each plane of <paramref name="source"/> and writes no more than a window of the result into <paramref name="destination"/>: the rest is never computed.</summary>
    public static void Resize(
        ReadOnlySpan<byte> source, int width, int height, int channels, Span<byte> destination, ResizeAxis horizontal, ResizeAxis vertical, ResampleFilter filter)
    {
        var across = Taps.Between(width, horizontal, filter);
        var down = Taps.Between(height, vertical, filter);
        var (newWidth, newHeight) = (horizontal.Count, vertical.Count);
        var top = down.First[0];
        var bottom = down.First[^1] + down.Weights[^1].Length;
        var rows = ArrayPool<float>.Shared.Rent((bottom - top) * newWidth);
        try
        {
            for (var c = 0; c < channels; c++)
            {
                var plane = source.Slice(c * width * height, width * height);
                for (var y = top; y < bottom; y++)
                {
                    var row = plane.Slice(y * width, width);
                    for (var x = 0; x < newWidth; x++)
                    {
                        var weights = across.Weights[x];
                        var first = across.First[x];
                        var sum = 0f;
                        for (var k = 0; k < weights.Length; k++)
                            sum += weights[k] * row[first + k];
                        rows[(y - top) * newWidth + x] = sum;
                    }
                }

                var target = destination.Slice(c * newWidth * newHeight, newWidth * newHeight);
                for (var y = 0; y < newHeight; y++)
                {
                    var weights = down.Weights[y];
                    var first = down.First[y] - top;
                    for (var x = 0; x < newWidth; x++)
                    {
                        var sum = 0f;
                        for (var k = 0; k < weights.Length; k++)
                            sum += weights[k] * rows[(first + k) * newWidth + x];
                        target[y * newWidth + x] = (byte)Math.Clamp((int)(sum + 0.5f), 0, 255);
                    }
                }
            }
        }
        finally
        {
            ArrayPool<float>.Shared.Return(rows);
        }
    }

    /// <summary>For every target pixel, the source pixels it is made of and their weights (which add up to 1).</summary>
    private sealed record Taps(int[] First, float[][] Weights)
    {
        public static Taps Between(int size, ResizeAxis axis, ResampleFilter filter) => filter switch
        {
            ResampleFilter.Nearest => Nearest(size, axis),
            ResampleFilter.Box => Box(size, axis),
            ResampleFilter.Cubic => Smooth(size, axis, 2, Cubic),
            _ => Smooth(size, axis, 1, static distance => Math.Max(0, 1 - distance)),
        };

        private static Taps Smooth(int size, ResizeAxis axis, int support, Func<double, double> weight)
        {
            var scale = (double)size / axis.Size;
            var stretch = Math.Max(scale, 1);
            var radius = stretch * support;
            var first = new int[axis.Count];
            var weights = new float[axis.Count][];
            for (var i = 0; i < axis.Count; i++)
            {
                var centre = (axis.Offset + i + 0.5) * scale;
                var from = Math.Max((int)(centre - radius + 0.5), 0);
                var to = Math.Min((int)(centre + radius + 0.5), size);
                var taps = new double[to - from];
                for (var k = 0; k < taps.Length; k++)
                    taps[k] = weight(Math.Abs((from + k + 0.5 - centre) / stretch));
                var sum = taps.Sum();
                first[i] = from;
                weights[i] = Array.ConvertAll(taps, t => (float)(t / sum));
            }

            return new(first, weights);
        }

        private static Taps Nearest(int size, ResizeAxis axis)
        {
            var scale = (double)size / axis.Size;
            var first = Enumerable.Range(axis.Offset, axis.Count).Select(i => Math.Min((int)((i + 0.5) * scale), size - 1)).ToArray();
            return new(first, Array.ConvertAll(first, _ => new[] { 1f }));
        }

        /// <summary>Each source pixel weighs as much as the new pixel covers of it. In units of 1 / size, so that no edge is missed by rounding.</summary>
        private static Taps Box(int size, ResizeAxis axis)
        {
            var first = new int[axis.Count];
            var weights = new float[axis.Count][];
            for (var i = 0; i < axis.Count; i++)
            {
                var (left, right) = ((long)(axis.Offset + i) * size, (long)(axis.Offset + i + 1) * size);
                var (from, to) = ((int)(left / axis.Size), (int)((right + axis.Size - 1) / axis.Size));
                first[i] = from;
                weights[i] = new float[to - from];
                for (var k = 0; k < weights[i].Length; k++)
                {
                    var covered = Math.Min(right, (long)(from + k + 1) * axis.Size) - Math.Max(left, (long)(from + k) * axis.Size);
                    weights[i][k] = (float)((double)covered / size);
                }
            }

            return new(first, weights);
        }

        private static double Cubic(double x) => x switch
        {
            < 1 => ((CubicA + 2) * x - (CubicA + 3)) * x * x + 1,
            < 2 => (((x - 5) * x + 8) * x - 4) * CubicA,
            _ => 0,
        };
    }
}
