using System.IO.Compression;
using System.Text;
using Google.Protobuf;
using QueueMaaS.Data.Demo;
using QueueMaaS.Onnx;

namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>Images and models that take them.</summary>
public static class TestImages
{
    /// <summary>A multipart upload of a model that takes 1×1 grey images, with its pipeline.</summary>
    public static MultipartFormDataContent ModelWithPipeline()
    {
        var model = ModelProto.Parser.ParseFrom(TestModels.Double());
        foreach (var value in model.Graph.Input.Concat(model.Graph.Output))
        {
            var shape = value.Type.TensorType.Shape;
            shape.Dim.Clear();
            shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimParam = "batch" });
            for (var i = 0; i < 3; i++)
                shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = 1 });
        }

        return new MultipartFormDataContent
        {
            { new ByteArrayContent(model.ToByteArray()), "model", "model.onnx" },
            { new StringContent("""{"image":{"width":1,"height":1,"channels":1}}""", Encoding.UTF8), "pipeline" },
        };
    }

    /// <summary>One image of a shape.</summary>
    public static byte[] OneShape()
    {
        using var zip = new ZipArchive(new MemoryStream(Shapes(1, 1, 0)));
        using var image = zip.Entries.First(entry => entry.FullName.EndsWith(".png", StringComparison.Ordinal)).Open();
        using var bytes = new MemoryStream();
        image.CopyTo(bytes);
        return bytes.ToArray();
    }

    /// <summary>A small data set of shapes in which some training images are cut off.</summary>
    public static byte[] Shapes(int trainPerClass, int testPerClass, int corrupt)
    {
        var path = Path.GetTempFileName();
        try
        {
            ShapesDataset.Write(path, trainPerClass, testPerClass, seed: 7);
            using (var zip = ZipFile.Open(path, ZipArchiveMode.Update))
            {
                foreach (var entry in zip.Entries.Where(entry => entry.FullName.StartsWith("train/", StringComparison.Ordinal)).Take(corrupt).ToArray())
                {
                    var name = entry.FullName;
                    entry.Delete();
                    using var cut = zip.CreateEntry(name).Open();
                    cut.Write("\x89PNG cut off"u8);
                }
            }

            return File.ReadAllBytes(path);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
