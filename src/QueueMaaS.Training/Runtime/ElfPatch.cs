using System.Buffers.Binary;
using System.Text;

namespace QueueMaaS.Training.Runtime;

/// <summary>
/// Lets a 64-bit little-endian shared library that was built with GCC 13 run with an older libstdc++.
/// Such a library asks for one symbol, <c>std::ios_base_library_init()</c> of GLIBCXX_3.4.32, which initialises the standard streams.
/// Older versions do the same in the constructor <c>std::ios_base::Init::Init()</c> of GLIBCXX_3.4, which uses nothing of its object,
/// so the symbol is renamed to that, given its version, and the newer version made optional ("weak") for the loader.
/// </summary>
internal static class ElfPatch
{
    private const string NewSymbol = "_ZSt21ios_base_library_initv";
    private const string OldSymbol = "_ZNSt8ios_base4InitC1Ev";
    private const string NewVersion = "GLIBCXX_3.4.32";
    private const string OldVersion = "GLIBCXX_3.4";

    private const int SectionHeaderBytes = 64;
    private const int SymbolBytes = 24;
    private const ushort WeakFlag = 2;

    /// <summary>Patches <paramref name="library"/> in place.</summary>
    /// <exception cref="InvalidDataException">The file is not such a library, and why.</exception>
    public static void Apply(byte[] library)
    {
        try
        {
            var sections = Sections(library);
            var symbols = Find(sections, ".dynsym");
            var names = Find(sections, ".dynstr");
            var versions = Find(sections, ".gnu.version");
            var needs = Find(sections, ".gnu.version_r");

            var symbol = SymbolIndex(library, symbols, names);
            var (old, newer) = NeededVersions(library, needs, names);
            var nameOffset = (int)BinaryPrimitives.ReadUInt32LittleEndian(library.AsSpan(symbols.Offset + symbol * SymbolBytes));
            RequireUnshared(library, symbols, nameOffset);

            var name = library.AsSpan(names.Offset + nameOffset, NewSymbol.Length);
            name.Clear();
            Encoding.ASCII.GetBytes(OldSymbol, name);
            BinaryPrimitives.WriteUInt16LittleEndian(library.AsSpan(versions.Offset + symbol * 2), old);
            var flags = library.AsSpan(newer + 4);
            BinaryPrimitives.WriteUInt16LittleEndian(flags, (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(flags) | WeakFlag));
        }
        catch (ArgumentOutOfRangeException e)
        {
            throw new InvalidDataException("The library's tables point outside the file: it is damaged.", e);
        }
    }

    private static Dictionary<string, Section> Sections(byte[] file)
    {
        // Magic, 64-bit, little-endian.
        if (file.Length < 64 || !file.AsSpan().StartsWith((ReadOnlySpan<byte>)[0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1]))
            throw new InvalidDataException("The file is not a 64-bit little-endian ELF library.");
        var table = checked((int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(0x28)));
        var count = BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(0x3C));
        var nameSection = BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(0x3E));
        if (count == 0 || nameSection >= count)
            throw new InvalidDataException("The library has no section table.");

        var namesAt = Read(file, table + nameSection * SectionHeaderBytes).Offset;
        var sections = new Dictionary<string, Section>(StringComparer.Ordinal);
        for (var i = 0; i < count; i++)
        {
            var header = table + i * SectionHeaderBytes;
            sections[Text(file, namesAt + (int)BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(header)))] = Read(file, header);
        }

        return sections;
    }

    private static Section Read(byte[] file, int header)
    {
        var offset = BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(header + 0x18));
        var size = BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(header + 0x20));
        return new((int)Math.Min(offset, int.MaxValue), (int)Math.Min(size, int.MaxValue));
    }

    private static Section Find(Dictionary<string, Section> sections, string name) =>
        sections.TryGetValue(name, out var section) ? section : throw new InvalidDataException($"The library has no section '{name}'.");

    private static int SymbolIndex(byte[] file, Section symbols, Section names)
    {
        for (var i = 0; i < symbols.Size / SymbolBytes; i++)
        {
            var name = (int)BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(symbols.Offset + i * SymbolBytes));
            if (name != 0 && Text(file, names.Offset + name) == NewSymbol)
                return i;
        }

        throw new InvalidDataException($"The library does not use the symbol '{NewSymbol}'.");
    }

    /// <summary>Linkers may let one name end inside another: then it must not be overwritten.</summary>
    private static void RequireUnshared(byte[] file, Section symbols, int nameOffset)
    {
        var users = 0;
        for (var i = 0; i < symbols.Size / SymbolBytes; i++)
        {
            var name = (int)BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(symbols.Offset + i * SymbolBytes));
            if (name >= nameOffset && name < nameOffset + NewSymbol.Length)
                users++;
        }

        if (users != 1)
            throw new InvalidDataException($"The name '{NewSymbol}' is shared with another symbol.");
    }

    /// <summary>The index of the old version, and the position of the entry of the new one.</summary>
    private static (ushort Old, int New) NeededVersions(byte[] file, Section needs, Section names)
    {
        ushort? old = null;
        int? newer = null;
        var need = needs.Offset;
        while (true)
        {
            var entries = BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(need + 2));
            var entry = need + (int)BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(need + 8));
            for (var i = 0; i < entries; i++)
            {
                var name = Text(file, names.Offset + (int)BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(entry + 8)));
                if (name == OldVersion)
                    old = BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(entry + 6));
                else if (name == NewVersion)
                    newer = entry;
                entry += (int)BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(entry + 12));
            }

            var next = (int)BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(need + 12));
            if (next <= 0)
                break;
            need += next;
        }

        return old is { } o && newer is { } n
            ? (o, n)
            : throw new InvalidDataException($"The library does not need both '{OldVersion}' and '{NewVersion}'.");
    }

    private static string Text(byte[] file, int offset)
    {
        var rest = file.AsSpan(offset);
        var end = rest.IndexOf((byte)0);
        return Encoding.ASCII.GetString(end < 0 ? rest : rest[..end]);
    }

    private readonly record struct Section(int Offset, int Size);
}
