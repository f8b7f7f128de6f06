using SkiaSharp;

namespace QueueMaaS.Data.Images;

/// <summary>Small pictures for cards and reports.</summary>
public static class ThumbnailPng
{
    /// <summary>A square PNG as a data URL.</summary>
    /// <param name="pixels">3 × side × side bytes, red first.</param>
    /// <param name="side">Pixels.</param>
    public static string DataUrl(ReadOnlySpan<byte> pixels, int side)
    {
        using var bitmap = new SKBitmap(side, side, SKColorType.Rgba8888, SKAlphaType.Opaque);
        var plane = side * side;
        for (var p = 0; p < plane; p++)
            bitmap.SetPixel(p % side, p / side, new SKColor(pixels[p], pixels[plane + p], pixels[(2 * plane) + p]));
        using var png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return $"data:image/png;base64,{Convert.ToBase64String(png.AsSpan())}";
    }
}
