using System.Runtime.CompilerServices;
using QueueMaaS.Data.Images;
using QueueMaaS.Inference.BatchJobs;
using QueueMaaS.Inference.BatchJobs.Sources;
using QueueMaaS.Inference.Evaluation.Statistics;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Preparation.Images;

namespace QueueMaaS.Inference.Evaluation;

/// <summary>The images of a data set. How bright and large they are is noted while they are read.</summary>
internal sealed class ImageEvaluationSource(OpenArchives archives, string artifact, string split, int count, bool several) : IEvaluationSource
{
    public const string Brightness = "brightness";
    public const string Size = "size";
    private const int ThumbnailSide = 64;
    private readonly double[] _brightness = [.. Enumerable.Repeat(double.NaN, count)];
    private readonly double[] _size = [.. Enumerable.Repeat(double.NaN, count)];

    public int Count => count;

    public string? Target => null;

    public async IAsyncEnumerable<EvaluationGroup> ReadAsync(ServedModel model, int size, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var pixels = ImagePixels.For(model.Signature, model.Pipeline);
        for (var at = 0; at < count; at += size)
        {
            var from = at;
            var images = await archives.ReadAsync(
                artifact, split, from, Math.Min(size, count - from), model.Pipeline!.Image!,
                image => new MeasuredImage(pixels.Place(image), image.Width * image.Height, BrightnessOf(image)), cancellationToken);
            var items = new Item[images.Count];
            for (var i = 0; i < items.Length; i++)
            {
                var image = images[i];
                items[i] = new(from + i + 1, image.Name, image.LabelName, image.Value is { } value ? InferenceRequestCheck.FromImage(model.Signature, pixels, value.Placed) : null, image.Error);
                if (image.Value is { } measured)
                    (_brightness[from + i], _size[from + i]) = (measured.Brightness, measured.Size);
            }

            yield return new(new(items, null), [.. images.Select(image => ItemTruth.Of(image.LabelName, several))], [.. images.Select(static image => image.Error is not null)]);
        }
    }

    public IReadOnlyList<SliceColumn> Slices() => [new(Brightness, null, _brightness, []), new(Size, null, _size, [])];

    public async Task<ItemDescription> DescribeAsync(int place, CancellationToken cancellationToken)
    {
        var (name, picture) = await archives.DrawAsync(artifact, split, place, ThumbnailSide, cancellationToken);
        return new(name, picture, null);
    }

    /// <summary>The mean over all pixels and channels, 0 to 1.</summary>
    private static double BrightnessOf(PlanarImage image)
    {
        long sum = 0;
        foreach (var value in image.Pixels)
            sum += value;
        return sum / (255.0 * Math.Max(1, image.Pixels.Length));
    }

    private sealed record MeasuredImage(PlacedImage Placed, double Size, double Brightness);
}
