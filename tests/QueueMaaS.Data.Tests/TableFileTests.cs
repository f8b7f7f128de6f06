using System.Text;
using Parquet;
using Parquet.Schema;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Tables;

namespace QueueMaaS.Data.Tests;

/// <summary>CSV and Parquet files as tables.</summary>
public sealed class TableFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Records_are_found_with_their_places_whatever_ends_the_lines()
    {
        var records = await RecordsAsync("\uFEFFa,b\r\n1,2\n\n\"x\ny\",\"say \"\"hi\"\"\"\r\n5\" pipe,6");

        records.Select(r => string.Join('|', CsvRecords.Split(r.Bytes, ',')!)).ShouldBe(["a|b", "1|2", "x\ny|say \"hi\"", "5\" pipe|6"]);
        var bytes = Encoding.UTF8.GetBytes("\uFEFFa,b\r\n1,2\n\n\"x\ny\",\"say \"\"hi\"\"\"\r\n5\" pipe,6");
        bytes[(int)records[3].Offset].ShouldBe((byte)'5');
    }

    [Fact]
    public async Task A_reader_can_begin_at_any_record()
    {
        var path = Write("id,v\n1,\"a\nb\"\n2,c\n3,d\n");
        var all = await ReadAsync(path, 0);

        var rest = await ReadAsync(path, all[2].Offset);

        rest.Select(r => Encoding.UTF8.GetString(r.Bytes!)).ShouldBe(["2,c", "3,d"]);
    }

    [Theory]
    [InlineData("1,5", "2,75", true)]
    [InlineData("1", "-2,5e3", true)]
    [InlineData("1,234", "5,678", true)]
    [InlineData("1.234,5", "7", true)]
    [InlineData("red", "1,5", false)]
    [InlineData("1,2,3", "4,5", false)]
    [InlineData("a,b", "c", false)]
    public void Numbers_with_commas_are_a_fault_that_says_what_to_do_and_are_never_read_as_others(string first, string second, bool fault)
    {
        var inferred = new TableField("price", [first, second]).Inferred;
        inferred.Kind.ShouldBe(ColumnKind.Category);
        (inferred.FirstMisfit is not null).ShouldBe(fault);
        if (fault)
            Samples.ShouldFail(() => new TableField("price", [first.Contains(',', StringComparison.Ordinal) ? first : second]).Number(0), ProblemCodes.ColumnInvalid).Message.ShouldContain("decimal=','");
    }

    [Fact]
    public async Task A_quote_that_is_never_closed_is_told_at_the_end_of_the_file()
    {
        var records = await RecordsAsync("a,b\n1,\"open\n2,3\n");

        records.Count.ShouldBe(2);
        records[1].OpenQuote.ShouldBeTrue();
        CsvRecords.Split(records[1].Bytes, ',').ShouldBeNull();
    }

    [Fact]
    public void Fields_that_cannot_be_told_are_no_fields()
    {
        CsvRecords.Split("\"a\"b,c"u8, ',').ShouldBeNull();
        CsvRecords.Split([(byte)'a', 0xFF, (byte)',', (byte)'b'], ',').ShouldBeNull();
        CsvRecords.Split(""u8, ',').ShouldBe([""]);
        CsvRecords.Split(",,"u8, ',').ShouldBe(["", "", ""]);
        CsvRecords.Split("a;\"b;c\""u8, ';').ShouldBe(["a", "b;c"]);
    }

    [Theory]
    [InlineData("a,b,c", ',')]
    [InlineData("a;b;c,d", ';')]
    [InlineData("a\tb\tc", '\t')]
    [InlineData("single", ',')]
    public void The_delimiter_is_the_one_that_the_header_has_most_of(string header, char delimiter) => CsvRecords.DelimiterOf(Encoding.UTF8.GetBytes(header)).ShouldBe(delimiter);

    [Fact]
    public async Task A_record_over_the_limit_is_given_without_its_content_and_the_next_is_whole()
    {
        var records = await RecordsAsync($"a\n{new string('x', CsvRecords.MaxRecordBytes + 10)}\nb\n");

        records[1].Bytes.ShouldBeNull();
        Encoding.UTF8.GetString(records[2].Bytes!).ShouldBe("b");
    }

    [Fact]
    public async Task Parquet_columns_are_read_as_numbers_texts_and_truth_values_with_their_gaps()
    {
        var path = await WriteParquetAsync();
        await using var table = await ParquetTable.OpenAsync(path, CancellationToken.None);

        table.Columns.ShouldBe([("id", ColumnType.Number), ("score", ColumnType.Number), ("name", ColumnType.Text), ("ok", ColumnType.Boolean), ("when", ColumnType.Other)]);
        table.RowGroups.ShouldBe([2L, 1]);
        (await table.ReadNumbersAsync(0, "id", CancellationToken.None)).ShouldBe([1d, 2]);
        (await table.ReadNumbersAsync(0, "score", CancellationToken.None)).ShouldBe([0.5, double.NaN]);
        (await table.ReadTextsAsync(1, "name", CancellationToken.None)).ShouldBe(["c"]);
        (await table.ReadBooleansAsync(0, "ok", CancellationToken.None)).ShouldBe([true, false]);
    }

    [Fact]
    public async Task A_column_that_is_missing_or_of_another_type_is_named()
    {
        await using var table = await ParquetTable.OpenAsync(await WriteParquetAsync(), CancellationToken.None);

        (await FailAsync(table.ReadNumbersAsync(0, "nothing", CancellationToken.None))).Message.ShouldContain("`id`, `score`");
        (await FailAsync(table.ReadNumbersAsync(0, "name", CancellationToken.None))).Message.ShouldContain("holds text values, but numbers");
    }

    [Fact]
    public async Task A_damaged_parquet_file_is_refused()
    {
        var path = await WriteParquetAsync();
        await File.WriteAllBytesAsync(path, (await File.ReadAllBytesAsync(path))[..^20]);

        await FailAsync(ParquetTable.OpenAsync(path, CancellationToken.None));
        await FailAsync(ParquetTable.OpenAsync(Write("no parquet at all"), CancellationToken.None));
    }

    private static async Task<Problem> FailAsync(Task task)
    {
        var problem = (await Should.ThrowAsync<ProblemException>(task)).Problem;
        problem.Code.ShouldBe(ProblemCodes.TableInvalid);
        return problem;
    }

    private async Task<string> WriteParquetAsync()
    {
        var path = _folder.File($"{Guid.NewGuid():n}.parquet");
        var (id, score, name, ok, when) = (new DataField<long>("id"), new DataField<float?>("score"), new DataField<string>("name"), new DataField<bool>("ok"), new DataField<DateTime>("when"));
        await using var file = File.Create(path);
        await using var writer = await ParquetWriter.CreateAsync(new ParquetSchema(id, score, name, ok, when), file);
        foreach (var rows in (int[][])[[0, 1], [2]])
        {
            using var group = writer.CreateRowGroup();
            await group.WriteAsync<long>(id, rows.Select(i => i + 1L).ToArray());
            await group.WriteAsync<float>(score, rows.Select(i => i == 1 ? null : (float?)0.5).ToArray());
            await group.WriteAsync(name, rows.Select(i => $"{(char)('a' + i)}").ToArray());
            await group.WriteAsync<bool>(ok, rows.Select(i => i == 0).ToArray());
            await group.WriteAsync<DateTime>(when, rows.Select(_ => DateTime.UnixEpoch).ToArray());
        }

        return path;
    }

    private string Write(string text)
    {
        var path = _folder.File($"{Guid.NewGuid():n}.csv");
        File.WriteAllText(path, text, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        return path;
    }

    private Task<List<CsvRecord>> RecordsAsync(string text) => ReadAsync(Write(text), 0);

    private static async Task<List<CsvRecord>> ReadAsync(string path, long from)
    {
        var records = new List<CsvRecord>();
        await foreach (var record in CsvRecords.ReadAsync(path, from, ',', CancellationToken.None))
            records.Add(record);
        return records;
    }
}
