using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Feeding;

/// <summary>Varies an image: flip, shift (crop with reflected padding), rotation, colour, cutout. What is done depends on the seed, the epoch and the image's index alone.</summary>
public sealed class ImageVariation(AugmentationSettings settings)
{
    /// <summary>The variation that the settings ask for, or null where they ask for none.</summary>
    public static ImageVariation? For(AugmentationSettings? settings) =>
        settings is null or { Flip: FlipMode.None, Crop: 0, Rotation: 0, Brightness: 0, Contrast: 0, Saturation: 0, Cutout: 0 } ? null : new(settings);

    /// <summary>Writes the varied image.</summary>
    public void Apply(ReadOnlySpan<byte> source, Span<byte> target, int channels, int height, int width, int index, long seed, int epoch)
    {
        var draw = new Draws(Seeds.For(seed, "vary", epoch, index));
        var flip = settings.Flip switch
        {
            FlipMode.Random => draw.Next() < 0.5,
            // The first epoch's side is the image's own; then they take turns.
            FlipMode.Alternating => (Seeds.Unit(Seeds.For(seed, "flip", index)) < 0.5) ^ (epoch % 2 == 0),
            _ => false,
        };
        var down = Shift(ref draw);
        var across = Shift(ref draw);
        if (settings.Rotation > 0)
            Turn(source, target, channels, height, width, (draw.Next() * 2 - 1) * settings.Rotation * Math.PI / 180, down, across, flip);
        else
            Move(source, target, channels, height, width, down, across, flip);
        if (settings.Brightness > 0 || settings.Contrast > 0 || settings.Saturation > 0)
            Recolour(target, channels, height * width, Factor(ref draw, settings.Brightness), Factor(ref draw, settings.Contrast), Factor(ref draw, settings.Saturation));
        if (settings.Cutout > 0)
            Blank(target, channels, height, width, (int)(draw.Next() * height), (int)(draw.Next() * width));
    }

    private int Shift(ref Draws draw) => settings.Crop == 0 ? 0 : (int)(draw.Next() * (2 * settings.Crop + 1)) - settings.Crop;

    private static double Factor(ref Draws draw, double by) => by == 0 ? 1 : 1 + (draw.Next() * 2 - 1) * by;

    private static void Move(ReadOnlySpan<byte> source, Span<byte> target, int channels, int height, int width, int down, int across, bool flip)
    {
        for (var c = 0; c < channels; c++)
        {
            for (var y = 0; y < height; y++)
            {
                var from = source.Slice((c * height + Reflect(y + down, height)) * width, width);
                var to = target.Slice((c * height + y) * width, width);
                if (across == 0 && !flip)
                {
                    from.CopyTo(to);
                    continue;
                }

                for (var x = 0; x < width; x++)
                    to[x] = from[Reflect((flip ? width - 1 - x : x) + across, width)];
            }
        }
    }

    /// <summary>Turns around the middle; pixels between pixels are weighed by their distance.</summary>
    private static void Turn(ReadOnlySpan<byte> source, Span<byte> target, int channels, int height, int width, double angle, int down, int across, bool flip)
    {
        var (sin, cos) = Math.SinCos(angle);
        var (middleY, middleX) = ((height - 1) / 2.0, (width - 1) / 2.0);
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                var (dy, dx) = (y - middleY, (flip ? width - 1 - x : x) - middleX);
                var fromY = cos * dy - sin * dx + middleY + down;
                var fromX = sin * dy + cos * dx + middleX + across;
                var (top, left) = ((int)Math.Floor(fromY), (int)Math.Floor(fromX));
                var (below, right) = (fromY - top, fromX - left);
                var (y0, y1, x0, x1) = (Reflect(top, height), Reflect(top + 1, height), Reflect(left, width), Reflect(left + 1, width));
                for (var c = 0; c < channels; c++)
                {
                    var plane = source.Slice(c * height * width, height * width);
                    var value = (1 - below) * ((1 - right) * plane[y0 * width + x0] + right * plane[y0 * width + x1]) + below * ((1 - right) * plane[y1 * width + x0] + right * plane[y1 * width + x1]);
                    target[(c * height + y) * width + x] = (byte)Math.Clamp(value + 0.5, 0, 255);
                }
            }
        }
    }

    private static void Recolour(Span<byte> pixels, int channels, int plane, double brightness, double contrast, double saturation)
    {
        double mean = 0;
        foreach (var value in pixels)
            mean += value;
        mean = mean / pixels.Length * brightness;
        for (var p = 0; p < plane; p++)
        {
            var grey = channels == 3 ? 0.299 * pixels[p] + 0.587 * pixels[plane + p] + 0.114 * pixels[2 * plane + p] : pixels[p];
            for (var c = 0; c < channels; c++)
            {
                ref var pixel = ref pixels[c * plane + p];
                var saturated = grey + (pixel - grey) * saturation;
                pixel = (byte)Math.Clamp(mean + (saturated * brightness - mean) * contrast + 0.5, 0, 255);
            }
        }
    }

    private void Blank(Span<byte> pixels, int channels, int height, int width, int middleY, int middleX)
    {
        var (top, left) = (Math.Max(0, middleY - settings.Cutout / 2), Math.Max(0, middleX - settings.Cutout / 2));
        var (bottom, right) = (Math.Min(height, middleY - settings.Cutout / 2 + settings.Cutout), Math.Min(width, middleX - settings.Cutout / 2 + settings.Cutout));
        for (var c = 0; c < channels; c++)
        {
            for (var y = top; y < bottom; y++)
                pixels.Slice((c * height + y) * width + left, Math.Max(0, right - left)).Fill(127);
        }
    }

    /// <summary>A place beyond the edge as its mirror image within.</summary>
    private static int Reflect(int at, int size)
    {
        if (size == 1)
            return 0;
        var period = 2 * (size - 1);
        at = ((at % period) + period) % period;
        return at < size ? at : period - at;
    }

    /// <summary>A short series of numbers from 0 up to 1 out of one seed, without making an object.</summary>
    private struct Draws(long seed)
    {
        private long _next = seed;

        public double Next() => Seeds.Unit(unchecked(_next += 0x5851F42D4C957F2D));
    }
}
