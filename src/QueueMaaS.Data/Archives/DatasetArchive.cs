using QueueMaaS.Contracts;
using QueueMaaS.Data.Formats;
using QueueMaaS.Data.Images;
using QueueMaaS.Data.Loading;

namespace QueueMaaS.Data.Archives;

/// <summary>
/// A labelled image data set in one zip file: an image folder, CIFAR-10's binary files or MNIST's idx files.
/// Opening it checks every entry's path and size; nothing is ever unpacked to disk. One reader at a time: it is locked while it reads.
/// </summary>
public sealed class DatasetArchive : IDisposable
{
    private readonly GuardedZip _zip;
    private readonly DatasetSource _source;
    private readonly Lock _reading = new();

    private DatasetArchive(GuardedZip zip, DatasetSource source)
    {
        _zip = zip;
        _source = source;
    }

    /// <summary>Class names in label order.</summary>
    public IReadOnlyList<string> Classes => _source.Classes;

    /// <summary>All items in their stable order: train first, then test, then val.</summary>
    public IReadOnlyList<DatasetItem> Items => _source.Items;

    /// <summary>Opens a data set and finds out its format.</summary>
    /// <exception cref="ProblemException">
    /// <c>archive_invalid</c>, <c>archive_path_escape</c>, <c>archive_too_large</c>, <c>dataset_format_unknown</c>, <c>dataset_empty</c> or <c>label_out_of_range</c>.
    /// </exception>
    public static DatasetArchive Open(string zipPath, DatasetLimits? limits = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(zipPath);
        var zip = GuardedZip.Open(zipPath, limits ?? new());
        try
        {
            return new(zip, DatasetSource.Detect(zip));
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or NotSupportedException)
        {
            zip.Dispose();
            throw new ProblemException(Problem.Create(ProblemCodes.ArchiveInvalid, $"The archive is damaged: {e.Message} Pack the data set again and upload that."), e);
        }
        catch
        {
            zip.Dispose();
            throw;
        }
    }

    /// <summary>Says what is in the data set, decoding no more than the headers of some of its images.</summary>
    /// <exception cref="ProblemException"><c>dataset_one_class</c>, or <c>dataset_corrupt</c> where none of them can be read.</exception>
    public DatasetCard Inspect()
    {
        lock (_reading)
        {
            var counts = new int[Classes.Count];
            foreach (var item in Items)
                counts[item.Label]++;
            // What there is only to evaluate on may be of one class.
            if (counts.Count(c => c > 0) < 2 && Items.Any(static item => item.Split != "test"))
            {
                var only = Classes[Array.FindIndex(counts, c => c > 0)];
                throw new ProblemException(
                    ProblemCodes.DatasetOneClass,
                    $"All {Items.Count:N0} items are of the one class '{only}', so there is nothing to learn. Give at least two classes, each in a folder of its own.",
                    ("class", only), ("items", Items.Count));
            }

            var size = _source.Size;
            return new(
                _source.Format,
                Items.Count,
                Classes.Select((name, label) => new ClassCount(name, counts[label])).ToList(),
                Items.CountBy(i => i.Split, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal),
                size.Width,
                size.Height,
                size.Channels);
        }
    }

    /// <summary>Decodes a split, or all of them, into one block of memory, on all cores.</summary>
    /// <exception cref="ProblemException"><c>dataset_corrupt</c>, <c>dataset_empty</c> (the split has no items), <c>too_large</c> (the pixels would not fit), <c>archive_invalid</c>.</exception>
    public LabelledImages Load(DatasetLoadOptions options, IProgress<DatasetLoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        lock (_reading)
        {
            var indexes = Indexes(options.Split);
            if (options.Limit is { } limit)
                indexes = EvenDraw.Take(Items, indexes, limit, options.Seed);
            var images = new ImageLoader(_source, _zip.Limits).Load(indexes, SizeFor(options.Width, options.Height, options.Channels), options.MaxCorruptShare, progress, cancellationToken);
            return options is { Width: not null, Height: not null } ? images : images with { Sizes = _source.Usual.Mixed };
        }
    }

    /// <summary>How many items a split has; <c>all</c> or null counts every item.</summary>
    public int Count(string? split = null) => Indexes(split).Length;

    /// <summary>
    /// Reads and decodes items <paramref name="start"/> … <paramref name="start"/> + <paramref name="count"/> - 1 of a split, without the others, in the stable order. An unreadable item is given with its error.
    /// </summary>
    /// <param name="split"><c>train</c>, <c>test</c>, <c>val</c>, or <c>all</c> (also null).</param>
    /// <param name="start">The first item, from 0.</param>
    /// <param name="count">How many; fewer come at the end of the split.</param>
    /// <param name="width">Width to resize to; default the usual one of the data set.</param>
    /// <param name="height">Height to resize to; default the usual one of the data set.</param>
    /// <param name="channels">3 or 1; default the usual one of the data set.</param>
    /// <param name="cancellationToken">Stops between items.</param>
    public IReadOnlyList<DecodedItem> ReadItems(
        string? split, int start, int count, int? width = null, int? height = null, int? channels = null, CancellationToken cancellationToken = default)
    {
        lock (_reading)
        {
            var size = SizeFor(width, height, channels);
            var loader = new ImageLoader(_source, _zip.Limits);
            return Read(split, start, count, (stored, item) =>
            {
                var pixels = new byte[size.Width * size.Height * size.Channels];
                var error = loader.Decode(stored, size, pixels);
                return new DecodedItem(item.Name, item.Label, Classes[item.Label], item.Split, error is null ? pixels : null, error);
            }, cancellationToken);
        }
    }

    /// <summary>The same with each image in its own size and <paramref name="prepare"/> to make of it what is wanted, on all cores; the image itself is not kept.</summary>
    /// <param name="split"><c>train</c>, <c>test</c>, <c>val</c>, or <c>all</c> (also null).</param>
    /// <param name="start">The first item, from 0.</param>
    /// <param name="count">How many; fewer come at the end of the split.</param>
    /// <param name="channels">3 or 1.</param>
    /// <param name="onWhite">True: transparency is laid on white. False: alpha is dropped.</param>
    /// <param name="prepare">Called for each readable image, on several threads at once.</param>
    /// <param name="cancellationToken">Stops between items.</param>
    public IReadOnlyList<PreparedItem<T>> ReadItems<T>(
        string? split, int start, int count, int channels, bool onWhite, Func<PlanarImage, T> prepare, CancellationToken cancellationToken = default)
        where T : class
    {
        ArgumentNullException.ThrowIfNull(prepare);
        lock (_reading)
        {
            return Read(split, start, count, (stored, item) =>
            {
                try
                {
                    if (stored.Error is not null)
                        return new PreparedItem<T>(item.Name, Classes[item.Label], null, stored.Error);
                    var image = stored.Encoded is not null
                        ? ImageDecoder.Decode(stored.Encoded, channels, onWhite)
                        : new PlanarImage(_source.Size.Width, _source.Size.Height, channels, PlanarPixels.Convert(stored.Planar, _source.Size, channels));
                    return new(item.Name, Classes[item.Label], prepare(image), null);
                }
                catch (ProblemException e)
                {
                    return new(item.Name, Classes[item.Label], null, e.Problem);
                }
            }, cancellationToken);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _zip.Dispose();

    private T[] Read<T>(string? split, int start, int count, Func<StoredItem, DatasetItem, T> decode, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var indexes = Indexes(split).Skip(start).Take(count).ToArray();
        var stored = new List<StoredItem>(indexes.Length);
        foreach (var item in _source.Read(indexes))
        {
            cancellationToken.ThrowIfCancellationRequested();
            stored.Add(item);
        }

        var decoded = new T[stored.Count];
        Parallel.For(0, stored.Count, new ParallelOptions { CancellationToken = cancellationToken }, i => decoded[i] = decode(stored[i], Items[stored[i].Index]));
        return decoded;
    }

    private ImageSize SizeFor(int? width, int? height, int? channels)
    {
        if (width is { } w && height is { } h && channels is { } c)
            return new(w, h, c);
        var own = _source.Size;
        return new(width ?? own.Width, height ?? own.Height, channels ?? own.Channels);
    }

    private int[] Indexes(string? split)
    {
        if (split is null or "all")
            return Enumerable.Range(0, Items.Count).ToArray();
        var indexes = Enumerable.Range(0, Items.Count).Where(i => Items[i].Split == split).ToArray();
        return indexes.Length > 0
            ? indexes
            : throw new ProblemException(
                ProblemCodes.DatasetEmpty,
                $"The data set has no split '{split}'; it has {string.Join(", ", Items.Select(i => $"'{i.Split}'").Distinct(StringComparer.Ordinal))}, and 'all' takes everything.",
                ("split", split));
    }
}
