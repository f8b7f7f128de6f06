using QueueMaaS.Contracts;
using QueueMaaS.Data.Images;

namespace QueueMaaS.Inference.Preparation.Images;

/// <summary>Brings decoded images to the size of the model's input: stretched, letterboxed or cut.</summary>
internal sealed class ImagePlacer(ImagePreparation preparation)
{
    private readonly ResampleFilter _filter = preparation.Interpolation switch
    {
        Interpolation.Nearest => ResampleFilter.Nearest,
        Interpolation.Bicubic => ResampleFilter.Cubic,
        Interpolation.Area => ResampleFilter.Box,
        _ => ResampleFilter.Triangle,
    };

    /// <summary>Places an image of the preparation's channels.</summary>
    public PlacedImage Place(PlanarImage image)
    {
        if (preparation.Resize is null && preparation.Mode == ResizeMode.Fit)
            return Fit(image);
        var (width, height) = Sizes(image);
        var (left, top) = ((width - preparation.Width) / 2, (height - preparation.Height) / 2);
        var placement = new ImagePlacement(image.Width, image.Height, (double)width / image.Width, (double)height / image.Height, -left, -top);
        return new(Resized(image, new(width, left, preparation.Width), new(height, top, preparation.Height)), placement);
    }

    private (int Width, int Height) Sizes(PlanarImage image)
    {
        var (width, height) = (preparation.Width, preparation.Height);
        if (preparation.Resize is { } shorter)
        {
            // The longer side is cut to whole pixels, as the usual loaders do.
            return image.Width <= image.Height
                ? (shorter, (int)((long)shorter * image.Height / image.Width))
                : ((int)((long)shorter * image.Width / image.Height), shorter);
        }

        if (preparation.Mode == ResizeMode.Stretch)
            return (width, height);
        return (long)width * image.Height >= (long)height * image.Width
            ? (width, Math.Max(height, (int)((long)image.Height * width / image.Width)))
            : (Math.Max(width, (int)((long)image.Width * height / image.Height)), height);
    }

    private PlacedImage Fit(PlanarImage image)
    {
        var scale = Math.Min((double)preparation.Width / image.Width, (double)preparation.Height / image.Height);
        var width = Math.Clamp((int)Math.Round(image.Width * scale), 1, preparation.Width);
        var height = Math.Clamp((int)Math.Round(image.Height * scale), 1, preparation.Height);
        var (left, top) = ((preparation.Width - width) / 2, (preparation.Height - height) / 2);
        var inner = Resized(image, new(width, 0, width), new(height, 0, height));
        var plane = preparation.Width * preparation.Height;
        var pixels = new byte[plane * preparation.Channels];
        for (var c = 0; c < preparation.Channels; c++)
        {
            var target = pixels.AsSpan(c * plane, plane);
            target.Fill(FillOf(c));
            for (var y = 0; y < height; y++)
                inner.AsSpan((c * height + y) * width, width).CopyTo(target[((top + y) * preparation.Width + left)..]);
        }

        return new(pixels, new(image.Width, image.Height, (double)width / image.Width, (double)height / image.Height, left, top));
    }

    private byte FillOf(int channel) => preparation.Fill switch
    {
        null => 0,
        [var one] => (byte)Math.Round(one),
        var colours => (byte)Math.Round(colours[channel]),
    };

    private byte[] Resized(PlanarImage image, ResizeAxis horizontal, ResizeAxis vertical)
    {
        // A resize to the same size is left out, so that pixels stay as they are with every filter.
        if (horizontal == new ResizeAxis(image.Width, 0, image.Width) && vertical == new ResizeAxis(image.Height, 0, image.Height))
            return image.Pixels;
        var pixels = GC.AllocateUninitializedArray<byte>(horizontal.Count * vertical.Count * image.Channels);
        PlanarResampler.Resize(image.Pixels, image.Width, image.Height, image.Channels, pixels, horizontal, vertical, _filter);
        return pixels;
    }
}
