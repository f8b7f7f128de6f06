using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation.Images;
using QueueMaaS.Inference.Preparation.Tables;
using QueueMaaS.Inference.Preparation.Texts;
using QueueMaaS.Training.Preparation;
using QueueMaaS.Training.Running;
using SkiaSharp;

namespace QueueMaaS.Training.Tests;

/// <summary>What training saw of an item and what serving computes for it, number by number.</summary>
public sealed class SameAsServingTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false, 3)]
    [InlineData(true, 3)]
    [InlineData(true, 1)]
    public void Images(bool normalise, int channels)
    {
        var path = _folder.File("images.zip");
        var files = WriteImages(path);
        var data = DataPreparer.Prepare(Request(path, new() { Image = new() { Width = 20, Height = 16, Channels = channels, Normalise = normalise } }), default);
        var signature = Signature("input", Datatypes.Fp32, -1, channels, 16, 20);
        var serving = ImagePixels.For(signature, data.Pipeline);
        if (normalise)
            data.Pipeline.Image!.Mean!.Count.ShouldBe(channels);
        for (var i = 0; i < files.Count; i++)
            Read(data, i).ShouldBe(Floats(serving.ToTensor(serving.Decode(files[i]).Pixels).Bytes), $"image {i}");
    }

    [Fact]
    public void Tables()
    {
        var random = new Random(4);
        var lines = new List<string> { "age,income,score,rank,colour,size,member,plain,label" };
        for (var i = 0; i < 200; i++)
        {
            var colour = i % 17 == 0 ? "" : ((string[])["red", "green", "blue"])[random.Next(3)];
            lines.Add($"{(i % 11 == 0 ? "" : random.Next(18, 80))},{random.NextDouble() * 1e5 + (i == 7 ? 1e7 : 0):R},{random.NextDouble() - 0.5:R},{random.Next(1000)},{colour},{random.Next(4)},{(i % 13 == 0 ? "NA" : i % 2 == 0 ? "true" : "false")},{random.NextDouble():R},{(i % 3 == 0 ? "yes" : "no")}");
        }

        var path = _folder.File("table.csv");
        File.WriteAllLines(path, lines);
        var data = DataPreparer.Prepare(
            Request(path, new()
            {
                Columns = new Dictionary<string, ColumnPreparation>
                {
                    ["income"] = new() { ClipQuantile = 0.99, Scaling = NumberScaling.Robust },
                    ["score"] = new() { Scaling = NumberScaling.MinMax },
                    ["age"] = new() { Missing = MissingValue.Mean },
                    ["plain"] = new() { Scaling = NumberScaling.None },
                    ["size"] = new() { Kind = ColumnKind.Category, Encoding = CategoryEncoding.Index },
                },
            }),
            default);
        var width = data.Examples.Inputs.Width;
        var serving = TableEncoder.For(Signature("input", Datatypes.Fp32, -1, width), data.Pipeline);
        var names = lines[0].Split(',');
        for (var row = 0; row < 200; row++)
        {
            var cells = lines[row + 1].Split(',');
            var request = new Dictionary<string, object?>();
            foreach (var column in data.Pipeline.Table!.Columns)
            {
                var cell = cells[Array.IndexOf(names, column.Name)];
                request[column.Name] = cell is "" or "NA" ? null : column.Kind switch { ColumnKind.Number => double.Parse(cell), ColumnKind.Boolean => cell == "true", _ => cell };
            }

            Read(data, row).ShouldBe(Floats(serving.Encode([JsonSerializer.SerializeToElement(request)], i => $"{i}")[0].Bytes), $"row {row}");
        }
    }

    [Fact]
    public void Fitting_looks_at_training_rows_only()
    {
        // The validation rows, by their column, hold numbers and categories that are nowhere else.
        var lines = new List<string> { "x,kind,part,label" };
        for (var i = 0; i < 100; i++)
            lines.Add(i < 80 ? $"{i % 10},a,train,{i % 2}" : $"{1000 + i},b,val,{i % 2}");
        var path = _folder.File("table.csv");
        File.WriteAllLines(path, lines);
        var data = DataPreparer.Prepare(Request(path, new() { Target = "label", Split = new() { Kind = SplitKind.File, Column = "part" } }, TrainingTask.Classification), default);
        var columns = data.Pipeline.Table!.Columns;
        columns.Select(c => c.Name).ShouldBe(["x", "kind"], "the column of the split is no input");
        columns[0].Mean.ShouldBe(4.5);
        columns[1].Categories.ShouldBe(["a"]);
        data.Examples.Split.Validation.Length.ShouldBe(20);
    }

    [Fact]
    public void Texts()
    {
        string[] texts = ["Hello, wörld!", "The quick brown fox jumps over the lazy dog.", "the THE the — quick; 12 foxes", "汉字 mixed with letters", "", "a" + new string('b', 300), "Café crème brûlée", "one two three four ééé😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀", "5 € + 3 $ = 😀😀 ☺\n👨\u200D👩", "new unseen words zzz qqq"];
        var lines = Enumerable.Range(0, 64).Select(i => JsonSerializer.Serialize(new { text = texts[i % texts.Length] + (i % 8 == 4 ? "x" : " ") + (i / 8), label = i % 2 == 0 ? "even" : "odd" })).ToArray();
        var path = _folder.File("texts.jsonl");
        File.WriteAllLines(path, lines);
        var data = DataPreparer.Prepare(Request(path, new() { Tokens = new() { Length = 16, Vocabulary = 200 } }), default);
        var text = data.Pipeline.Text! with { Vocabulary = "sha256:" + new string('0', 64) };
        var tokenizer = TokenizerFiles.Load(text, data.VocabularyPath!, null);
        var serving = new TextEncoder(Signature("input_ids", "INT64", -1, 16), text, tokenizer);
        for (var i = 0; i < lines.Length; i++)
        {
            var request = JsonElement.Parse(lines[i]).GetProperty("text").GetString()!;
            Read(data, i).ShouldBe(MemoryMarshal.Cast<byte, long>(serving.Encode([request], _ => "t")[0].Bytes.Span).ToArray().Select(v => (float)v), request);
        }

        Read(data, 1).Distinct().Count().ShouldBeGreaterThan(5);
        Read(data, 1)[15].ShouldBe(0, "shorter texts are filled up");
    }

    private TrainingRequest Request(string path, DataPreparation data, TrainingTask? task = null)
    {
        Directory.CreateDirectory(_folder.File("work"));
        return new() { Settings = TrainingSettings.From(Samples.Input with { Data = data, Task = task }), DatasetZipPath = path, WorkFolder = _folder.File("work") };
    }

    private static ModelSignature Signature(string name, string datatype, params long[] shape) =>
        new([new(name, datatype, shape)], [new("logits", Datatypes.Fp32, [-1, 2])]);

    private static float[] Read(PreparedData data, int index)
    {
        var values = new float[data.Examples.Inputs.Width];
        data.Examples.Inputs.Read(index, values);
        return values;
    }

    private static float[] Floats(ReadOnlyMemory<byte> bytes) => MemoryMarshal.Cast<byte, float>(bytes.Span).ToArray();

    /// <summary>Images of several sizes, some with transparency, in the order in which the data set has them.</summary>
    private static List<byte[]> WriteImages(string path)
    {
        var random = new Random(3);
        var files = new List<byte[]>();
        using var zip = ZipFile.Open(path, ZipArchiveMode.Create);
        foreach (var label in (string[])["a", "b"])
        {
            for (var i = 0; i < 10; i++)
            {
                using var bitmap = new SKBitmap(20 + random.Next(30), 16 + random.Next(30), SKColorType.Rgba8888, SKAlphaType.Unpremul);
                for (var y = 0; y < bitmap.Height; y++)
                {
                    for (var x = 0; x < bitmap.Width; x++)
                        bitmap.SetPixel(x, y, new SKColor((byte)random.Next(256), (byte)random.Next(256), (byte)(label == "a" ? 200 : 30), (byte)(i % 3 == 0 ? random.Next(256) : 255)));
                }

                using var png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
                files.Add(png.ToArray());
                using var entry = zip.CreateEntry($"train/{label}/{i:000}.png").Open();
                entry.Write(files[^1]);
            }
        }

        return files;
    }
}
