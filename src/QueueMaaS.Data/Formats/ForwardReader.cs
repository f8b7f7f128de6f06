using System.Buffers;
using System.IO.Compression;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;

namespace QueueMaaS.Data.Formats;

/// <summary>Reads ranges of large entries in ascending order, skipping what lies between, so that a chunk of a binary file costs neither memory for the file nor a seek the compression cannot give.</summary>
internal sealed class ForwardReader(GuardedZip zip) : IDisposable
{
    private ZipArchiveEntry? _entry;
    private Stream? _stream;
    private long _position;

    /// <summary>Opens an entry; a <c>.gz</c> one is unpacked, up to <paramref name="limit"/> bytes.</summary>
    public static Stream Open(ZipArchiveEntry entry, long limit)
    {
        var stream = GuardedZip.Read(entry);
        return entry.FullName.EndsWith(".gz", StringComparison.OrdinalIgnoreCase)
            ? new MeasuredStream(new GZipStream(stream, CompressionMode.Decompress), entry.FullName, limit)
            : stream;
    }

    /// <summary>Fills <paramref name="destination"/> from <paramref name="offset"/> of the unpacked entry.</summary>
    public void Read(ZipArchiveEntry entry, long offset, Span<byte> destination)
    {
        if (_stream is null || entry != _entry || offset < _position)
        {
            _stream?.Dispose();
            _stream = Open(entry, zip.Limits.MaxUnpackedBytes);
            _entry = entry;
            _position = 0;
        }

        try
        {
            Skip(_stream, offset - _position);
            _stream.ReadExactly(destination);
        }
        catch (Exception e) when (e is EndOfStreamException or InvalidDataException)
        {
            throw new ProblemException(Problem.Create(ProblemCodes.ArchiveInvalid, $"The file '{entry.FullName}' is damaged or cut short. Pack it again.", ("entry", entry.FullName)), e);
        }

        _position = offset + destination.Length;
    }

    public void Dispose() => _stream?.Dispose();

    private static void Skip(Stream stream, long count)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
        try
        {
            while (count > 0)
            {
                var read = stream.Read(buffer, 0, (int)Math.Min(count, buffer.Length));
                if (read == 0)
                    throw new EndOfStreamException();
                count -= read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
