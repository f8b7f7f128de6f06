using QueueMaaS.Data.Loading;

namespace QueueMaaS.Data.Tests;

public sealed class DecodedImageCacheTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private int _loads;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_second_time_nothing_is_decoded_and_everything_is_the_same()
    {
        var cache = new DecodedImageCache(_folder.File("cache"), 1 << 20);
        var first = cache.GetOrLoad("a", Load);
        var second = cache.GetOrLoad("a", Load);
        _loads.ShouldBe(1);
        second.Pixels.ShouldBe(first.Pixels);
        second.Labels.ShouldBe(first.Labels);
        second.Names.ShouldBe(first.Names);
        second.Classes.ShouldBe(first.Classes);
        second.Corrupt.Examples.ShouldBe(first.Corrupt.Examples);
        cache.GetOrLoad("b", Load);
        _loads.ShouldBe(2);
    }

    [Fact]
    public void A_damaged_file_counts_as_missing()
    {
        var cache = new DecodedImageCache(_folder.File("cache"), 1 << 20);
        cache.GetOrLoad("a", Load);
        var file = Directory.GetFiles(_folder.File("cache")).Single();
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..^5]);
        cache.GetOrLoad("a", Load).Count.ShouldBe(4);
        _loads.ShouldBe(2);
        cache.GetOrLoad("a", Load);
        _loads.ShouldBe(2, "it was written again");
    }

    [Fact]
    public void What_was_used_longest_ago_makes_room()
    {
        var cache = new DecodedImageCache(_folder.File("cache"), 1_000);
        foreach (var key in (string[])["a", "b", "c", "d"])
            cache.GetOrLoad(key, Load);
        Directory.GetFiles(_folder.File("cache")).Sum(f => new FileInfo(f).Length).ShouldBeLessThanOrEqualTo(1_000);
        cache.GetOrLoad("d", Load);
        _loads.ShouldBe(4);
    }

    private LabelledImages Load()
    {
        _loads++;
        return new()
        {
            Pixels = [.. Enumerable.Range(0, 4 * 12).Select(i => (byte)(i * 5))],
            Labels = [0, 1, 0, 1],
            Names = ["a", "b", "c", "d"],
            Splits = ["train", "train", "test", "val"],
            Classes = ["x", "y"],
            Width = 2,
            Height = 2,
            Channels = 3,
            Corrupt = new(1, 0.2, ["e"]),
        };
    }
}
