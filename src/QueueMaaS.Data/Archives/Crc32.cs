namespace QueueMaaS.Data.Archives;

/// <summary>The checksum of zip files (CRC-32, polynomial 0xEDB88320), which the runtime's zip reader does not check.</summary>
internal struct Crc32
{
    private static readonly uint[] Table = [.. Enumerable.Range(0, 256).Select(i =>
    {
        var value = (uint)i;
        for (var bit = 0; bit < 8; bit++)
            value = (value & 1) != 0 ? (value >> 1) ^ 0xEDB88320u : value >> 1;
        return value;
    })];

    private uint _inverted;

    public readonly uint Value => _inverted;

    public void Append(ReadOnlySpan<byte> bytes)
    {
        var table = Table;
        var state = ~_inverted;
        foreach (var b in bytes)
            state = table[(byte)(state ^ b)] ^ (state >> 8);
        _inverted = ~state;
    }
}
