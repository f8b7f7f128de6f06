using System.Runtime.CompilerServices;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Preparation.Images;

namespace QueueMaaS.Inference.BatchJobs.Sources;

/// <summary>The files of a zip, as images. The folder that one lies in counts as its true label where the model knows it.</summary>
internal sealed class ImageZipSource(string path, ServedModel model) : IItemSource
{
    private readonly GuardedZip _zip = GuardedZip.Open(path, new DatasetLimits());
    private readonly ImagePixels _pixels = ImagePixels.For(model.Signature, model.Pipeline);
    private readonly HashSet<string> _labels = model.Pipeline?.Labels?.ToHashSet(StringComparer.Ordinal) ?? [];

    public Task<SourceScan> ScanAsync(int stride, long limit, CancellationToken cancellationToken) => Task.FromResult(new SourceScan(Math.Min(limit, _zip.Files.Count), []));

    public async IAsyncEnumerable<ItemGroup> ReadAsync(long first, long offset, int count, int size, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var at = (int)first; at < first + count; at += size)
        {
            var files = new (byte[]? Bytes, Problem? Error)[(int)Math.Min(size, first + count - at)];
            // A zip has one position: its files are read one after the other, and decoded on all cores.
            for (var i = 0; i < files.Length; i++)
                files[i] = Read(at + i);
            var items = new Item[files.Length];
            var from = at;
            await Parallel.ForAsync(0, files.Length, cancellationToken, (i, _) =>
            {
                items[i] = Decode(from + i, files[i].Bytes, files[i].Error);
                return ValueTask.CompletedTask;
            });
            yield return new(items, null);
        }
    }

    public ValueTask DisposeAsync()
    {
        _zip.Dispose();
        return ValueTask.CompletedTask;
    }

    private (byte[]?, Problem?) Read(int index)
    {
        try
        {
            return (_zip.ReadAll(_zip.Files[index]), null);
        }
        catch (ProblemException e)
        {
            return (null, e.Problem);
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or NotSupportedException)
        {
            return (null, Problem.Create(ProblemCodes.ImageUnreadable, $"The file '{_zip.Files[index].FullName}' cannot be taken out of the zip: it is damaged.", ("item", _zip.Files[index].FullName)));
        }
    }

    private Item Decode(int index, byte[]? file, Problem? error)
    {
        var name = _zip.Files[index].FullName;
        var folder = Path.GetFileName(Path.GetDirectoryName(name)) is { Length: > 0 } parent && _labels.Contains(parent) ? parent : null;
        try
        {
            return file is null
                ? new(index + 1, name, folder, null, error)
                : new(index + 1, name, folder, InferenceRequestCheck.FromImage(model.Signature, _pixels, _pixels.Decode(file)), null);
        }
        catch (ProblemException e)
        {
            return new(index + 1, name, folder, null, e.Problem);
        }
    }
}

/// <summary>The images of a registered data set, with their true labels.</summary>
internal sealed class DatasetItemSource(OpenArchives archives, string artifact, string split, ServedModel model) : IItemSource
{
    private readonly ImagePixels _pixels = ImagePixels.For(model.Signature, model.Pipeline);

    public async Task<SourceScan> ScanAsync(int stride, long limit, CancellationToken cancellationToken) => new(Math.Min(limit, await archives.CountAsync(artifact, split, cancellationToken)), []);

    public async IAsyncEnumerable<ItemGroup> ReadAsync(long first, long offset, int count, int size, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var at = (int)first; at < first + count; at += size)
        {
            var from = at;
            var decoded = await archives.ReadAsync(artifact, split, from, (int)Math.Min(size, first + count - from), model.Pipeline!.Image!, _pixels, cancellationToken);
            yield return new([.. decoded.Select((item, i) => new Item(
                from + i + 1, item.Name, item.LabelName, item.Value is null ? null : InferenceRequestCheck.FromImage(model.Signature, _pixels, item.Value), item.Error))], null);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
