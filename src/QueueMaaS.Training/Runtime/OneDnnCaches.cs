using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;

namespace QueueMaaS.Training.Runtime;

/// <summary>
/// Keeps libtorch's oneDNN from computing wrongly on AMD processors whose virtual machine hides the cache topology (CPUID leaf 8000001D is empty, as
/// without QEMU's <c>topoext</c>). oneDNN 3.7 takes an empty leaf for caches of one byte each, and its blocked matrix kernels then give wrong sums:
/// an LSTM's outputs were off by 0.67. It has no setting for the sizes, so its record of them, which it reads whenever it makes a kernel, is filled
/// with those that it assumes itself of a processor it does not know. Where the record is not as expected, oneDNN is switched off: slower, and right.
/// </summary>
internal static unsafe class OneDnnCaches
{
    /// <summary>oneDNN's function that gives its record of the processor, made at the first call; not exported, but named in the table of all symbols.</summary>
    private const string Processor = "_ZN4dnnl4impl3cpu3x643cpuEv";
    private const string Context = "_ZN2at13globalContextEv";
    private const string Switch = "_ZN2at7Context20setUserEnabledMkldnnEb";

    private const uint TopologyLeaf = 0x8000001D;

    /// <summary>Where the record (Xbyak's class Cpu) has ten sizes in bytes, then ten counts of cores that share a cache, then the count of levels.</summary>
    internal const int SizesAt = 0x1C;
    private const int MaxLevels = 10;
    private const int Levels = 3;

    /// <summary>Below any cache that was ever built, above what an empty leaf is taken for.</summary>
    private const uint Implausible = 1024;

    /// <summary>Level 1, 2 and 3 for one core: what oneDNN assumes of a processor that says nothing.</summary>
    private static ReadOnlySpan<uint> Assumed => [32 * 1024, 512 * 1024, 1024 * 1024];

    /// <summary>True where this processor is AMD's and its level 1 cache has no size.</summary>
    public static bool AreHidden { get; } = IsAmd() && Size(X86Base.CpuId(unchecked((int)TopologyLeaf), 0)) < Implausible;

    /// <summary>Gives the sizes to the libtorch that is loaded from <paramref name="path"/>, or switches its oneDNN off.</summary>
    public static void Supply(nint library, string path)
    {
        var record = Record(library, path);
        if (record is null)
        {
            SwitchOff(library);
            return;
        }

        var sizes = new Span<uint>(record + SizesAt, Levels);
        for (var level = 0; level < Levels; level++)
        {
            if (sizes[level] < Implausible)
                sizes[level] = Assumed[level];
        }
    }

    /// <summary>oneDNN's record of the processor; null where the library's has another form.</summary>
    internal static byte* Record(nint library, string path)
    {
        if (FindSymbols(path, [Processor, Context]) is not [var processor, var context])
            return null;
        // The two lie in one library, so their distance in memory is that in the file.
        var get = (delegate* unmanaged<byte*>)(NativeLibrary.GetExport(library, Context) + (processor - context));
        var record = get();
        var shared = new ReadOnlySpan<uint>(record + SizesAt + MaxLevels * sizeof(uint), MaxLevels);
        var levels = *(uint*)(record + SizesAt + 2 * MaxLevels * sizeof(uint));
        var unused = new ReadOnlySpan<uint>(record + SizesAt, MaxLevels)[Levels..];
        return levels == Levels && !shared[..Levels].Contains(0u) && !unused.ContainsAnyExcept(0u) && !shared[Levels..].ContainsAnyExcept(0u) ? record : null;
    }

    private static void SwitchOff(nint library)
    {
        var context = ((delegate* unmanaged<nint>)NativeLibrary.GetExport(library, Context))();
        ((delegate* unmanaged<nint, byte, void>)NativeLibrary.GetExport(library, Switch))(context, 0);
    }

    /// <summary>AMD64 Architecture Programmer's Manual, volume 3, CPUID Fn8000_001D: each field holds its count less one.</summary>
    internal static long Size((int Eax, int Ebx, int Ecx, int Edx) leaf)
    {
        var ebx = (uint)leaf.Ebx;
        return ((ebx >> 22) + 1L) * (((ebx >> 12) & 0x3FF) + 1) * ((ebx & 0xFFF) + 1) * ((uint)leaf.Ecx + 1L);
    }

    private static bool IsAmd() => X86Base.IsSupported && X86Base.CpuId(0, 0) is (_, 0x68747541, 0x444D4163, 0x69746E65);

    /// <summary>The addresses of functions in the table of all symbols (.symtab) of a 64-bit library; null where one is missing.</summary>
    private static long[]? FindSymbols(string path, string[] names)
    {
        using var file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        using var view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        try
        {
            return FindSymbols(start, view.Capacity, names);
        }
        finally
        {
            view.SafeMemoryMappedViewHandle.ReleasePointer();
        }
    }

    private static long[]? FindSymbols(byte* file, long length, string[] names)
    {
        const int header = 64, symbol = 24;
        const uint symbolTable = 2;
        var sections = *(long*)(file + 0x28);
        var count = *(ushort*)(file + 0x3C);
        if (sections <= 0 || sections + count * (long)header > length)
            return null;
        for (var i = 0; i < count; i++)
        {
            var section = file + sections + i * header;
            if (*(uint*)(section + 4) != symbolTable)
                continue;
            var link = *(uint*)(section + 0x28);
            if (link >= count || Inside(section, length) is not { } symbols || Inside(file + sections + link * (long)header, length) is not { } strings)
                return null;
            var table = new ReadOnlySpan<byte>(file + symbols.Offset, symbols.Size);
            var texts = new ReadOnlySpan<byte>(file + strings.Offset, strings.Size);
            var found = new long[names.Length];
            for (var n = 0; n < names.Length; n++)
            {
                found[n] = Find(table, NameAt(texts, names[n]));
                if (found[n] == 0)
                    return null;
            }

            return found;
        }

        return null;

        static long Find(ReadOnlySpan<byte> table, int name)
        {
            for (var at = 0; name > 0 && at + symbol <= table.Length; at += symbol)
            {
                if (BinaryPrimitives.ReadInt32LittleEndian(table[at..]) == name)
                    return BinaryPrimitives.ReadInt64LittleEndian(table[(at + 8)..]);
            }

            return 0;
        }
    }

    private static (long Offset, int Size)? Inside(byte* section, long length)
    {
        var (offset, size) = (*(long*)(section + 0x18), *(long*)(section + 0x20));
        return offset >= 0 && size is >= 0 and <= int.MaxValue && offset + size <= length ? (offset, (int)size) : null;
    }

    private static int NameAt(ReadOnlySpan<byte> strings, string name)
    {
        // With the zero before it and behind it: not the end of a longer name, and not the start of one.
        var at = strings.IndexOf(Encoding.ASCII.GetBytes($"\0{name}\0"));
        return at < 0 ? 0 : at + 1;
    }
}
