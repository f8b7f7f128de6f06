using System.IO.Compression;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Demo;
using QueueMaaS.Data.Packing;
using SkiaSharp;

namespace QueueMaaS.Demo;

/// <summary>Makes or packs the demo's data set, with images that are kept apart from training.</summary>
internal static class DemoData
{
    private const int TestShare = 10;

    /// <summary>Writes the archive to <paramref name="zip"/>; returns the data set's name.</summary>
    public static async Task<string> PrepareAsync(string? path, string zip, CancellationToken cancellationToken)
    {
        if (path is null)
        {
            await Task.Run(() => ShapesDataset.Write(zip, trainPerClass: 800, testPerClass: 150, seed: 1, cancellationToken), cancellationToken);
            return "shapes";
        }

        var packed = $"{zip}.packed";
        await DatasetPacker.Pack(path, packed, cancellationToken);
        using (var archive = DatasetArchive.Open(packed))
        {
            var card = archive.Inspect();
            if (card.Splits.ContainsKey("test"))
                File.Move(packed, zip, overwrite: true);
            else if (card.Format == "image-folder")
                await Task.Run(() => HoldOut(packed, zip, cancellationToken), cancellationToken);
            else
                throw new DemoFailedException($"{path} has no test images (test_batch.bin or t10k-*): the demo shows accuracy on images that it has not trained on, so put them beside the training files.");
        }

        File.Delete(packed);
        return "demo-data";
    }

    /// <summary>Test images as PNG files with their true labels, evenly over the classes.</summary>
    public static IReadOnlyList<(string Label, string Base64)> ReadTestImages(string zip, DatasetCard card, int count)
    {
        using var archive = DatasetArchive.Open(zip);
        var total = archive.Count("test");
        var step = Math.Max(1, total / count);
        var images = new List<(string, string)>();
        for (var index = 0; index < total && images.Count < count; index += step)
        {
            var item = archive.ReadItems("test", index, 1, card.Width, card.Height, card.Channels)[0];
            if (item.Pixels is not null)
                images.Add((item.LabelName, Convert.ToBase64String(ToPng(item.Pixels, card))));
        }

        return images;
    }

    /// <summary>Moves every tenth image of a class from <c>train/</c> to <c>test/</c>.</summary>
    private static void HoldOut(string from, string to, CancellationToken cancellationToken)
    {
        using var source = ZipFile.OpenRead(from);
        using var target = ZipFile.Open(to, ZipArchiveMode.Create);
        var seen = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var entry in source.Entries.Where(entry => entry.Name.Length > 0).OrderBy(entry => entry.FullName, StringComparer.Ordinal))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var parts = entry.FullName.Split('/');
            var label = parts.Length > 1 ? parts[^2] : "";
            var number = seen[label] = seen.GetValueOrDefault(label) + 1;
            var made = target.CreateEntry($"{(number % TestShare == 0 ? "test" : "train")}/{label}/{number:000000}-{entry.Name}", CompressionLevel.NoCompression);
            using var input = entry.Open();
            using var output = made.Open();
            input.CopyTo(output);
        }
    }

    private static byte[] ToPng(byte[] planar, DatasetCard card)
    {
        using var bitmap = new SKBitmap(card.Width, card.Height, SKColorType.Rgba8888, SKAlphaType.Opaque);
        var plane = card.Width * card.Height;
        for (var i = 0; i < plane; i++)
        {
            var (r, g, b) = card.Channels == 3 ? (planar[i], planar[plane + i], planar[(2 * plane) + i]) : (planar[i], planar[i], planar[i]);
            bitmap.SetPixel(i % card.Width, i / card.Width, new SKColor(r, g, b));
        }

        using var png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return png.ToArray();
    }
}
