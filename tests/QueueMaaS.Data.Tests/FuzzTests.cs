using System.Text;
using Google.Protobuf;
using Parquet;
using Parquet.Schema;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Arrays;
using QueueMaaS.Data.Images;
using QueueMaaS.Fuzzing;
using QueueMaaS.Onnx;
using SkiaSharp;

namespace QueueMaaS.Data.Tests;

/// <summary>Every reader of files that come from outside reads or refuses whatever it is given.</summary>
public sealed class FuzzTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Numpy_files() => Mutations.Try("npy", [[.. NpyHeader.Write("FP32", [3, 2]), .. new byte[24]], [.. NpyHeader.Write("INT64", [4]), .. new byte[32]]], bytes => OnFile("f.npy", bytes, path =>
    {
        using var file = NpyFile.Open(path);
        if (file.Header.Shape.Count > 0 && file.Header.Shape[0] > 0)
            NumpyArray.Read(new MemoryStream(bytes), "f", 1 << 20);
    }));

    [Fact]
    public void Idx_files() => Mutations.Try("idx", [Packed(("train-images-idx3-ubyte", Samples.IdxImages(3, 3)), ("train-labels-idx1-ubyte", Samples.IdxLabels(0, 1, 2)))], Load);

    [Fact]
    public void Idx_contents_within_a_whole_zip() => Mutations.Try("idx-content", [Samples.IdxImages(3, 3)], bytes => Load(Packed(("train-images-idx3-ubyte", bytes), ("train-labels-idx1-ubyte", Samples.IdxLabels(0, 1, 2)))));

    [Fact]
    public void Cifar_files() => Mutations.Try("cifar", [Samples.CifarRecords(0, 1, 2)], bytes => Load(Packed(("data_batch_1.bin", bytes), ("test_batch.bin", Samples.CifarRecords(1)))));

    [Fact]
    public void Zips_of_images() => Mutations.Try("zip", [Packed(("train/a/1.png", Samples.Image(SKColors.Red)), ("train/b/2.png", Samples.Image(SKColors.Blue)), ("test/a/3.png", Samples.Image(SKColors.Red)))], Load);

    [Fact]
    public void Images()
    {
        var target = new byte[3 * 16 * 16];
        Mutations.Try("image", [Samples.Jpeg(32, 32), Samples.Image(SKColors.Red), Samples.Noise(16, 16, 1, SKEncodedImageFormat.Webp)], bytes =>
        {
            ImageDecoder.Measure(bytes);
            ImageDecoder.DecodeTo(bytes, 16, 16, 3, target);
        });
    }

    [Fact]
    public void Tables() => Mutations.Try("table", [Encoding.UTF8.GetBytes("age,name,label\n31,\"Smith, \"\"J\"\"\",yes\n44,,no\n"), Encoding.UTF8.GetBytes("{\"a\":1,\"b\":\"x\"}\n{\"a\":2.5,\"b\":null}\n")], bytes => OnFile("t.data", bytes, path => DatasetFile.Inspect(path)));

    [Fact]
    public async Task Parquet_files()
    {
        var (number, text, flag) = (new DataField<double?>("number"), new DataField<string>("text"), new DataField<bool>("flag"));
        using var file = new MemoryStream();
        await using (var writer = await ParquetWriter.CreateAsync(new ParquetSchema(number, text, flag), file, cancellationToken: TestContext.Current.CancellationToken))
        {
            using var group = writer.CreateRowGroup();
            await group.WriteAsync<double>(number, new double?[] { 0.1, null, 3 }.AsMemory());
            await group.WriteAsync(text, (IReadOnlyCollection<string>)["a", "b", "c"]);
            await group.WriteAsync<bool>(flag, new[] { true, false, true }.AsMemory());
        }

        Mutations.Try("parquet", [file.ToArray()], bytes => OnFile("t.parquet", bytes, path => DatasetFile.Inspect(path)));
    }

    [Fact]
    public void Onnx_files()
    {
        var model = new ModelProto { IrVersion = 8, Graph = new GraphProto { Name = "g" } };
        model.OpsetImport.Add(new OperatorSetIdProto { Version = 17 });
        model.Graph.Node.Add(new NodeProto { OpType = "Add", Input = { "x", "w" }, Output = { "y" } });
        model.Graph.Initializer.Add(new TensorProto { Name = "w", DataType = 1, Dims = { 2 }, RawData = ByteString.CopyFrom(new byte[8]) });
        Mutations.Try("onnx", [model.ToByteArray()], bytes => OnnxFile.Validate(OnnxFile.Read(new MemoryStream(bytes))));
    }

    private void Load(byte[] bytes) => OnFile("d.zip", bytes, path =>
    {
        using var archive = DatasetArchive.Open(path);
        archive.Load(new());
    });

    private void OnFile(string name, byte[] bytes, Action<string> read)
    {
        var path = _folder.File(name);
        File.WriteAllBytes(path, bytes);
        read(path);
    }

    private byte[] Packed(params (string Name, byte[] Content)[] entries)
    {
        var path = _folder.File("packed.zip");
        File.Delete(path);
        Samples.Zip(path, entries);
        return File.ReadAllBytes(path);
    }
}
