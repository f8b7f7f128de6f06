using QueueMaaS.Contracts;
using QueueMaaS.Data.Images;
using SkiaSharp;

namespace QueueMaaS.Data.Tests;

public sealed class ImageDecoderTests
{
    [Fact]
    public void A_png_of_the_right_size_is_copied_pixel_by_pixel_into_planes()
    {
        using var bitmap = new SKBitmap(new SKImageInfo(2, 1, SKColorType.Rgba8888, SKAlphaType.Opaque));
        bitmap.SetPixel(0, 0, new SKColor(1, 2, 3));
        bitmap.SetPixel(1, 0, new SKColor(4, 5, 6));
        using var png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        var pixels = new byte[6];
        ImageDecoder.DecodeTo(png.ToArray(), 2, 1, 3, pixels);
        pixels.ShouldBe(new byte[] { 1, 4, 2, 5, 3, 6 });
    }

    [Theory]
    [InlineData(SKEncodedImageFormat.Png)]
    [InlineData(SKEncodedImageFormat.Jpeg)]
    [InlineData(SKEncodedImageFormat.Webp)]
    public void Each_format_keeps_an_even_colour_when_resized(SKEncodedImageFormat format)
    {
        var file = Samples.Image(new SKColor(200, 100, 50), 37, 23, format);
        var pixels = new byte[3 * 16 * 16];
        ImageDecoder.DecodeTo(file, 16, 16, 3, pixels);
        pixels[..256].ShouldAllBe(p => Math.Abs(p - 200) <= 3);
        pixels[256..512].ShouldAllBe(p => Math.Abs(p - 100) <= 3);
        pixels[512..].ShouldAllBe(p => Math.Abs(p - 50) <= 3);
    }

    [Fact]
    public void Grey_is_luma_and_grey_stays_exactly_grey()
    {
        var pixels = new byte[64];
        ImageDecoder.DecodeTo(Samples.Image(new SKColor(77, 77, 77)), 8, 8, 1, pixels);
        pixels.ShouldAllBe(p => p == 77);
        ImageDecoder.DecodeTo(Samples.Image(new SKColor(255, 0, 0)), 8, 8, 1, pixels);
        pixels.ShouldAllBe(p => p == 76);
    }

    [Theory]
    [InlineData(0.2)]
    [InlineData(0.5)]
    [InlineData(0.9)]
    [InlineData(0.99)]
    public void A_truncated_jpeg_is_unreadable(double kept)
    {
        var jpeg = Samples.Jpeg();
        Samples.ShouldFail(() => ImageDecoder.DecodeTo(jpeg.AsSpan(0, (int)(jpeg.Length * kept)), 64, 64, 3, new byte[3 * 64 * 64]), ProblemCodes.ImageUnreadable);
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(0.95)]
    public void A_truncated_png_is_unreadable(double kept)
    {
        var png = Samples.Noise(64, 64, 1, SKEncodedImageFormat.Png);
        Samples.ShouldFail(() => ImageDecoder.DecodeTo(png.AsSpan(0, (int)(png.Length * kept)), 64, 64, 3, new byte[3 * 64 * 64]), ProblemCodes.ImageUnreadable);
    }

    [Fact]
    public void Empty_and_foreign_bytes_are_unreadable()
    {
        Samples.ShouldFail(() => ImageDecoder.DecodeTo([], 8, 8, 3, new byte[192]), ProblemCodes.ImageUnreadable);
        Samples.ShouldFail(() => ImageDecoder.DecodeTo("not an image"u8, 8, 8, 3, new byte[192]), ProblemCodes.ImageUnreadable);
        Samples.ShouldFail(() => ImageDecoder.Measure("not an image"u8), ProblemCodes.ImageUnreadable);
    }

    [Fact]
    public void An_image_over_64_megapixels_is_refused_by_its_header()
    {
        // A PNG whose header declares 20,000 × 20,000 pixels and that holds next to nothing.
        var png = Samples.Image(SKColors.Red);
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(png.AsSpan(16), 20_000);
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(png.AsSpan(20), 20_000);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(png.AsSpan(29), Crc(png.AsSpan(12, 17)));
        var problem = Samples.ShouldFail(() => ImageDecoder.DecodeTo(png, 8, 8, 3, new byte[192]), ProblemCodes.ImageUnreadable);
        problem.Message.ShouldContain("20000");
    }

    [Fact]
    public void The_exif_orientation_is_applied()
    {
        // Left half black, right half white; orientation 6 says: turn a quarter clockwise to see it, so the top becomes black.
        using var bitmap = new SKBitmap(new SKImageInfo(32, 16, SKColorType.Rgba8888, SKAlphaType.Opaque));
        bitmap.Erase(SKColors.White);
        using (var canvas = new SKCanvas(bitmap))
        using (var paint = new SKPaint { Color = SKColors.Black })
            canvas.DrawRect(0, 0, 16, 16, paint);
        using var data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 95);
        var jpeg = data.ToArray();
        byte[] exif = [0xFF, 0xE1, 0, 34, .. "Exif\0\0"u8, .. "MM\0*"u8, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0];
        byte[] turned = [.. jpeg[..2], .. exif, .. jpeg[2..]];

        ImageDecoder.Measure(turned).ShouldBe(new ImageSize(16, 32, 3));
        var pixels = new byte[16 * 32];
        ImageDecoder.DecodeTo(turned, 16, 32, 1, pixels);
        pixels[3 * 16 + 8].ShouldBeLessThan((byte)20);
        pixels[28 * 16 + 8].ShouldBeGreaterThan((byte)235);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_exif_orientation_of_a_png_is_applied_wherever_it_stands(bool atTheEnd)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(2, 1, SKColorType.Rgba8888, SKAlphaType.Opaque));
        bitmap.SetPixel(0, 0, SKColors.Black);
        bitmap.SetPixel(1, 0, SKColors.White);
        using var data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        var png = data.ToArray();
        byte[] content = [.. "eXIf"u8, .. "MM\0*"u8, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0];
        var chunk = new byte[4 + content.Length + 4];
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(chunk, content.Length - 4);
        content.CopyTo(chunk, 4);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(4 + content.Length), Crc(content));
        // Behind the header, or behind the pixels: the standard allows both.
        var place = atTheEnd ? png.Length - 12 : 33;
        byte[] turned = [.. png[..place], .. chunk, .. png[place..]];

        ImageDecoder.Measure(turned).ShouldBe(new ImageSize(1, 2, 3));
        var pixels = new byte[2];
        ImageDecoder.DecodeTo(turned, 1, 2, 1, pixels);
        pixels.ShouldBe([0, 255]);
    }

    private static uint Crc(ReadOnlySpan<byte> bytes)
    {
        var crc = 0xFFFFFFFFu;
        foreach (var b in bytes)
        {
            crc ^= b;
            for (var i = 0; i < 8; i++)
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
        }

        return ~crc;
    }
}
