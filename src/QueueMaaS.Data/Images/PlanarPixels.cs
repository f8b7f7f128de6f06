namespace QueueMaaS.Data.Images;

/// <summary>Brings raw planar pixels to another size and number of channels.</summary>
internal static class PlanarPixels
{
    public static void Fit(ReadOnlySpan<byte> source, ImageSize from, ImageSize to, Span<byte> destination)
    {
        if (from == to)
        {
            source.CopyTo(destination);
            return;
        }

        var converted = Convert(source, from, to.Channels);
        if (from.Width == to.Width && from.Height == to.Height)
            converted.CopyTo(destination);
        else
            PlanarResampler.Resize(converted, from.Width, from.Height, to.Channels, destination, to.Width, to.Height);
    }

    /// <summary>The same pixels with another number of channels.</summary>
    public static byte[] Convert(ReadOnlySpan<byte> source, ImageSize from, int channels)
    {
        var plane = from.Width * from.Height;
        var converted = new byte[plane * channels];
        for (var i = 0; i < plane; i++)
        {
            if (from.Channels == 1 || channels == 3)
            {
                for (var c = 0; c < channels; c++)
                    converted[c * plane + i] = source[from.Channels == 1 ? i : c * plane + i];
            }
            else
            {
                converted[i] = (byte)((source[i] * 19595 + source[plane + i] * 38470 + source[2 * plane + i] * 7471 + 32768) >> 16);
            }
        }

        return converted;
    }
}
