using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using Parquet;
using Parquet.Schema;
using QueueMaaS.Bench;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;
using QueueMaaS.Data.Images;
using QueueMaaS.Onnx;
using SkiaSharp;

namespace QueueMaaS.BatchBench;

/// <summary>Batch jobs over files, each beside a loop that does no more than it has to. Both are measured in turn, three times; the medians count.</summary>
internal static class FileBenches
{
    private const int Rounds = 3;
    private const int Batch = 64;

    public static async Task NpyAsync(BatchService service, double scale)
    {
        await NpyAsync(service, "rows of .npy, cnn-small", BenchGraphs.CnnSmall(), [3, 32, 32], (int)(200_000 * scale), "0.9");
        await NpyAsync(service, "rows of .npy, MLP 784-128-10", BenchGraphs.Mlp(), [784], (int)(1_000_000 * scale), "0.5");
    }

    public static async Task JsonLinesAsync(BatchService service, double scale)
    {
        using var bare = new BareRuntime(BenchGraphs.Mlp(), [784]);
        await service.RegisterAsync("mlp-jsonl", BenchGraphs.Mlp());
        var count = (int)(60_000 * scale);
        var path = Path.Combine(service.Folder, "items.jsonl");
        await using (var file = new StreamWriter(path))
        {
            var random = new Random(1);
            for (var i = 0; i < count; i++)
                await file.WriteLineAsync($$"""{"id":"item-{{i}}","inputs":[{"name":"x","shape":[1,784],"datatype":"FP32","data":[{{string.Join(',', Enumerable.Range(0, 784).Select(_ => random.NextSingle().ToString("0.####", CultureInfo.InvariantCulture)))}}]}]}""");
        }

        await CompareAsync(service, "items of JSONL, MLP 784-128-10", count, "0.8", new BatchInput { Model = "mlp-jsonl", Artifact = await service.UploadAsync(path) }, () => BareJsonLines(bare, path));
    }

    public static async Task ParquetAsync(BatchService service, double scale)
    {
        using var bare = new BareRuntime(BenchGraphs.Mlp(), [784]);
        await service.RegisterAsync("mlp-parquet", BenchGraphs.Mlp());
        var count = (int)(100_000 * scale);
        var path = Path.Combine(service.Folder, "table.parquet");
        await WriteParquetAsync(path, count, 784);
        await CompareAsync(service, "rows of Parquet, 784 columns, MLP", count, "0.8", new BatchInput { Model = "mlp-parquet", Artifact = await service.UploadAsync(path), Output = BatchOutputFormat.Npy }, () => BareParquetAsync(bare, path).GetAwaiter().GetResult());
    }

    public static async Task ImagesAsync(BatchService service, double scale)
    {
        using var bare = new BareRuntime(BenchGraphs.CnnSmall(), [3, 32, 32]);
        await service.RegisterAsync("cnn-images", BenchGraphs.CnnSmall(), new ModelPipeline { Image = new ImagePreparation(32, 32, 3), Labels = [.. Enumerable.Range(0, 10).Select(i => $"class-{i}")] });
        var count = (int)(20_000 * scale);
        var path = Path.Combine(service.Folder, "images.zip");
        WriteImages(path, count);
        await CompareAsync(service, "images of a zip of JPEGs, cnn-small", count, "0.85", new BatchInput { Model = "cnn-images", Artifact = await service.UploadAsync(path) }, () => BareImages(bare, path));
    }

    private static async Task NpyAsync(BatchService service, string what, ModelProto model, long[] row, int count, string aim)
    {
        using var bare = new BareRuntime(model, row);
        var name = model.Graph.Name + "-npy";
        await service.RegisterAsync(name, model);
        var sample = BareRuntime.Random(Math.Min(count, 20_000) * bare.RowSize);
        var path = Path.Combine(service.Folder, "rows.npy");
        await using (var file = File.Create(path))
        {
            file.Write(NpyHeader.Write(Datatypes.Fp32, [count, .. row]));
            for (var at = 0; at < count; at += 20_000)
                file.Write(BareRuntime.Bytes(sample)[..(Math.Min(20_000, count - at) * bare.RowSize * 4)]);
        }

        var artifact = await service.UploadAsync(path);
        File.Delete(path);
        await CompareAsync(service, what, count, aim, new BatchInput { Model = name, Artifact = artifact, Output = BatchOutputFormat.Npy }, () => bare.Best(sample, 2));
    }

    /// <summary>An evaluation of the same images: figures with their intervals, worst mistakes and page included.</summary>
    public static async Task EvaluationAsync(BatchService service, double scale)
    {
        using var bare = new BareRuntime(BenchGraphs.CnnSmall(), [3, 32, 32]);
        await service.RegisterAsync("cnn-evaluated", BenchGraphs.CnnSmall(), new ModelPipeline { Image = new ImagePreparation(32, 32, 3), Labels = [.. Enumerable.Range(0, 10).Select(i => $"class-{i}")] });
        var count = (int)(20_000 * scale);
        var path = Path.Combine(service.Folder, "dataset.zip");
        WriteImages(path, count);
        await using (var file = File.OpenRead(path))
            await service.Api.UploadDatasetAsync("evaluated", file);
        var input = new EvaluationInput { Model = "cnn-evaluated", Dataset = "evaluated", Split = "all" };
        await CompareAsync("evaluation of JPEGs, cnn-small", count, "0.8", () => service.EvaluateAsync(input), () => BareImages(bare, path));
    }

    private static async Task CompareAsync(BatchService service, string what, int count, string aim, BatchInput input, Func<double> bare)
    {
        // The first run loads the model.
        await service.RunAsync(input with { Limit = Math.Min(count, 1000) });
        await CompareAsync(what, count, aim, async () => (await service.RunAsync(input)).PerSecond, bare);
    }

    private static async Task CompareAsync(string what, int count, string aim, Func<Task<double>> job, Func<double> bare)
    {
        var (alone, jobs) = (new List<double>(), new List<double>());
        for (var round = 0; round < Rounds; round++)
        {
            alone.Add(bare());
            jobs.Add(await job());
        }

        var (a, j) = (Median(alone), Median(jobs));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-44} {count,10:N0} {a,12:N0} {j,12:N0} {j / a,7:N2} {aim,5}"));
    }

    private static double BareJsonLines(BareRuntime runtime, string path)
    {
        var clock = Stopwatch.StartNew();
        var (rows, count, total) = (new float[Batch * runtime.RowSize], 0, 0);
        var ids = new List<string>(Batch);
        using var target = File.Create(path + ".out");
        foreach (var line in File.ReadLines(path))
        {
            using var json = JsonDocument.Parse(line);
            ids.Add(json.RootElement.GetProperty("id").GetString()!);
            var at = count++ * runtime.RowSize;
            foreach (var value in json.RootElement.GetProperty("inputs")[0].GetProperty("data").EnumerateArray())
                rows[at++] = value.GetSingle();
            if (count == Batch)
                Flush();
        }

        Flush();
        return total / clock.Elapsed.TotalSeconds;

        void Flush()
        {
            if (count == 0)
                return;
            var outputs = runtime.Run(rows, count);
            for (var i = 0; i < count; i++)
            {
                using (var writer = new Utf8JsonWriter(target))
                {
                    writer.WriteStartObject();
                    writer.WriteString("id", ids[i]);
                    writer.WriteStartArray("data");
                    for (var k = 0; k < outputs.Length / count; k++)
                        writer.WriteNumberValue(outputs[(i * (outputs.Length / count)) + k]);
                    writer.WriteEndArray();
                    writer.WriteEndObject();
                }

                target.WriteByte((byte)'\n');
            }

            total += count;
            count = 0;
            ids.Clear();
        }
    }

    private static async Task<double> BareParquetAsync(BareRuntime runtime, string path)
    {
        var clock = Stopwatch.StartNew();
        var total = 0;
        await using var reader = await ParquetReader.CreateAsync(path);
        for (var g = 0; g < reader.RowGroupCount; g++)
        {
            using var group = reader.OpenRowGroupReader(g);
            var rows = (int)group.RowCount;
            var values = new float[rows * runtime.RowSize];
            var column = new float[rows];
            foreach (var (at, field) in reader.Schema.DataFields.Index())
            {
                await group.ReadAsync(field, column.AsMemory());
                for (var i = 0; i < rows; i++)
                    values[(i * runtime.RowSize) + at] = column[i];
            }

            for (var at = 0; at < rows; at += Batch)
            {
                var count = Math.Min(Batch, rows - at);
                _ = runtime.Run(values[(at * runtime.RowSize)..((at + count) * runtime.RowSize)], count);
                total += count;
            }
        }

        return total / clock.Elapsed.TotalSeconds;
    }

    private static double BareImages(BareRuntime runtime, string path)
    {
        var clock = Stopwatch.StartNew();
        var total = 0;
        using var zip = ZipFile.OpenRead(path);
        foreach (var chunk in zip.Entries.Chunk(Batch))
        {
            var files = chunk.Select(entry =>
            {
                var bytes = new byte[entry.Length];
                using var stream = entry.Open();
                stream.ReadExactly(bytes);
                return bytes;
            }).ToArray();
            var rows = new float[files.Length * runtime.RowSize];
            Parallel.For(0, files.Length, i =>
            {
                var pixels = new byte[runtime.RowSize];
                ImageDecoder.DecodeTo(files[i], 32, 32, 3, pixels);
                for (var k = 0; k < pixels.Length; k++)
                    rows[(i * runtime.RowSize) + k] = pixels[k] / 255f;
            });
            _ = runtime.Run(rows, files.Length);
            total += files.Length;
        }

        return total / clock.Elapsed.TotalSeconds;
    }

    private static async Task WriteParquetAsync(string path, int count, int columns)
    {
        const int GroupRows = 20_000;
        var fields = Enumerable.Range(0, columns).Select(static i => new DataField<float>($"c{i:000}")).ToArray();
        var values = BareRuntime.Random(GroupRows);
        await using var file = File.Create(path);
        await using var writer = await ParquetWriter.CreateAsync(new ParquetSchema(fields), file);
        for (var at = 0; at < count; at += GroupRows)
        {
            using var group = writer.CreateRowGroup();
            foreach (var field in fields)
                await group.WriteAsync<float>(field, values.AsMemory(0, Math.Min(GroupRows, count - at)));
        }
    }

    private static void WriteImages(string path, int count)
    {
        // A few hundred pictures of noise under many names: decoding one twice costs the same.
        var random = new Random(1);
        var pictures = Enumerable.Range(0, 200).Select(_ =>
        {
            using var bitmap = new SKBitmap(new SKImageInfo(32, 32, SKColorType.Rgba8888, SKAlphaType.Opaque));
            for (var i = 0; i < 1024; i++)
                bitmap.SetPixel(i % 32, i / 32, new SKColor((byte)random.Next(256), (byte)random.Next(256), (byte)random.Next(256)));
            using var data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 90);
            return data.ToArray();
        }).ToArray();
        using var zip = ZipFile.Open(path, ZipArchiveMode.Create);
        for (var i = 0; i < count; i++)
        {
            using var entry = zip.CreateEntry($"class-{i % 10}/{i:000000}.jpg", CompressionLevel.NoCompression).Open();
            entry.Write(pictures[i % pictures.Length]);
        }
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
