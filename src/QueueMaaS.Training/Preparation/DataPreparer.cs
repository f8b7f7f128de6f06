using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Loading;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Preparation;

/// <summary>Makes training items of whatever kind of data set it is.</summary>
internal static class DataPreparer
{
    public static PreparedData Prepare(TrainingRequest request, CancellationToken cancellationToken) => ImagePreparer.Prepare(LoadImages(request, cancellationToken), request.Settings);

    private static LabelledImages LoadImages(TrainingRequest request, CancellationToken cancellationToken)
    {
        using var archive = DatasetArchive.Open(request.DatasetZipPath, request.DatasetLimits);
        var settings = request.Settings;
        if (settings.Task != TrainingTask.Autoencoding)
            _ = archive.Inspect();
        return archive.Load(
            new()
            {
                Limit = settings.Limit,
                MaxCorruptShare = settings.MaxCorruptShare,
                Seed = settings.Seed,
                Width = settings.Data.Image?.Width,
                Height = settings.Data.Image?.Height,
                Channels = settings.Data.Image?.Channels,
            },
            progress: null, cancellationToken);
    }
}
