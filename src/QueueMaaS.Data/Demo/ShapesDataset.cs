using System.Globalization;
using System.IO.Compression;
using SkiaSharp;

namespace QueueMaaS.Data.Demo;

/// <summary>
/// A data set made on the spot, so that a first training needs no download: ten shapes on 32 × 32 pixels, each drawn with its own place, size, angle,
/// colours (light on dark as often as dark on light), clutter and noise. Pixels alone say little about the class, edges and corners say everything.
/// </summary>
public static class ShapesDataset
{
    /// <summary>Pixels of each side.</summary>
    public const int Side = 32;

    private const int PngQuality = 100;

    /// <summary>The classes, in label order.</summary>
    public static IReadOnlyList<string> Classes { get; } =
        ["arrow", "circle", "corner", "cross", "heart", "moon", "ring", "square", "star", "triangle"];

    /// <summary>Writes the data set as an image folder with a train and a test split. The same seed gives the same pixels.</summary>
    /// <param name="zipPath">The file to write; an existing one is replaced.</param>
    /// <param name="trainPerClass">Training images of each class.</param>
    /// <param name="testPerClass">Test images of each class.</param>
    /// <param name="seed">Seeds everything drawn.</param>
    /// <param name="cancellationToken">Stops between images; the unfinished file is left behind.</param>
    public static void Write(string zipPath, int trainPerClass, int testPerClass, int seed, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(zipPath);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(trainPerClass);
        ArgumentOutOfRangeException.ThrowIfNegative(testPerClass);
        using var zip = ZipFile.Open(zipPath, File.Exists(zipPath) ? Replace(zipPath) : ZipArchiveMode.Create);
        foreach (var (split, count) in new[] { ("train", trainPerClass), ("test", testPerClass) })
        {
            for (var label = 0; label < Classes.Count; label++)
            {
                // One generator per class and split, so that asking for more images leaves the first ones as they were.
                var random = new Random(HashCodeOf(seed, split == "train" ? 0 : 1, label));
                for (var i = 0; i < count; i++)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    var entry = zip.CreateEntry($"{split}/{Classes[label]}/{i.ToString("D5", CultureInfo.InvariantCulture)}.png", CompressionLevel.NoCompression);
                    entry.LastWriteTime = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);
                    using var stream = entry.Open();
                    stream.Write(Render(label, random));
                }
            }
        }
    }

    /// <summary>Draws one image of a class as a PNG file.</summary>
    internal static byte[] Render(int label, Random random)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(Side, Side, SKColorType.Rgba8888, SKAlphaType.Opaque));
        using (var canvas = new SKCanvas(bitmap))
        {
            var (back, fore) = Colours(random);
            canvas.Clear(back);
            Clutter(canvas, back, random);
            using var path = ShapePaths.Create(label);
            var radius = Between(random, 9f, 13.5f);
            canvas.Translate(Between(random, radius, Side - radius), Between(random, radius, Side - radius));
            canvas.RotateDegrees(Between(random, -22f, 22f));
            canvas.Scale(radius * Between(random, 0.9f, 1.1f), radius);
            using var paint = new SKPaint { Color = fore, IsAntialias = true };
            canvas.DrawPath(path, paint);
        }

        AddNoise(bitmap, Between(random, 3f, 13f), random);
        using var data = bitmap.Encode(SKEncodedImageFormat.Png, PngQuality);
        return data.ToArray();
    }

    private static ZipArchiveMode Replace(string zipPath)
    {
        File.Delete(zipPath);
        return ZipArchiveMode.Create;
    }

    private static int HashCodeOf(int seed, int split, int label) => unchecked((seed * 397 ^ split) * 397 ^ label);

    /// <summary>Two colours far enough apart in brightness to be told apart, either one the lighter.</summary>
    private static (SKColor Back, SKColor Fore) Colours(Random random)
    {
        while (true)
        {
            var (a, b) = (Colour(random), Colour(random));
            if (Math.Abs(Brightness(a) - Brightness(b)) > 80)
                return (a, b);
        }
    }

    private static SKColor Colour(Random random) => new((byte)random.Next(256), (byte)random.Next(256), (byte)random.Next(256));

    private static double Brightness(SKColor colour) => 0.299 * colour.Red + 0.587 * colour.Green + 0.114 * colour.Blue;

    /// <summary>Lines and dots in colours near the background's, beneath the shape.</summary>
    private static void Clutter(SKCanvas canvas, SKColor back, Random random)
    {
        for (var i = random.Next(2, 6); i > 0; i--)
        {
            using var paint = new SKPaint { Color = Near(back, random), IsAntialias = true, StrokeWidth = Between(random, 1f, 2.5f), Style = SKPaintStyle.Stroke };
            canvas.DrawLine(Between(random, 0, Side), Between(random, 0, Side), Between(random, 0, Side), Between(random, 0, Side), paint);
        }

        for (var i = random.Next(0, 4); i > 0; i--)
        {
            using var paint = new SKPaint { Color = Near(back, random), IsAntialias = true };
            canvas.DrawCircle(Between(random, 0, Side), Between(random, 0, Side), Between(random, 1f, 3f), paint);
        }
    }

    private static SKColor Near(SKColor colour, Random random) => new(Moved(colour.Red, random), Moved(colour.Green, random), Moved(colour.Blue, random));

    private static byte Moved(byte value, Random random) => (byte)Math.Clamp(value + random.Next(-45, 46), 0, 255);

    private static void AddNoise(SKBitmap bitmap, float deviation, Random random)
    {
        var pixels = bitmap.GetPixelSpan();
        var noisy = pixels.ToArray();
        for (var i = 0; i < noisy.Length; i++)
        {
            if (i % 4 == 3)
                continue;
            // The sum of three even draws is close enough to a normal one.
            var noise = (random.NextSingle() + random.NextSingle() + random.NextSingle() - 1.5f) * 2 * deviation;
            noisy[i] = (byte)Math.Clamp((int)(noisy[i] + noise), 0, 255);
        }

        System.Runtime.InteropServices.Marshal.Copy(noisy, 0, bitmap.GetPixels(), noisy.Length);
    }

    private static float Between(Random random, float least, float most) => least + random.NextSingle() * (most - least);
}
