using System.Globalization;
using System.IO.Compression;
using System.Text;
using Parquet;
using Parquet.Schema;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Demo;

namespace QueueMaaS.Data.Tests;

/// <summary>Tables, texts and arrays: told from their content, read, described, refused.</summary>
public sealed class DatasetFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(",")]
    [InlineData(";")]
    [InlineData("\t")]
    public void Csv_is_read_whatever_its_delimiter_with_its_kinds_found_out(string delimiter)
    {
        var path = Write("t.data", string.Join('\n', "age,name,member,label", "31,\"Smith\",true,yes", "NA,Jones,false,no", "44,,true,yes").Replace(",", delimiter, StringComparison.Ordinal));
        DatasetFile.KindOf(path).ShouldBe(DatasetKind.Table);
        var table = DatasetFile.ReadTable(path);
        table.Columns.Select(c => (c.Name, c.Inferred.Kind, c.Inferred.Missing)).ShouldBe([("age", ColumnKind.Number, 1), ("name", ColumnKind.Category, 1), ("member", ColumnKind.Boolean, 0), ("label", ColumnKind.Category, 0)]);
        table.Columns[1].Values.ShouldBe(["Smith", "Jones", null]);
    }

    [Fact]
    public void Values_that_hold_the_delimiter_quotes_and_line_ends_are_read()
    {
        var table = DatasetFile.ReadTable(Write("t.csv", "text,label\n\"a, \"\"b\"\"\nc\",x\n"));
        table.Columns[0].Values.ShouldBe(["a, \"b\"\nc"]);
    }

    [Fact]
    public void A_card_describes_columns_classes_and_faults()
    {
        var lines = Enumerable.Range(0, 30).Select(i => $"{(i == 4 ? "five" : i.ToString(CultureInfo.InvariantCulture))},{(i % 3 == 0 ? "a" : "b")}").Prepend("x,label");
        var card = DatasetFile.Inspect(Write("t.csv", string.Join('\n', lines)));
        (card.Format, card.Rows).ShouldBe(("csv", 30));
        card.Classes.ShouldBe([new("a", 10), new("b", 20)]);
        card.Balance.ShouldBe(0.5);
        card.Columns![0].Fault.ShouldBe("row 5 has 'five', which is no number");
        (card.Columns[0].Least, card.Columns[0].Greatest).ShouldBe((0, 29));
    }

    [Fact]
    public void Json_lines_are_read_with_lists_and_missing_members()
    {
        var table = DatasetFile.ReadTable(Write("t", "{\"text\":\"a\",\"label\":[\"x\",\"y\"]}\n\n{\"text\":\"b\",\"n\":3}\n"));
        table.Format.ShouldBe("jsonl");
        table.Find("label")!.Values.ShouldBe(["x|y", null]);
        table.Find("n")!.Values.ShouldBe([null, "3"]);
        ShouldFail(() => DatasetFile.ReadTable(Write("t", "{\"a\":1}\n{\"a\":")), ProblemCodes.ArchiveInvalid).Message.ShouldContain("Line 2");
        ShouldFail(() => DatasetFile.ReadTable(Write("t", "{\"a\":{\"b\":1}}")), ProblemCodes.ArchiveInvalid).Message.ShouldContain("'a' is neither");
    }

    [Fact]
    public async Task Parquet_is_read_with_its_missing_values()
    {
        var path = _folder.File("t.parquet");
        var (number, text, whole) = (new DataField<double?>("number"), new DataField<string>("text"), new DataField<long>("whole"));
        await using (var file = File.Create(path))
        await using (var writer = await ParquetWriter.CreateAsync(new ParquetSchema(number, text, whole), file, cancellationToken: TestContext.Current.CancellationToken))
        {
            using var group = writer.CreateRowGroup();
            await group.WriteAsync<double>(number, new double?[] { 0.1, null, 3 }.AsMemory());
            await group.WriteAsync(text, (IReadOnlyCollection<string>)["a", "b", "c"]);
            await group.WriteAsync<long>(whole, new long[] { 1, 2, 1L << 40 }.AsMemory());
        }

        var table = DatasetFile.ReadTable(path);
        table.Format.ShouldBe("parquet");
        table.Find("number")!.Values.ShouldBe(["0.1", null, "3"]);
        table.Find("text")!.Values.ShouldBe(["a", "b", "c"]);
        table.Find("whole")!.Values.ShouldBe(["1", "2", "1099511627776"]);
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..40]);
        ShouldFail(() => DatasetFile.ReadTable(path), ProblemCodes.ArchiveInvalid);
    }

    [Fact]
    public void Files_in_a_zip_are_splits_by_their_names()
    {
        var path = _folder.File("t.zip");
        using (var zip = ZipFile.Open(path, ZipArchiveMode.Create))
        {
            Add(zip, "test.csv", "x,label\n9,a\n"u8.ToArray());
            Add(zip, "train.csv", "label,x\na,1\nb,2\n"u8.ToArray());
        }

        var table = DatasetFile.ReadTable(path);
        table.Splits.ShouldBe(["train", "train", "test"]);
        table.Find("x")!.Values.ShouldBe(["1", "2", "9"]);
    }

    [Fact]
    public void Numpy_arrays_are_read_in_several_types_and_described()
    {
        var path = _folder.File("t.npz");
        using (var zip = ZipFile.Open(path, ZipArchiveMode.Create))
        {
            Add(zip, "x.npy", Npy("<f8", "(3, 2)", MemoryBytes<double>(1, 2, 3, 4, 5, 6.5)));
            Add(zip, "y.npy", Npy("<i8", "(3,)", MemoryBytes<long>(0, 1, 1)));
        }

        DatasetFile.KindOf(path).ShouldBe(DatasetKind.Arrays);
        var data = DatasetFile.ReadArrays(path);
        data.Inputs.Values.ShouldBe([1, 2, 3, 4, 5, 6.5f]);
        data.Targets!.Whole.ShouldBeTrue();
        var card = DatasetFile.Inspect(path);
        (card.Format, card.Rows, card.Shape!.Single()).ShouldBe(("npz", 3, 2));
        card.Classes.ShouldBe([new("0", 1), new("1", 2)]);
        var alone = Write("a.npy", Npy("|u1", "(2, 2, 2)", [1, 2, 3, 4, 5, 6, 7, 255]));
        DatasetFile.ReadArrays(alone).Inputs.Values[^1].ShouldBe(255);
        ShouldFail(() => DatasetFile.ReadArrays(Write("b.npy", Npy("<f8", "(300, 2)", [1, 2]))), ProblemCodes.ArchiveInvalid).Message.ShouldContain("cut short");
        ShouldFail(() => DatasetFile.ReadArrays(Write("c.npy", Npy(">f8", "(1,)", new byte[8]))), ProblemCodes.ArchiveInvalid).Message.ShouldContain("'>f8'");
    }

    [Fact]
    public void Images_are_described_with_pictures()
    {
        var path = _folder.File("shapes.zip");
        ShapesDataset.Write(path, 4, 1, seed: 1);
        var card = DatasetFile.Inspect(path);
        card.Format.ShouldBe("image-folder");
        card.Shape.ShouldBe([3, 32, 32]);
        card.Thumbnails!.Count.ShouldBe(10);
        card.Thumbnails.ShouldAllBe(t => t.Image.StartsWith("data:image/png;base64,iVBOR", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("", "dataset_empty")]
    [InlineData("a,b\n", "dataset_empty")]
    [InlineData("not a table", "dataset_format_unknown")]
    [InlineData("a,a\n1,2\n", "column_invalid")]
    [InlineData("a,b\n1,2,3\n", "archive_invalid")]
    public void A_table_that_is_none_is_refused(string csv, string code) => ShouldFail(() => DatasetFile.ReadTable(Write("t.csv", csv)), code);

    [Theory]
    [InlineData("t.csv", "a,,label\n1,2,x\n", "Column 2 of 3 has no name")]
    [InlineData("t.csv", ",a,label\n0,1,x\n", "Column 1 of 3 has no name")]
    [InlineData("t.csv", "a,,\n1,2,3\n", "Column 2 of 3 has no name")]
    [InlineData("t.jsonl", "{\"a\":1,\"\":2}\n", "Column 2 of 2 has no name")]
    public void A_table_with_a_column_without_a_name_is_refused_with_its_number(string file, string content, string words) =>
        ShouldFail(() => DatasetFile.ReadTable(Write(file, content)), ProblemCodes.ColumnInvalid).Message.ShouldContain(words);

    [Fact]
    public void Bytes_that_are_no_text_are_no_known_format() =>
        ShouldFail(() => DatasetFile.Inspect(Write("t", [0x01, 0xC3, 0x28, 0x41, 0x80, 0x80])), ProblemCodes.DatasetFormatUnknown);

    private static Problem ShouldFail(Action action, string code)
    {
        var problem = Should.Throw<ProblemException>(action).Problem;
        problem.Code.ShouldBe(code, problem.Message);
        return problem;
    }

    private static byte[] Npy(string type, string shape, byte[] content)
    {
        var header = $"{{'descr': '{type}', 'fortran_order': False, 'shape': {shape}, }}".PadRight(117) + "\n";
        return [0x93, .. "NUMPY"u8, 1, 0, (byte)header.Length, 0, .. Encoding.Latin1.GetBytes(header), .. content];
    }

    private static byte[] MemoryBytes<T>(params T[] values) where T : struct => System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()).ToArray();

    private static void Add(ZipArchive zip, string name, byte[] content)
    {
        using var entry = zip.CreateEntry(name).Open();
        entry.Write(content);
    }

    private string Write(string name, string content) => Write(name, Encoding.UTF8.GetBytes(content));

    private string Write(string name, byte[] content)
    {
        File.WriteAllBytes(_folder.File(name), content);
        return _folder.File(name);
    }
}
