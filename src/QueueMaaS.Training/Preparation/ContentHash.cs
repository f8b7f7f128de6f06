using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace QueueMaaS.Training.Preparation;

/// <summary>A 128-bit hash of an item's content (XXH128): to find equal items, not to withstand an enemy.</summary>
internal static class ContentHash
{
    public static UInt128 Of(ReadOnlySpan<byte> bytes) => XxHash128.HashToUInt128(bytes);

    public static UInt128 Of(ReadOnlySpan<float> numbers) => XxHash128.HashToUInt128(MemoryMarshal.AsBytes(numbers));

    public static UInt128 Of(string text) => XxHash128.HashToUInt128(MemoryMarshal.AsBytes(text.AsSpan()));
}
