using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Demo;
using QueueMaaS.Data.Loading;
using QueueMaaS.Data.Packing;
using SkiaSharp;

namespace QueueMaaS.Data.Tests;

public sealed class LoadingTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private string ZipPath => _folder.File("data.zip");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_truncated_jpeg_is_counted_and_loading_goes_on_in_order()
    {
        WriteWithOneTruncated(good: 99);
        using var archive = DatasetArchive.Open(ZipPath);
        var data = archive.Load(new());
        data.Count.ShouldBe(99);
        (data.Corrupt.Count, data.Corrupt.Share).ShouldBe((1, 0.01));
        data.Corrupt.Examples.ShouldBe(["train/a/0010.jpg"]);
        data.Names.ShouldBe(data.Names.Order(StringComparer.Ordinal).ToArray());
        data.Names.ShouldNotContain("train/a/0010.jpg");
        // Each image holds its own number as its colour, so a slip of one place would show.
        for (var i = 0; i < data.Count; i++)
            Math.Abs(data[i][0] - int.Parse(data.Names[i].Split('/')[2][..4]) * 2).ShouldBeLessThanOrEqualTo(3);
    }

    [Fact]
    public void More_unreadable_images_than_allowed_end_the_loading()
    {
        WriteWithOneTruncated(good: 49);
        using var archive = DatasetArchive.Open(ZipPath);
        var problem = Samples.ShouldFail(() => archive.Load(new()), ProblemCodes.DatasetCorrupt);
        problem.Message.ShouldContain("train/a/0010.jpg");
        archive.Load(new() { MaxCorruptShare = 0.02 }).Count.ShouldBe(49);
    }

    [Fact]
    public void A_data_set_of_which_nothing_can_be_read_is_corrupt_whatever_is_allowed()
    {
        Samples.Zip(ZipPath, ("a/1.png", [1]), ("b/1.png", [2]));
        using var archive = DatasetArchive.Open(ZipPath);
        Samples.ShouldFail(() => archive.Load(new() { Width = 4, Height = 4, Channels = 3, MaxCorruptShare = 1 }), ProblemCodes.DatasetCorrupt);
    }

    [Fact]
    public void A_limit_draws_evenly_over_the_classes_and_the_same_for_the_same_seed()
    {
        Samples.Zip(ZipPath, [.. Enumerable.Range(0, 30).Select(i => ($"{(i < 24 ? "a" : "b")}/{i:D2}.png", Samples.Image(SKColors.Red)))]);
        using var archive = DatasetArchive.Open(ZipPath);
        var first = archive.Load(new() { Limit = 10, Seed = 3 });
        first.Labels.Count(l => l == 0).ShouldBe(5);
        archive.Load(new() { Limit = 10, Seed = 3 }).Names.ShouldBe(first.Names);
        archive.Load(new() { Limit = 10, Seed = 4 }).Names.ShouldNotBe(first.Names);
        archive.Load(new() { Limit = 20, Seed = 4 }).Labels.Count(l => l == 1).ShouldBe(6);
    }

    [Fact]
    public void A_chunk_reads_its_own_items_and_keeps_item_errors_apart()
    {
        WriteWithOneTruncated(good: 29);
        using var archive = DatasetArchive.Open(ZipPath);
        var whole = archive.ReadItems("train", 0, 100);
        whole.Count.ShouldBe(30);
        var chunk = archive.ReadItems("train", 8, 4);
        chunk.Select(i => i.Name).ShouldBe(whole.Skip(8).Take(4).Select(i => i.Name));
        chunk[2].Error!.Code.ShouldBe(ProblemCodes.ImageUnreadable);
        chunk[2].Pixels.ShouldBeNull();
        chunk[3].Pixels!.ShouldBe(whole[11].Pixels);
        archive.ReadItems("all", 30, 10).ShouldBeEmpty();
        Samples.ShouldFail(() => archive.ReadItems("test", 0, 1), ProblemCodes.DatasetEmpty);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_usual_size_of_the_images_decides_wherever_another_one_stands(bool last)
    {
        Samples.Zip(ZipPath, [.. Enumerable.Range(0, 60).Select(i => ($"{(i < 30 ? "a" : "b")}/{i:D2}.png", i == (last ? 59 : 0) ? Samples.Image(SKColors.Red) : Samples.Image(SKColors.Blue, 64, 48)))]);
        using var archive = DatasetArchive.Open(ZipPath);
        (archive.Inspect().Width, archive.Inspect().Height).ShouldBe((64, 48));
        var data = archive.Load(new());
        (data.Width, data.Height, data.Sizes).ShouldBe((64, 48, new MixedSizes(60, 2, 64, 48, 59)));
        archive.Load(new() { Width = 16, Height = 16 }).Sizes.ShouldBeNull("the size was named");
        var cache = new DecodedImageCache(_folder.File("cache"), 1 << 24);
        cache.GetOrLoad("k", () => data).Sizes.ShouldBe(data.Sizes);
        cache.GetOrLoad("k", () => throw new InvalidOperationException("It is kept.")).Sizes.ShouldBe(data.Sizes);
    }

    [Fact]
    public void Sizes_that_are_equally_frequent_give_the_one_nearest_to_the_middle()
    {
        int[] sides = [4, 90, 40, 30, 20];
        Samples.Zip(ZipPath, [.. sides.Select((side, i) => ($"{(i < 2 ? "a" : "b")}/{i}.png", Samples.Image(SKColors.Blue, side, side)))]);
        using var archive = DatasetArchive.Open(ZipPath);
        archive.Inspect().Width.ShouldBe(30);
    }

    [Fact]
    public void Images_are_measured_by_a_part_of_them_spread_over_the_set_and_by_their_headers()
    {
        // 300 small ones come first in the archive's order; of 1,000, 700 are large JPEGs, one of them damaged behind its header.
        var large = Samples.Jpeg(400, 300);
        large.Length.ShouldBeGreaterThan(64 * 1024, "the header is only a part of it");
        var damaged = (byte[])large.Clone();
        damaged.AsSpan(66_000).Clear();
        var small = Samples.Image(SKColors.Red);
        Samples.Zip(ZipPath, [.. Enumerable.Range(0, 1_000).Select(i => ($"{(i < 500 ? "a" : "b")}/{i:D4}.{(i < 300 ? "png" : "jpg")}", i < 300 ? small : i == 500 ? damaged : large))]);
        using var archive = DatasetArchive.Open(ZipPath);
        var data = archive.Load(new() { Limit = 4 });
        data.Sizes.ShouldBe(new MixedSizes(200, 2, 400, 300, 140));
    }

    [Fact]
    public void Images_of_one_size_are_not_mixed()
    {
        Samples.Zip(ZipPath, ("a/1.png", Samples.Image(SKColors.Red)), ("b/1.png", Samples.Image(SKColors.Blue)));
        using var archive = DatasetArchive.Open(ZipPath);
        archive.Load(new()).Sizes.ShouldBeNull();
    }

    [Fact]
    public void Too_many_pixels_for_memory_are_refused_with_a_way_out()
    {
        WriteWithOneTruncated(good: 19);
        using var archive = DatasetArchive.Open(ZipPath, new() { MaxPixelBytes = 1_000 });
        Samples.ShouldFail(() => archive.Load(new()), ProblemCodes.TooLarge).Message.ShouldContain("limit");
    }

    [Fact]
    public void Cancelling_stops_the_loading()
    {
        WriteWithOneTruncated(good: 19);
        using var archive = DatasetArchive.Open(ZipPath);
        Should.Throw<OperationCanceledException>(() => archive.Load(new(), cancellationToken: new CancellationToken(canceled: true)));
    }

    [Fact]
    public void The_demo_data_set_is_the_same_for_the_same_seed()
    {
        ShapesDataset.Write(_folder.File("1.zip"), 3, 1, seed: 5);
        ShapesDataset.Write(_folder.File("2.zip"), 3, 1, seed: 5);
        ShapesDataset.Write(_folder.File("3.zip"), 3, 1, seed: 6);
        File.ReadAllBytes(_folder.File("1.zip")).ShouldBe(File.ReadAllBytes(_folder.File("2.zip")));
        using var archive = DatasetArchive.Open(_folder.File("1.zip"));
        var card = archive.Inspect();
        (card.Rows, card.Classes.Count, card.Width, card.Height, card.Channels).ShouldBe((40, 10, 32, 32, 3));
        using var other = DatasetArchive.Open(_folder.File("3.zip"));
        other.Load(new()).Pixels.ShouldNotBe(archive.Load(new()).Pixels);
    }

    [Fact]
    public async Task A_folder_is_packed_to_the_same_bytes_each_time_and_can_be_loaded()
    {
        foreach (var (name, colour) in new[] { ("cat", SKColors.Red), ("dog", SKColors.Blue) })
        {
            Directory.CreateDirectory(_folder.File($"in/{name}"));
            File.WriteAllBytes(_folder.File($"in/{name}/1.png"), Samples.Image(colour));
        }

        File.WriteAllText(_folder.File("in/notes.txt"), "left out");
        await DatasetPacker.Pack(_folder.File("in"), _folder.File("1.zip"));
        await DatasetPacker.Pack(_folder.File("in"), _folder.File("2.zip"));
        await DatasetPacker.Pack(_folder.File("1.zip"), _folder.File("3.zip"));
        File.ReadAllBytes(_folder.File("1.zip")).ShouldBe(File.ReadAllBytes(_folder.File("2.zip")));
        File.ReadAllBytes(_folder.File("1.zip")).ShouldBe(File.ReadAllBytes(_folder.File("3.zip")));
        using var archive = DatasetArchive.Open(_folder.File("1.zip"));
        archive.Items.Select(i => i.Name).ShouldBe(["cat/1.png", "dog/1.png"]);
    }

    [Fact]
    public async Task A_path_that_is_not_there_is_said_so()
    {
        var problem = (await Should.ThrowAsync<ProblemException>(() => DatasetPacker.Pack(_folder.File("nowhere"), ZipPath))).Problem;
        problem.Code.ShouldBe(ProblemCodes.InvalidValue);
        problem.Message.ShouldContain("nowhere");
    }

    private void WriteWithOneTruncated(int good)
    {
        var files = new List<(string, byte[])>();
        for (var i = 0; i <= good; i++)
        {
            var jpeg = Samples.Image(new SKColor((byte)(i * 2), (byte)(i * 2), (byte)(i * 2)), 16, 16, SKEncodedImageFormat.Jpeg);
            files.Add(($"train/{(i < 20 ? "a" : "b")}/{i:D4}.jpg", i == 10 ? jpeg[..(jpeg.Length - 20)] : jpeg));
        }

        Samples.Zip(ZipPath, [.. files]);
    }
}
