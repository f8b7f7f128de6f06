using System.IO.Compression;
using System.Text;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;

namespace QueueMaaS.Data.Tests;

/// <summary>NumPy files; the bytes of the heads are those that NumPy 1.26 writes.</summary>
public sealed class NpyFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Rows_are_read_from_anywhere()
    {
        using var file = NpyFile.Open(Write("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", [.. Enumerable.Range(0, 6).SelectMany(i => BitConverter.GetBytes((float)i))]));

        file.Header.Datatype.ShouldBe(Datatypes.Fp32);
        file.Header.Shape.ShouldBe([3L, 2]);
        var row = new byte[8];
        file.Read(2, row);
        BitConverter.ToSingle(row).ShouldBe(4);
        BitConverter.ToSingle(row, 4).ShouldBe(5);
    }

    [Theory]
    [InlineData("(5,)", new long[] { 5 })]
    [InlineData("()", new long[0])]
    [InlineData("(2, 0)", new long[] { 2, 0 })]
    [InlineData("(2L, 1L)", new long[] { 2, 1 })]
    public void Shapes_are_read_as_numpy_writes_them(string shape, long[] expected)
    {
        using var file = NpyFile.Open(Write($"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}", new byte[16]));

        file.Header.Shape.ShouldBe(expected);
    }

    [Theory]
    [InlineData("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", "Fortran")]
    [InlineData("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 2), }", "big-endian")]
    [InlineData("{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }", "pickled")]
    [InlineData("{'descr': '<U3', 'fortran_order': False, 'shape': (2, 2), }", "U3")]
    [InlineData("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 2), }", "c8")]
    [InlineData("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "structured")]
    [InlineData("{'descr': '<f8', 'fortran_order': False, 'shape': (9, 9), }", "cut short")]
    [InlineData("{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }", "larger than any file")]
    [InlineData("nonsense", "header")]
    public void What_is_not_read_is_refused_with_the_reason(string header, string reason) =>
        Samples.ShouldFail(() => NpyFile.Open(Write(header, new byte[16])), ProblemCodes.ArrayInvalid).Message.ShouldContain(reason);

    [Theory]
    [InlineData(0)]
    [InlineData(8)]
    [InlineData(40)]
    public void A_file_cut_short_in_its_head_is_refused(int length)
    {
        var path = Write("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", new byte[16]);
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..length]);

        Samples.ShouldFail(() => NpyFile.Open(path), ProblemCodes.ArrayInvalid);
    }

    [Theory]
    [InlineData(Datatypes.Fp32, new long[] { 2, 3 })]
    [InlineData(Datatypes.Int64, new long[] { 4 })]
    [InlineData(Datatypes.Bool, new long[] { 1, 1, 1 })]
    public void A_head_is_read_back_as_it_was_written_and_ends_on_a_multiple_of_64(string datatype, long[] shape)
    {
        var head = NpyHeader.Write(datatype, shape);

        var read = NpyHeader.Read(new MemoryStream(head));
        (read.Datatype, read.DataOffset).ShouldBe((datatype, head.Length));
        read.Shape.ShouldBe(shape);
        (head.Length % 64).ShouldBe(0);
    }

    [Fact]
    public void An_array_of_an_archive_is_taken_out_by_its_name()
    {
        var path = _folder.File("a.npz");
        using (var zip = ZipFile.Open(path, ZipArchiveMode.Create))
        {
            foreach (var name in new[] { "x", "y" })
            {
                using var entry = zip.CreateEntry($"{name}.npy").Open();
                entry.Write(Bytes("{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }", [(byte)name[0]]));
            }
        }

        var target = _folder.File("y.npy");
        NpyFile.Unpack(path, "y", target);
        using (var file = NpyFile.Open(target))
        {
            var value = new byte[1];
            file.Read(0, value);
            value[0].ShouldBe((byte)'y');
        }

        Samples.ShouldFail(() => NpyFile.Unpack(path, null, target), ProblemCodes.ArrayInvalid).Message.ShouldContain("'x', 'y'");
        Samples.ShouldFail(() => NpyFile.Unpack(path, "z", target), ProblemCodes.ArrayInvalid);
    }

    private string Write(string header, byte[] data)
    {
        var path = _folder.File($"{Guid.NewGuid():n}.npy");
        File.WriteAllBytes(path, Bytes(header, data));
        return path;
    }

    private static byte[] Bytes(string header, byte[] data)
    {
        var text = Encoding.ASCII.GetBytes(header.PadRight((64 * 3) - 11) + "\n");
        return [0x93, .. "NUMPY"u8, 1, 0, (byte)text.Length, (byte)(text.Length >> 8), .. text, .. data];
    }
}
