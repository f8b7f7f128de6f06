using System.Collections.Concurrent;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Formats;
using QueueMaaS.Data.Images;

namespace QueueMaaS.Data.Loading;

/// <summary>Decodes many items into one block: the archive is read by one thread at a time, the decoding runs on all cores, and every image has its place before it is decoded, so the order is that of the source.</summary>
internal sealed class ImageLoader(DatasetSource source, DatasetLimits limits)
{
    private const int Chunk = 64;
    private const int Examples = 10;

    public LabelledImages Load(int[] indexes, ImageSize size, double maxCorruptShare, IProgress<DatasetLoadProgress>? progress, CancellationToken cancellationToken)
    {
        var imageBytes = size.Width * size.Height * size.Channels;
        if ((long)indexes.Length * imageBytes > Math.Min(limits.MaxPixelBytes, Array.MaxLength))
        {
            throw new ProblemException(
                ProblemCodes.TooLarge,
                $"{indexes.Length:N0} images of {size.Width} × {size.Height} × {size.Channels} need {(long)indexes.Length * imageBytes:N0} bytes of memory; at most {limits.MaxPixelBytes:N0} are used. Give a 'limit' on the number of images.",
                ("images", indexes.Length), ("limit", limits.MaxPixelBytes));
        }

        var pixels = GC.AllocateUninitializedArray<byte>(indexes.Length * imageBytes);
        var errors = new ConcurrentDictionary<int, Problem>();
        var done = 0;
        var chunks = Partitioner.Create(Numbered(indexes).Chunk(Chunk), EnumerablePartitionerOptions.NoBuffering);
        try
        {
            Parallel.ForEach(chunks, new ParallelOptions { CancellationToken = cancellationToken, MaxDegreeOfParallelism = Environment.ProcessorCount }, chunk =>
            {
                foreach (var (slot, item) in chunk)
                {
                    var problem = Decode(item, size, pixels.AsSpan(slot * imageBytes, imageBytes));
                    if (problem is not null)
                        errors[slot] = problem;
                }

                progress?.Report(new(Interlocked.Add(ref done, chunk.Length), indexes.Length));
            });
        }
        catch (AggregateException e) when (e.Flatten().InnerExceptions.OfType<ProblemException>().FirstOrDefault() is { } problem)
        {
            throw new ProblemException(problem.Problem, problem);
        }

        return Compact(indexes, pixels, imageBytes, size, Corrupt(indexes, errors, maxCorruptShare), errors);
    }

    /// <summary>Writes one item into <paramref name="destination"/>, or says why it cannot.</summary>
    public Problem? Decode(StoredItem item, ImageSize size, Span<byte> destination)
    {
        try
        {
            if (item.Error is not null)
                return item.Error;
            if (item.Encoded is not null)
                ImageDecoder.DecodeTo(item.Encoded, size.Width, size.Height, size.Channels, destination);
            else
                PlanarPixels.Fit(item.Planar, source.Size, size, destination);
            return null;
        }
        catch (ProblemException e)
        {
            return e.Problem;
        }
    }

    private IEnumerable<(int Slot, StoredItem Item)> Numbered(int[] indexes)
    {
        var slot = 0;
        foreach (var item in source.Read(indexes))
            yield return (slot++, item);
    }

    private CorruptItems Corrupt(int[] indexes, ConcurrentDictionary<int, Problem> errors, double maxShare)
    {
        if (errors.IsEmpty)
            return new(0, 0, []);
        var slots = errors.Keys.Order().ToList();
        var share = (double)slots.Count / indexes.Length;
        var examples = slots.Take(Examples).Select(s => source.Items[indexes[s]].Name).ToList();
        if (share > maxShare || slots.Count == indexes.Length)
        {
            throw new ProblemException(
                ProblemCodes.DatasetCorrupt,
                $"{slots.Count:N0} of {indexes.Length:N0} images ({share:P2}) cannot be read, more than the {maxShare:P2} allowed; the first is '{examples[0]}': {errors[slots[0]].Message} Repair the data set, or allow more with 'maxCorruptShare'.",
                ("corrupt", slots.Count), ("share", share), ("allowed", maxShare), ("examples", examples));
        }

        return new(slots.Count, share, examples);
    }

    private LabelledImages Compact(int[] indexes, byte[] pixels, int imageBytes, ImageSize size, CorruptItems corrupt, ConcurrentDictionary<int, Problem> errors)
    {
        var kept = Enumerable.Range(0, indexes.Length).Where(s => !errors.ContainsKey(s)).ToArray();
        if (kept.Length < indexes.Length)
        {
            for (var target = 0; target < kept.Length; target++)
                pixels.AsSpan(kept[target] * imageBytes, imageBytes).CopyTo(pixels.AsSpan(target * imageBytes));
            Array.Resize(ref pixels, kept.Length * imageBytes);
        }

        var items = Array.ConvertAll(kept, s => source.Items[indexes[s]]);
        return new()
        {
            Pixels = pixels,
            Labels = Array.ConvertAll(items, i => i.Label),
            Names = Array.ConvertAll(items, i => i.Name),
            Splits = Array.ConvertAll(items, i => i.Split),
            Classes = source.Classes,
            Width = size.Width,
            Height = size.Height,
            Channels = size.Channels,
            Corrupt = corrupt,
        };
    }
}
