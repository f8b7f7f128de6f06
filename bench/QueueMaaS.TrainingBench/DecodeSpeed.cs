using System.Diagnostics;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Loading;

namespace QueueMaaS.TrainingBench;

/// <summary>From a zip of JPEG files to images in memory, and a second time from the files of decoded images.</summary>
internal static class DecodeSpeed
{
    public static void Run(string zip)
    {
        for (var turn = 1; turn <= 3; turn++)
        {
            var clock = Stopwatch.StartNew();
            using var archive = DatasetArchive.Open(zip);
            var images = archive.Load(new());
            Console.WriteLine($"decoded {images.Count:N0} images in {clock.Elapsed.TotalSeconds:N2} s: {images.Count / clock.Elapsed.TotalSeconds:N0} images/s");
        }

        var folder = Directory.CreateTempSubdirectory("queuemaas-bench-").FullName;
        try
        {
            var cache = new DecodedImageCache(folder, 4L << 30);
            using var archive = DatasetArchive.Open(zip);
            cache.GetOrLoad("bench", () => archive.Load(new()));
            var clock = Stopwatch.StartNew();
            var again = cache.GetOrLoad("bench", () => throw new InvalidOperationException("It is in the cache."));
            Console.WriteLine($"from the cache: {again.Count:N0} images in {clock.Elapsed.TotalSeconds:N3} s: {again.Count / clock.Elapsed.TotalSeconds:N0} images/s, {again.Pixels.LongLength / clock.Elapsed.TotalSeconds / 1e9:N2} GB/s");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
