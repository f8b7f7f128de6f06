using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Tensors;
using SkiaSharp;

namespace QueueMaaS.Inference.Tests;

/// <summary>Image files in, the model's tensor out.</summary>
public sealed class ImagePipelineTests
{
    /// <summary>8 × 8 pixels of pure red in cyan, magenta, yellow and black, as print shops write JPEG files.</summary>
    private const string CmykJpeg =
        "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAFAwQEBAMFBAQEBQUFBgcMCAcHBwcPCwsJDBEPEhIRDxERExYcFxMUGhURERghGBodHR8fHxMXIiQiHiQcHh8e/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAAB"
        + "AgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SV"
        + "lpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD7Lr4yr4yr7Lr/2Q==";

    [Fact]
    public void Values_are_scaled_centred_and_laid_out_as_the_pipeline_says()
    {
        var image = Png(1, 2, (x, y) => y == 0 ? new SKColor(255, 0, 51) : new SKColor(0, 255, 0));

        Encode(new(1, 2, 3), image).ShouldBe([1f, 0, 0, 1, 0.2f, 0], 1e-6);
        Encode(new(1, 2, 3) { Order = ChannelOrder.Bgr }, image).ShouldBe([0.2f, 0, 0, 1, 1, 0], 1e-6);
        Encode(new(1, 2, 3) { Layout = ImageLayout.Nhwc }, image).ShouldBe([1f, 0, 0.2f, 0, 1, 0], 1e-6);
        Encode(new(1, 2, 3) { Scale = 1 }, image).ShouldBe([255f, 0, 0, 255, 51, 0]);
        Encode(new(1, 2, 3, [0.5, 0.5, 0.5], [0.5, 0.25, 1]), image).ShouldBe([1f, -1, -2, 2, -0.3f, -0.5f], 1e-6);
        // ITU-R 601: 0.299 red, 0.587 green, 0.114 blue.
        Encode(new(1, 2, 1) { Scale = 1 }, image).ShouldBe([82f, 150], 0.5);
    }

    [Fact]
    public void A_letterboxed_image_keeps_its_aspect_and_is_filled_around()
    {
        var white = Png(4, 2, (_, _) => SKColors.White);

        Encode(new(4, 4, 1) { Mode = ResizeMode.Fit, Fill = [128], Scale = 1 }, white).ShouldBe([128f, 128, 128, 128, 255, 255, 255, 255, 255, 255, 255, 255, 128, 128, 128, 128]);
    }

    [Fact]
    public void A_covering_image_is_cut_in_the_middle()
    {
        // Four columns: black, white, white, black; the middle two are what a square of two shows.
        var columns = Png(4, 2, (x, _) => x is 1 or 2 ? SKColors.White : SKColors.Black);

        Encode(new(2, 2, 1) { Mode = ResizeMode.Cover, Scale = 1 }, columns).ShouldBe([255f, 255, 255, 255]);
        Encode(new(2, 2, 1) { Resize = 2, Scale = 1 }, columns).ShouldBe([255f, 255, 255, 255]);
        Encode(new(4, 2, 1) { Scale = 1 }, columns).ShouldBe([0f, 255, 255, 0, 0, 255, 255, 0]);
    }

    [Fact]
    public void Transparency_is_laid_on_white_or_dropped()
    {
        var clear = Png(1, 1, (_, _) => new SKColor(0, 0, 0, 0));

        Encode(new(1, 1, 1) { Scale = 1 }, clear).ShouldBe([255f]);
        Encode(new(1, 1, 1) { Scale = 1, Alpha = AlphaMode.Ignore }, clear).ShouldBe([0f]);
    }

    [Fact]
    public void A_print_shops_jpeg_is_seen_in_its_colours()
    {
        var pixels = Encode(new(8, 8, 3) { Scale = 1 }, Convert.FromBase64String(CmykJpeg));

        pixels[..64].Average().ShouldBeGreaterThan(200, "red");
        pixels[64..128].Average().ShouldBeLessThan(80, "green");
        pixels[128..].Average().ShouldBeLessThan(80, "blue");
    }

    [Theory]
    [InlineData(Datatypes.Fp16, 2)]
    [InlineData(Datatypes.Fp64, 8)]
    [InlineData(Datatypes.UInt8, 1)]
    [InlineData(Datatypes.Int8, 1)]
    public void The_tensor_has_the_models_own_datatype(string datatype, int size)
    {
        var signature = new ModelSignature([new("x", datatype, [-1, 1, 1, 1])], [new("y", Datatypes.Fp32, [-1, 1])]);

        var tensor = Prepare(signature, new(1, 1, 1), Png(1, 1, (_, _) => SKColors.White));

        tensor.Bytes.Length.ShouldBe(size);
        var value = datatype switch
        {
            Datatypes.Fp16 => (double)BitConverter.ToHalf(tensor.Bytes.Span),
            Datatypes.Fp64 => BitConverter.ToDouble(tensor.Bytes.Span),
            Datatypes.UInt8 => tensor.Bytes.Span[0],
            _ => (sbyte)tensor.Bytes.Span[0],
        };
        value.ShouldBe(datatype switch { Datatypes.UInt8 => 255, Datatypes.Int8 => 127, _ => 1 });
    }

    [Fact]
    public void Mean_deviation_and_fill_are_one_number_or_one_for_each_channel()
    {
        var signature = new ModelSignature([new("x", Datatypes.Fp32, [-1, 3, 2, 2])], [new("y", Datatypes.Fp32, [-1, 3])]);
        var one = JsonSerializer.Deserialize<ImagePreparation>("""{"width":2,"height":2,"channels":3,"mean":0.5,"deviation":0.25,"mode":"fit","fill":128}""", QueueMaaSJson.Strict)!;
        PipelineCheck.Check(signature, new() { Image = one });
        (one.Mean!.Single(), one.Deviation!.Single(), one.Fill!.Single()).ShouldBe((0.5, 0.25, 128));
        Encode(new(1, 2, 3, [0.5], [0.25]), Png(1, 2, (_, _) => SKColors.White)).ShouldBe([2f, 2, 2, 2, 2, 2], 1e-6);
        JsonSerializer.Deserialize<ImagePreparation>(JsonSerializer.Serialize(one, QueueMaaSJson.Strict), QueueMaaSJson.Strict)!.Deviation.ShouldBe([0.25]);
    }

    [Theory]
    [InlineData("""{"width":0,"height":2,"channels":3}""", "width")]
    [InlineData("""{"width":2,"height":2,"channels":2}""", "channels")]
    [InlineData("""{"width":2,"height":2,"channels":3,"mean":[0,0]}""", "mean")]
    [InlineData("""{"width":2,"height":2,"channels":3,"deviation":[1,0,1]}""", "deviation")]
    [InlineData("""{"width":2,"height":2,"channels":3,"scale":0}""", "scale")]
    [InlineData("""{"width":2,"height":2,"channels":3,"resize":1}""", "resize")]
    [InlineData("""{"width":2,"height":2,"channels":3,"resize":4,"mode":"fit"}""", "mode")]
    [InlineData("""{"width":2,"height":2,"channels":3,"fill":[300],"mode":"fit"}""", "fill")]
    [InlineData("""{"width":2,"height":2,"channels":3,"fill":[1]}""", "fill")]
    [InlineData("""{"width":2,"height":2,"channels":1,"order":"bgr"}""", "order")]
    [InlineData("""{"width":3,"height":2,"channels":3}""", "width")]
    [InlineData("""{"width":2,"height":2,"channels":3,"input":"z"}""", "input")]
    public void An_image_pipeline_that_does_not_fit_the_model_is_refused_at_registration(string json, string member)
    {
        var signature = new ModelSignature([new("x", Datatypes.Fp32, [-1, 3, 2, 2])], [new("y", Datatypes.Fp32, [-1, 3])]);
        var image = JsonSerializer.Deserialize<ImagePreparation>(json, QueueMaaSJson.Strict)!;

        Samples.ShouldFail(() => PipelineCheck.Check(signature, new() { Image = image }), ProblemCodes.PipelineInvalid).Details!["path"].GetString().ShouldBe($"pipeline.image.{member}");
    }

    [Theory]
    [InlineData("nchw", "[-1,1,28,32]", 3, 28, 32, "channels", "`channels` 1, not 3")]
    [InlineData("nhwc", "[-1,28,32,1]", 3, 28, 32, "channels", "`channels` 1, not 3")]
    [InlineData("nhwc", "[-1,28,32,3]", 3, 28, 30, "width", "`width` 32, not 30")]
    [InlineData("nhwc", "[-1,28,32,3]", 3, 30, 32, "height", "`height` 28, not 30")]
    [InlineData("nchw", "[-1,28,32,3]", 3, 28, 32, "layout", "`nhwc`")]
    [InlineData("nchw", "[-1,3]", 3, 28, 32, "input", "four axes")]
    public void What_does_not_fit_the_model_is_named_by_the_layout(string layout, string shape, int channels, int height, int width, string member, string says)
    {
        var signature = new ModelSignature([new("x", Datatypes.Fp32, JsonSerializer.Deserialize<long[]>(shape)!)], [new("y", Datatypes.Fp32, [-1, 3])]);
        var image = JsonSerializer.Deserialize<ImagePreparation>($$"""{"width":{{width}},"height":{{height}},"channels":{{channels}},"layout":"{{layout}}"}""", QueueMaaSJson.Strict)!;

        var problem = Samples.ShouldFail(() => PipelineCheck.Check(signature, new() { Image = image }), ProblemCodes.PipelineInvalid);

        problem.Details!["path"].GetString().ShouldBe($"pipeline.image.{member}");
        problem.Message.ShouldContain(says);
    }

    [Fact]
    public void An_empty_image_is_said_to_be_empty()
    {
        var signature = new ModelSignature([new("x", Datatypes.Fp32, [-1, 3, 2, 2])], [new("y", Datatypes.Fp32, [-1, 3])]);
        Samples.ShouldFail(() => Prepare(signature, new(2, 2, 3), []), ProblemCodes.InvalidValue).Message.ShouldContain("is empty");
    }

    private static float[] Encode(ImagePreparation image, byte[] file)
    {
        long[] shape = image.Layout == ImageLayout.Nchw ? [-1, image.Channels, image.Height, image.Width] : [-1, image.Height, image.Width, image.Channels];
        return Samples.ToFloats(Prepare(new([new("x", Datatypes.Fp32, shape)], [new("y", Datatypes.Fp32, [-1, 1])]), image, file));
    }

    private static TensorBuffer Prepare(ModelSignature signature, ImagePreparation image, byte[] file) =>
        InferenceRequestCheck.Prepare(signature, new() { Image = image }, new InferenceInput { Model = "m", Image = new() { Base64 = Convert.ToBase64String(file) } }, new()).Inputs[0];

    private static byte[] Png(int width, int height, Func<int, int, SKColor> colour)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
                bitmap.SetPixel(x, y, colour(x, y));
        }

        using var data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }
}
