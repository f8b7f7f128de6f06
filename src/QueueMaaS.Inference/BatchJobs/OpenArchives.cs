using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Images;
using QueueMaaS.Data.Loading;
using QueueMaaS.Inference.Preparation.Images;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Inference.BatchJobs;

/// <summary>Keeps the archives of recent chunks open: reading a large archive's directory for each of its chunks would cost more than the chunk.</summary>
public sealed class OpenArchives(IArtifactStore artifacts) : IDisposable
{
    private const int Keep = 4;
    private readonly SemaphoreSlim _gate = new(1);
    private readonly List<(string Artifact, DatasetArchive Archive)> _open = [];

    /// <summary>Decodes a range of items and brings them to the model's size; one range at a time, as an archive is one file with one position.</summary>
    internal Task<IReadOnlyList<PreparedItem<PlacedImage>>> ReadAsync(
        string artifact, string split, int start, int count, ImagePreparation preparation, ImagePixels pixels, CancellationToken cancellationToken) =>
        ReadAsync(artifact, split, start, count, preparation, pixels.Place, cancellationToken);

    /// <summary>Decodes a range of items and makes of each what is wanted.</summary>
    internal async Task<IReadOnlyList<PreparedItem<T>>> ReadAsync<T>(
        string artifact, string split, int start, int count, ImagePreparation preparation, Func<PlanarImage, T> prepare, CancellationToken cancellationToken)
        where T : class
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            var archive = await OpenAsync(artifact, cancellationToken);
            return archive.ReadItems(split, start, count, preparation.Channels, preparation.Alpha == AlphaMode.White, prepare, cancellationToken);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>One item as a small square picture; null where it cannot be read.</summary>
    internal async Task<(string Name, string? DataUrl)> DrawAsync(string artifact, string split, int index, int side, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            var item = (await OpenAsync(artifact, cancellationToken)).ReadItems(split, index, 1, side, side, 3, cancellationToken)[0];
            return (item.Name, item.Pixels is { } pixels ? ThumbnailPng.DataUrl(pixels, side) : null);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>How many items a split has.</summary>
    internal async Task<int> CountAsync(string artifact, string split, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            return (await OpenAsync(artifact, cancellationToken)).Count(split == "all" ? null : split);
        }
        finally
        {
            _gate.Release();
        }
    }

    public void Dispose()
    {
        foreach (var (_, archive) in _open)
            archive.Dispose();
        _gate.Dispose();
    }

    private async Task<DatasetArchive> OpenAsync(string artifact, CancellationToken cancellationToken)
    {
        var at = _open.FindIndex(entry => entry.Artifact == artifact);
        if (at >= 0)
        {
            var entry = _open[at];
            _open.RemoveAt(at);
            _open.Add(entry);
            return entry.Archive;
        }

        var opened = DatasetArchive.Open(await artifacts.GetFileAsync(artifact, cancellationToken));
        _open.Add((artifact, opened));
        if (_open.Count > Keep)
        {
            _open[0].Archive.Dispose();
            _open.RemoveAt(0);
        }

        return opened;
    }
}
