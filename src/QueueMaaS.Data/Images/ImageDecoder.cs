using System.Buffers;
using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using SkiaSharp;

namespace QueueMaaS.Data.Images;

/// <summary>The size of an image as it is to be seen, its EXIF orientation applied.</summary>
/// <param name="Width">Pixels.</param>
/// <param name="Height">Pixels.</param>
/// <param name="Channels">1 where the file holds grey only, else 3.</param>
public readonly record struct ImageSize(int Width, int Height, int Channels);

/// <summary>
/// Turns encoded images (JPEG, PNG, WebP, BMP, GIF's first frame) into planar bytes. Colour profiles are ignored and alpha is dropped
/// unless white is asked for, as the usual training loaders do, so that a model sees the same numbers here and elsewhere.
/// </summary>
public static class ImageDecoder
{
    /// <summary>Images with more pixels than this are refused before they are decoded: 64 megapixels need 256 MB.</summary>
    public const long MaxPixels = 64L * 1024 * 1024;

    /// <summary>Images with a longer side are refused too: the rows of one that is a single pixel wide would need more memory than its pixels.</summary>
    public const int MaxSide = 32_768;

    private const string Remedy = "Give a complete JPEG, PNG, WebP, BMP or GIF file.";

    /// <summary>Reads the size without decoding the pixels.</summary>
    /// <exception cref="ProblemException"><c>image_unreadable</c> where the bytes are no image, or one over <see cref="MaxPixels"/>.</exception>
    public static ImageSize Measure(ReadOnlySpan<byte> file)
    {
        using var codec = Open(file);
        var (info, swapped) = (codec.Info, SwapsAxes(OriginOf(codec, file)));
        return new(
            swapped ? info.Height : info.Width,
            swapped ? info.Width : info.Height,
            info.ColorType == SKColorType.Gray8 ? 1 : 3);
    }

    /// <summary>
    /// Decodes <paramref name="file"/> into <paramref name="planarDestination"/> as channels × height × width, 0 to 255.
    /// An image of another size is resized (triangle filter, which is bilinear with the area considered when it shrinks; aspect not kept); one of the right size is copied untouched.
    /// </summary>
    /// <param name="file">The encoded image.</param>
    /// <param name="width">Width wanted, in pixels.</param>
    /// <param name="height">Height wanted, in pixels.</param>
    /// <param name="channels">3 for red, green and blue, or 1 for grey (ITU-R 601 luma).</param>
    /// <param name="planarDestination">Exactly channels × height × width bytes.</param>
    /// <exception cref="ProblemException"><c>image_unreadable</c> where the file is not a complete image, or one over <see cref="MaxPixels"/>.</exception>
    public static void DecodeTo(ReadOnlySpan<byte> file, int width, int height, int channels, Span<byte> planarDestination)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        if (channels is not (1 or 3))
            throw new ArgumentOutOfRangeException(nameof(channels), channels, "Channels are 1 (grey) or 3 (RGB).");
        if (planarDestination.Length != checked(width * height * channels))
            throw new ArgumentException($"The destination has {planarDestination.Length} bytes; {channels} × {height} × {width} are needed.", nameof(planarDestination));

        RequireEnd(file);
        using var codec = Open(file);
        var rgba = ArrayPool<byte>.Shared.Rent(RgbaOf(codec).BytesSize);
        try
        {
            var origin = OriginOf(codec, file);
            var seen = Decode(codec, origin, rgba, onWhite: false);
            if (seen.Width == width && seen.Height == height)
            {
                ToPlanar(rgba, codec.Info.Width, codec.Info.Height, origin, channels, planarDestination);
                return;
            }

            var planar = ArrayPool<byte>.Shared.Rent(seen.Width * seen.Height * channels);
            try
            {
                ToPlanar(rgba, codec.Info.Width, codec.Info.Height, origin, channels, planar);
                PlanarResampler.Resize(planar, seen.Width, seen.Height, channels, planarDestination, width, height);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(planar);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rgba);
        }
    }

    /// <summary>Decodes <paramref name="file"/> in its own size, its EXIF orientation applied.</summary>
    /// <param name="file">The encoded image.</param>
    /// <param name="channels">3 for red, green and blue, or 1 for grey (ITU-R 601 luma).</param>
    /// <param name="onWhite">True: transparency is laid on white. False: alpha is dropped.</param>
    /// <exception cref="ProblemException"><c>image_unreadable</c> where the file is not a complete image, or one over <see cref="MaxPixels"/>.</exception>
    public static PlanarImage Decode(ReadOnlySpan<byte> file, int channels, bool onWhite)
    {
        if (channels is not (1 or 3))
            throw new ArgumentOutOfRangeException(nameof(channels), channels, "Channels are 1 (grey) or 3 (RGB).");
        RequireEnd(file);
        using var codec = Open(file);
        var rgba = ArrayPool<byte>.Shared.Rent(RgbaOf(codec).BytesSize);
        try
        {
            var origin = OriginOf(codec, file);
            var seen = Decode(codec, origin, rgba, onWhite);
            var planar = GC.AllocateUninitializedArray<byte>(seen.Width * seen.Height * channels);
            ToPlanar(rgba, codec.Info.Width, codec.Info.Height, origin, channels, planar);
            return new(seen.Width, seen.Height, channels, planar);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rgba);
        }
    }

    private static SKImageInfo RgbaOf(SKCodec codec) => new(codec.Info.Width, codec.Info.Height, SKColorType.Rgba8888, SKAlphaType.Unpremul);

    private static SKCodec Open(ReadOnlySpan<byte> file)
    {
        using var data = SKData.CreateCopy(file);
        var codec = SKCodec.Create(data)
            ?? throw Unreadable(file.IsEmpty ? "It is empty." : "Its bytes are not an image of a known kind, or its header is damaged.");
        var pixels = (long)codec.Info.Width * codec.Info.Height;
        if (pixels is > 0 and <= MaxPixels && Math.Max(codec.Info.Width, codec.Info.Height) <= MaxSide)
            return codec;
        var (width, height) = (codec.Info.Width, codec.Info.Height);
        codec.Dispose();
        throw new ProblemException(
            ProblemCodes.ImageUnreadable,
            $"The image is {width} × {height} pixels; at most {MaxPixels / (1024 * 1024)} megapixels and {MaxSide} along a side are decoded. Make it smaller first.",
            ("width", width), ("height", height), ("maxPixels", MaxPixels), ("maxSide", MaxSide));
    }

    /// <summary>Fills <paramref name="rgba"/> with the pixels as stored, and answers the size as it is to be seen.</summary>
    private static (int Width, int Height) Decode(SKCodec codec, SKEncodedOrigin origin, byte[] rgba, bool onWhite)
    {
        var info = RgbaOf(codec);
        var handle = GCHandle.Alloc(rgba, GCHandleType.Pinned);
        try
        {
            var result = codec.GetPixels(info, handle.AddrOfPinnedObject());
            if (result != SKCodecResult.Success)
            {
                throw Unreadable(result == SKCodecResult.IncompleteInput
                    ? "It was cut short: the last rows are missing."
                    : $"Its pixels cannot be decoded ({result}).");
            }
        }
        finally
        {
            handle.Free();
        }

        if (onWhite && codec.Info.AlphaType != SKAlphaType.Opaque)
            LayOnWhite(rgba.AsSpan(0, info.BytesSize));
        return SwapsAxes(origin) ? (info.Height, info.Width) : (info.Width, info.Height);
    }

    private static void LayOnWhite(Span<byte> rgba)
    {
        for (var i = 0; i < rgba.Length; i += 4)
        {
            int alpha = rgba[i + 3];
            if (alpha == 255)
                continue;
            for (var c = 0; c < 3; c++)
                rgba[i + c] = (byte)((rgba[i + c] * alpha + 255 * (255 - alpha) + 127) / 255);
        }
    }

    /// <summary>The decoder fills what a truncated file lacks where only its last bytes are gone, so the end mark is looked for as well.</summary>
    private static void RequireEnd(ReadOnlySpan<byte> file)
    {
        var complete =
            file.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8]) ? file.LastIndexOf((ReadOnlySpan<byte>)[0xFF, 0xD9]) >= 0
            : !file.StartsWith((ReadOnlySpan<byte>)[0x89, (byte)'P', (byte)'N', (byte)'G']) || file.LastIndexOf("IEND"u8) >= 0;
        if (!complete)
            throw Unreadable("It was cut short: its end mark is missing.");
    }

    private static SKEncodedOrigin OriginOf(SKCodec codec, ReadOnlySpan<byte> file) => PngOrientation.Find(file) ?? codec.EncodedOrigin;

    private static bool SwapsAxes(SKEncodedOrigin origin) =>
        origin is SKEncodedOrigin.LeftTop or SKEncodedOrigin.RightTop or SKEncodedOrigin.RightBottom or SKEncodedOrigin.LeftBottom;

    private static void ToPlanar(ReadOnlySpan<byte> rgba, int width, int height, SKEncodedOrigin origin, int channels, Span<byte> planar)
    {
        var plane = width * height;
        // Where the first stored pixel goes, and how far the next in its row and in its column lie apart, in the image as seen.
        var (start, alongRow, alongColumn) = origin switch
        {
            SKEncodedOrigin.TopRight => (width - 1, -1, width),
            SKEncodedOrigin.BottomRight => (plane - 1, -1, -width),
            SKEncodedOrigin.BottomLeft => (plane - width, 1, -width),
            SKEncodedOrigin.LeftTop => (0, height, 1),
            SKEncodedOrigin.RightTop => (height - 1, height, -1),
            SKEncodedOrigin.RightBottom => (plane - 1, -height, -1),
            SKEncodedOrigin.LeftBottom => (plane - height, -height, 1),
            _ => (0, 1, width),
        };
        var source = 0;
        for (var y = 0; y < height; y++)
        {
            var target = start + y * alongColumn;
            for (var x = 0; x < width; x++, source += 4, target += alongRow)
            {
                if (channels == 3)
                {
                    planar[target] = rgba[source];
                    planar[plane + target] = rgba[source + 1];
                    planar[2 * plane + target] = rgba[source + 2];
                }
                else
                {
                    // ITU-R 601 in 16-bit fixed point, rounded: the weights add up to 65,536, so grey stays exactly grey.
                    planar[target] = (byte)((rgba[source] * 19595 + rgba[source + 1] * 38470 + rgba[source + 2] * 7471 + 32768) >> 16);
                }
            }
        }
    }

    private static ProblemException Unreadable(string reason) => new(ProblemCodes.ImageUnreadable, $"The image cannot be read. {reason} {Remedy}");
}
