using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Images;

namespace QueueMaaS.Data.Cards;

/// <summary>Describes images, with a few of them to look at.</summary>
internal static class ImageCard
{
    private const int Thumbnails = 10;
    private const int Side = 48;

    public static DatasetCard Of(DatasetArchive archive)
    {
        var card = archive.Inspect();
        return card with
        {
            Shape = [card.Channels, card.Height, card.Width],
            Balance = (double)card.Classes.Min(c => c.Count) / card.Classes.Max(c => c.Count),
            Thumbnails = [.. Pick(archive).Select(i => Draw(archive, i)).OfType<Thumbnail>()],
        };
    }

    /// <summary>The first item of each of the first classes.</summary>
    private static IEnumerable<int> Pick(DatasetArchive archive) =>
        Enumerable.Range(0, archive.Items.Count).DistinctBy(i => archive.Items[i].Label).Take(Thumbnails);

    private static Thumbnail? Draw(DatasetArchive archive, int index)
    {
        var item = archive.ReadItems("all", index, 1, Side, Side, 3)[0];
        if (item.Pixels is not { } pixels)
            return null;
        return new(item.Name, item.LabelName, ThumbnailPng.DataUrl(pixels, Side));
    }
}
