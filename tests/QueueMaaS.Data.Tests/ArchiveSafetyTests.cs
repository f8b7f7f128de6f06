using System.Buffers.Binary;
using System.IO.Compression;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;
using SkiaSharp;

namespace QueueMaaS.Data.Tests;

public sealed class ArchiveSafetyTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private string ZipPath => _folder.File("data.zip");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("../evil.png")]
    [InlineData("train/../../evil.png")]
    [InlineData("/etc/evil.png")]
    [InlineData("C:/evil.png")]
    [InlineData("train\\cat\\evil.png")]
    public void A_path_that_leads_outside_is_refused(string path)
    {
        Samples.Zip(ZipPath, ("train/cat/1.png", Samples.Image(SKColors.Red)), (path, [1]));
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.ArchivePathEscape).Message.ShouldContain(path);
    }

    [Fact]
    public void A_symbolic_link_is_refused()
    {
        using (var zip = ZipFile.Open(ZipPath, ZipArchiveMode.Create))
        {
            var entry = zip.CreateEntry("train/cat/1.png");
            entry.ExternalAttributes = unchecked((int)(0xA1FFu << 16));
            using var stream = entry.Open();
            stream.Write("/etc/passwd"u8);
        }

        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.ArchivePathEscape).Message.ShouldContain("symbolic link");
    }

    [Fact]
    public void Too_many_entries_are_refused()
    {
        Samples.Zip(ZipPath, ("a/1.png", []), ("a/2.png", []), ("b/3.png", []));
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath, new() { MaxEntries = 2 }), ProblemCodes.ArchiveTooLarge);
    }

    [Fact]
    public void A_declared_size_over_the_limit_is_refused()
    {
        Samples.Zip(ZipPath, ("a/1.png", new byte[600]), ("b/1.png", new byte[600]));
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath, new() { MaxUnpackedBytes = 1_000 }), ProblemCodes.ArchiveTooLarge);
    }

    [Fact]
    public void A_bomb_is_refused_by_its_ratio()
    {
        Samples.Zip(ZipPath, ("a/1.png", new byte[8 << 20]), ("b/1.png", Samples.Image(SKColors.Red)));
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.ArchiveTooLarge).Message.ShouldContain("200 times");
    }

    [Fact]
    public void A_gzip_bomb_inside_is_stopped_at_what_its_header_declares()
    {
        // The header declares one image of 4 × 4; four megabytes of zeros follow.
        var images = Samples.IdxImages(1, declared: 1).Concat(new byte[4 << 20]).ToArray();
        Samples.Zip(ZipPath, ("train-images-idx3-ubyte.gz", Samples.Gzip(images)), ("train-labels-idx1-ubyte.gz", Samples.Gzip(Samples.IdxLabels(1))));
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.ArchiveInvalid).Message.ShouldContain("more than");
    }

    [Fact]
    public void An_entry_that_unpacks_to_more_than_it_declares_is_stopped()
    {
        // Both places that tell the size are made to lie: 3,073 bytes declared, 400 records packed.
        var real = Samples.CifarRecords(Enumerable.Repeat((byte)1, 400).ToArray());
        Samples.Zip(ZipPath, ("data_batch_1.bin", real));
        var bytes = File.ReadAllBytes(ZipPath);
        foreach (var (signature, field) in new[] { (0x04034b50u, 22), (0x02014b50u, 24) })
        {
            for (var i = 0; i < bytes.Length - 30; i++)
            {
                if (BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(i)) == signature)
                    BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(i + field), 3073);
            }
        }

        File.WriteAllBytes(ZipPath, bytes);
        // The runtime's reader ends at the declared size; what came until there does not have the checksum of the whole.
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.ArchiveInvalid).Message.ShouldContain("data_batch_1.bin");
    }

    [Fact]
    public void A_changed_byte_in_a_stored_file_is_found_by_its_checksum()
    {
        using (var zip = ZipFile.Open(ZipPath, ZipArchiveMode.Create))
        {
            using var stream = zip.CreateEntry("data_batch_1.bin", CompressionLevel.NoCompression).Open();
            stream.Write(Samples.CifarRecords(0, 1, 2));
        }

        var bytes = File.ReadAllBytes(ZipPath);
        bytes[bytes.Length / 2] ^= 0x10;
        File.WriteAllBytes(ZipPath, bytes);
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.ArchiveInvalid);
    }

    [Fact]
    public void The_count_of_bytes_really_read_stops_a_reader()
    {
        using var stream = new MeasuredStream(new MemoryStream(new byte[100]), "entry", 99);
        Samples.ShouldFail(() => stream.CopyTo(Stream.Null), ProblemCodes.ArchiveTooLarge);
    }

    [Fact]
    public void Bytes_that_are_no_zip_are_refused()
    {
        File.WriteAllText(ZipPath, "this is not a zip");
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.ArchiveInvalid);
    }

    [Fact]
    public void A_zip_that_was_cut_short_is_refused()
    {
        Samples.Zip(ZipPath, ("a/1.png", Samples.Noise(64, 64, 1, SKEncodedImageFormat.Png)), ("b/1.png", Samples.Image(SKColors.Red)));
        var bytes = File.ReadAllBytes(ZipPath);
        File.WriteAllBytes(ZipPath, bytes[..(bytes.Length / 2)]);
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.ArchiveInvalid);
    }

    [Fact]
    public void The_litter_of_desktop_systems_is_no_content()
    {
        Samples.Zip(ZipPath, ("__MACOSX/a/._1.png", [1]), ("a/.DS_Store", [1]), ("b/Thumbs.db", [1]));
        Samples.ShouldFail(() => DatasetArchive.Open(ZipPath), ProblemCodes.DatasetEmpty);
    }
}
