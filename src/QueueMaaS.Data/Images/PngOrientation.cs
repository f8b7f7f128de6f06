using System.Buffers.Binary;
using SkiaSharp;

namespace QueueMaaS.Data.Images;

/// <summary>Finds the EXIF orientation of a PNG file, in its chunk <c>eXIf</c> (PNG specification, third edition), which the decoder does not look at. What cannot be read says nothing, as in JPEG.</summary>
internal static class PngOrientation
{
    private const int ChunkHead = 8;
    private const int Checksum = 4;
    private const int EntryBytes = 12;
    private const ushort OrientationTag = 0x0112;
    private const ushort ShortType = 3;

    /// <summary>The orientation; null where the file is no PNG or says none.</summary>
    public static SKEncodedOrigin? Find(ReadOnlySpan<byte> file)
    {
        if (!file.StartsWith((ReadOnlySpan<byte>)[0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A]))
            return null;
        for (var rest = file[8..]; rest.Length >= ChunkHead + Checksum;)
        {
            var length = BinaryPrimitives.ReadUInt32BigEndian(rest);
            if (length > rest.Length - ChunkHead - Checksum)
                return null;
            if (rest[4..ChunkHead].SequenceEqual("eXIf"u8))
                return Read(rest.Slice(ChunkHead, (int)length));
            rest = rest[(ChunkHead + (int)length + Checksum)..];
        }

        return null;
    }

    /// <summary>Of the first directory of the TIFF structure that EXIF is.</summary>
    private static SKEncodedOrigin? Read(ReadOnlySpan<byte> exif)
    {
        var little = exif.StartsWith("II*\0"u8);
        if ((!little && !exif.StartsWith("MM\0*"u8)) || exif.Length < 8)
            return null;
        var at = little ? BinaryPrimitives.ReadUInt32LittleEndian(exif[4..]) : BinaryPrimitives.ReadUInt32BigEndian(exif[4..]);
        if (at > exif.Length - 2)
            return null;
        var entries = Short(exif, (int)at, little);
        for (var entry = (int)at + 2; entries > 0 && entry + EntryBytes <= exif.Length; entries--, entry += EntryBytes)
        {
            if (Short(exif, entry, little) == OrientationTag && Short(exif, entry + 2, little) == ShortType)
                return Short(exif, entry + 8, little) is >= 1 and <= 8 and var orientation ? (SKEncodedOrigin)orientation : null;
        }

        return null;
    }

    private static ushort Short(ReadOnlySpan<byte> bytes, int at, bool little) => little ? BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]) : BinaryPrimitives.ReadUInt16BigEndian(bytes[at..]);
}
