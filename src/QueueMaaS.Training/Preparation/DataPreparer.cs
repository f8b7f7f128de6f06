using QueueMaaS.Contracts;
using QueueMaaS.Data;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Loading;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Preparation;

/// <summary>Makes training items of whatever kind of data set it is.</summary>
internal static class DataPreparer
{
    public static PreparedData Prepare(TrainingRequest request, CancellationToken cancellationToken)
    {
        switch (DatasetFile.KindOf(request.DatasetZipPath, request.DatasetLimits))
        {
            case DatasetKind.Table:
                var table = DatasetFile.ReadTable(request.DatasetZipPath, request.DatasetLimits);
                return TextPreparer.TextColumn(table, request.Settings) is { } texts
                    ? TextPreparer.Prepare(table, texts, request.Settings, request.WorkFolder)
                    : TablePreparer.Prepare(table, request.Settings);
            case DatasetKind.Arrays:
                return ArrayPreparer.Prepare(DatasetFile.ReadArrays(request.DatasetZipPath, request.DatasetLimits), request.Settings);
            default:
                return ImagePreparer.Prepare(LoadImages(request, cancellationToken), request.Settings);
        }
    }

    private static LabelledImages LoadImages(TrainingRequest request, CancellationToken cancellationToken)
    {
        var settings = request.Settings;
        var image = settings.Data.Image;
        var options = new DatasetLoadOptions
        {
            Limit = settings.Limit,
            MaxCorruptShare = settings.MaxCorruptShare,
            Seed = settings.DataSeed,
            Width = image?.Width,
            Height = image?.Height,
            Channels = image?.Channels,
        };
        if (request is not { ImageCache: { } cache, DataKey: { } key })
            return Decode(request, options, cancellationToken);
        // The seed decides only which images are drawn under a limit.
        var depends = options with { Seed = options.Limit is null ? 0 : options.Seed };
        var cached = cache.GetOrLoad($"1 {key} {depends}", () => Decode(request, options, cancellationToken));
        return settings.Task == TrainingTask.Autoencoding || cached.Labels.Distinct().Count() > 1 ? cached : Decode(request, options, cancellationToken);
    }

    private static LabelledImages Decode(TrainingRequest request, DatasetLoadOptions options, CancellationToken cancellationToken)
    {
        using var archive = DatasetArchive.Open(request.DatasetZipPath, request.DatasetLimits);
        if (request.Settings.Task != TrainingTask.Autoencoding)
            _ = archive.Inspect();
        return archive.Load(options, progress: null, cancellationToken);
    }
}
