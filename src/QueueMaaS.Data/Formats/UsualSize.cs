using QueueMaaS.Contracts;
using QueueMaaS.Data.Images;

namespace QueueMaaS.Data.Formats;

/// <summary>The size that a data set's images have, judged by some of them; where sizes differ, that of most.</summary>
/// <param name="Size">The usual size.</param>
/// <param name="Looked">How many images were measured.</param>
/// <param name="Different">How many sizes they have.</param>
/// <param name="OfThisSize">How many of them have the usual one.</param>
internal sealed record UsualSize(ImageSize Size, int Looked, int Different, int OfThisSize)
{
    /// <summary>For a data set that holds images of one size only.</summary>
    public static UsualSize Only(ImageSize size) => new(size, 1, 1, 1);

    /// <summary>
    /// The size of most of the images. Of sizes as frequent as each other it is the one whose number of pixels is nearest to the middle one of all, so that photographs of a hundred sizes
    /// do not all become as small as a thumbnail among them; then the one that comes first. Grey or colour is what most of the images are.
    /// </summary>
    /// <param name="sizes">At least one, in the order of the data set.</param>
    public static UsualSize Of(IReadOnlyList<ImageSize> sizes)
    {
        var bySize = sizes.GroupBy(s => (s.Width, s.Height)).ToList();
        var areas = sizes.Select(s => (long)s.Width * s.Height).Order().ToArray();
        var middle = areas[areas.Length / 2];
        var usual = bySize.OrderByDescending(g => g.Count()).ThenBy(g => Math.Abs(((long)g.Key.Width * g.Key.Height) - middle)).First();
        var channels = sizes.CountBy(s => s.Channels).MaxBy(c => c.Value).Key;
        return new(new(usual.Key.Width, usual.Key.Height, channels), sizes.Count, bySize.Count, usual.Count());
    }

    /// <summary>For the report, where there is more than one size.</summary>
    public MixedSizes? Mixed => Different > 1 ? new(Looked, Different, Size.Width, Size.Height, OfThisSize) : null;
}
