using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using QueueMaaS.Data.Loading;
using SkiaSharp;

namespace QueueMaaS.Data.Tests;

public sealed class DatasetFormatTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private string ZipPath => _folder.File("data.zip");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("", true)]
    [InlineData("wrapped/", true)]
    [InlineData("", false)]
    [InlineData("wrapped/", false)]
    public void An_image_folder_is_recognised_with_and_without_splits_and_a_wrapping_folder(string prefix, bool splits)
    {
        var train = splits ? "train/" : "";
        List<(string, byte[])> files =
        [
            ($"{prefix}{train}cat/1.png", Samples.Image(SKColors.Red)),
            ($"{prefix}{train}cat/2.PNG", Samples.Image(SKColors.Red)),
            ($"{prefix}{train}dog/1.jpg", Samples.Image(SKColors.Blue, format: SKEncodedImageFormat.Jpeg)),
            ($"{prefix}README.txt", [1]),
        ];
        if (splits)
            files.Add(($"{prefix}test/dog/9.png", Samples.Image(SKColors.Blue)));
        Samples.Zip(ZipPath, [.. files]);

        using var archive = DatasetArchive.Open(ZipPath);
        var card = archive.Inspect();
        card.Format.ShouldBe("image-folder");
        card.Classes.ShouldBe([new("cat", 2), new("dog", splits ? 2 : 1)]);
        card.Splits["train"].ShouldBe(3);
        card.Splits.GetValueOrDefault("test").ShouldBe(splits ? 1 : 0);
        (card.Width, card.Height, card.Channels, card.Rows).ShouldBe((8, 8, 3, splits ? 4 : 3));
    }

    [Fact]
    public void Cifar_binary_files_are_read_with_their_names_and_splits()
    {
        Samples.Zip(ZipPath,
            ("cifar-10-batches-bin/data_batch_1.bin", Samples.CifarRecords(3, 0)),
            ("cifar-10-batches-bin/test_batch.bin", Samples.CifarRecords(1)),
            ("cifar-10-batches-bin/batches.meta.txt", "a\nb\nc\nd\n"u8.ToArray()));
        using var archive = DatasetArchive.Open(ZipPath);
        var card = archive.Inspect();
        (card.Format, card.Rows, card.Width, card.Channels).ShouldBe(("cifar-binary", 3, 32, 3));
        var data = archive.Load(new());
        data.Labels.ShouldBe([3, 0, 1]);
        data.Splits.ShouldBe(["train", "train", "test"]);
        data[1].ToArray().ShouldAllBe(p => p == 2);
        data.Classes.ShouldBe(["a", "b", "c", "d"]);
    }

    [Fact]
    public void A_cifar_label_outside_the_classes_names_its_record()
    {
        Samples.Zip(ZipPath, ("data_batch_1.bin", Samples.CifarRecords(0, 11)));
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.LabelOutOfRange).Message.ShouldContain("Record 1 of 'data_batch_1.bin' has label 11");
    }

    [Fact]
    public void A_cifar_file_of_a_broken_length_is_invalid()
    {
        Samples.Zip(ZipPath, ("data_batch_1.bin", Samples.CifarRecords(0, 1)[..^5]));
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.ArchiveInvalid);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Mnist_files_are_read_packed_or_plain(bool packed)
    {
        byte[] Pack(byte[] b) => packed ? Samples.Gzip(b) : b;
        var end = packed ? ".gz" : "";
        Samples.Zip(ZipPath,
            ($"train-images-idx3-ubyte{end}", Pack(Samples.IdxImages(3, 3))), ($"train-labels-idx1-ubyte{end}", Pack(Samples.IdxLabels(7, 2, 7))),
            ($"t10k-images-idx3-ubyte{end}", Pack(Samples.IdxImages(1, 1))), ($"t10k-labels-idx1-ubyte{end}", Pack(Samples.IdxLabels(2))));
        using var archive = DatasetArchive.Open(ZipPath);
        var card = archive.Inspect();
        (card.Format, card.Rows, card.Width, card.Height, card.Channels).ShouldBe(("mnist-idx", 4, 4, 4, 1));
        card.Splits["test"].ShouldBe(1);
        var items = archive.ReadItems("train", 1, 5);
        items.Select(i => i.LabelName).ShouldBe(["2", "7"]);
        items[1].Pixels!.ShouldAllBe(p => p == 3);
    }

    [Fact]
    public void A_mnist_label_outside_the_classes_names_its_item()
    {
        Samples.Zip(ZipPath, ("train-images-idx3-ubyte", Samples.IdxImages(2, 2)), ("train-labels-idx1-ubyte", Samples.IdxLabels(1, 10)));
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.LabelOutOfRange).Message.ShouldContain("Item 1");
    }

    [Fact]
    public void Mnist_files_that_disagree_about_their_length_are_invalid()
    {
        Samples.Zip(ZipPath, ("train-images-idx3-ubyte", Samples.IdxImages(2, 2)), ("train-labels-idx1-ubyte", Samples.IdxLabels(1, 2, 3)));
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.ArchiveInvalid);
        File.Delete(ZipPath);
        Samples.Zip(ZipPath, ("train-images-idx3-ubyte.gz", Samples.Gzip(Samples.IdxImages(2, 3))), ("train-labels-idx1-ubyte", Samples.IdxLabels(1, 2, 3)));
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.ArchiveInvalid);
        File.Delete(ZipPath);
        Samples.Zip(ZipPath, ("train-images-idx3-ubyte", Samples.IdxImages(2, 2)));
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.ArchiveInvalid).Message.ShouldContain("train-labels-idx1-ubyte");
    }

    [Fact]
    public void An_archive_of_other_files_says_which_formats_are_known()
    {
        Samples.Zip(ZipPath, ("table.csv", [1, 2, 3]), ("preview.png", [1]));
        var problem = Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.DatasetFormatUnknown);
        problem.Message.ShouldContain("train/<class>/*.jpg");
    }

    [Fact]
    public void An_empty_archive_and_one_of_empty_folders_are_empty_data_sets()
    {
        Samples.Zip(ZipPath);
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.DatasetEmpty);
        File.Delete(ZipPath);
        Samples.Zip(ZipPath, ("train/cat/", []), ("train/dog/", []));
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.DatasetEmpty);
    }

    [Theory]
    [InlineData("test/cat/1.png", "test/cat/2.png", 1)]
    [InlineData("Test/cat/1.png", "Test/dog/2.png", 2)]
    [InlineData("new/testing/cat/1.png", "new/testing/dog/2.png", 2)]
    public void Images_to_evaluate_on_alone_are_a_test_split(string first, string second, int classes)
    {
        Samples.Zip(ZipPath, (first, Samples.Image(SKColors.Red)), (second, Samples.Image(SKColors.Blue)));
        using var archive = DatasetArchive.Open(ZipPath);
        var card = archive.Inspect();
        card.Splits.ShouldBe(new Dictionary<string, int> { ["test"] = 2 });
        (card.Classes[0].Name, card.Classes.Count).ShouldBe(("cat", classes));
    }

    [Fact]
    public void A_single_class_is_nothing_to_learn()
    {
        Samples.Zip(ZipPath, ("cat/1.png", Samples.Image(SKColors.Red)), ("cat/2.png", Samples.Image(SKColors.Red)));
        using var archive = DatasetArchive.Open(ZipPath);
        Samples.ShouldFail(() => archive.Inspect(), ProblemCodes.DatasetOneClass).Message.ShouldContain("'cat'");
    }
}
