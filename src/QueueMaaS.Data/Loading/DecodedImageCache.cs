using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Data.Loading;

/// <summary>
/// Decoded images in files, so that a second training on the same data starts as fast as a disk is read. A file appears whole or not at all, by a rename; one that is damaged counts as missing.
/// When all are larger than allowed, those used longest ago are removed.
/// </summary>
/// <param name="folder">Where the files are; made where it is missing.</param>
/// <param name="maxBytes">The size of all files together.</param>
public sealed class DecodedImageCache(string folder, long maxBytes)
{
    private const string Extension = ".images";

    /// <summary>Another one when the decoder gives other pixels for the same file, so that none that were kept before are taken for its own. 2: the orientation of PNG. 3: the usual size instead of the first image's.</summary>
    private const string Decoding = "3 ";

    /// <summary>The images under a key, or what <paramref name="load"/> gives, which is kept.</summary>
    /// <param name="key">Names the data set's content and everything that decoding depends on.</param>
    /// <param name="load">Decodes.</param>
    public LabelledImages GetOrLoad(string key, Func<LabelledImages> load)
    {
        ArgumentNullException.ThrowIfNull(load);
        var path = Path.Combine(folder, Convert.ToHexStringLower(XxHash128.Hash(System.Text.Encoding.UTF8.GetBytes(Decoding + key))) + Extension);
        if (TryRead(path, key) is { } cached)
            return cached;
        var images = load();
        if (images.Pixels.LongLength <= maxBytes)
            TryWrite(path, key, images);
        return images;
    }

    private static LabelledImages? TryRead(string path, string key)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 1, FileOptions.SequentialScan);
            Span<byte> sizes = stackalloc byte[12];
            file.ReadExactly(sizes);
            var header = new byte[BinaryPrimitives.ReadInt32LittleEndian(sizes)];
            var pixels = GC.AllocateUninitializedArray<byte>(checked((int)BinaryPrimitives.ReadInt64LittleEndian(sizes[4..])));
            file.ReadExactly(header);
            file.ReadExactly(pixels);
            var stored = JsonSerializer.Deserialize<Header>(header, QueueMaaSJson.Relaxed)!;
            if (file.Position != file.Length || stored.Key != key || pixels.Length != stored.Labels.Length * stored.Width * stored.Height * stored.Channels)
                return null;
            File.SetLastAccessTimeUtc(path, DateTime.UtcNow);
            return new()
            {
                Pixels = pixels,
                Labels = stored.Labels,
                Names = stored.Names,
                Splits = stored.Splits,
                Classes = stored.Classes,
                Width = stored.Width,
                Height = stored.Height,
                Channels = stored.Channels,
                Corrupt = stored.Corrupt,
                Sizes = stored.Sizes,
            };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or OverflowException or ArgumentException)
        {
            return null;
        }
    }

    /// <summary>A cache that cannot be written costs time, never the training.</summary>
    private void TryWrite(string path, string key, LabelledImages images)
    {
        var partial = $"{path}.{Guid.NewGuid():n}.partial";
        try
        {
            Directory.CreateDirectory(folder);
            var header = JsonSerializer.SerializeToUtf8Bytes(
                new Header(key, images.Labels, images.Names, images.Splits, images.Classes, images.Width, images.Height, images.Channels, images.Corrupt, images.Sizes), QueueMaaSJson.Relaxed);
            using (var file = File.Create(partial))
            {
                Span<byte> sizes = stackalloc byte[12];
                BinaryPrimitives.WriteInt32LittleEndian(sizes, header.Length);
                BinaryPrimitives.WriteInt64LittleEndian(sizes[4..], images.Pixels.LongLength);
                file.Write(sizes);
                file.Write(header);
                file.Write(images.Pixels);
            }

            File.Move(partial, path, overwrite: true);
            Trim(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            File.Delete(partial);
        }
    }

    private void Trim(string newest)
    {
        var files = new DirectoryInfo(folder).GetFiles("*" + Extension).OrderByDescending(f => f.LastAccessTimeUtc).ToArray();
        long kept = 0;
        foreach (var file in files)
        {
            kept += file.Length;
            if (kept > maxBytes && file.FullName != newest)
                file.Delete();
        }
    }

    private sealed record Header(string Key, int[] Labels, string[] Names, string[] Splits, IReadOnlyList<string> Classes, int Width, int Height, int Channels, CorruptItems Corrupt, MixedSizes? Sizes);
}
