namespace QueueMaaS.Data.Tables;

/// <summary>
/// A file for a reader that may go round and round in a damaged one: after it has read several times what there is, or asked again and again behind the end, it is told that the file is damaged.
/// </summary>
internal sealed class BoundedReads(Stream file) : Stream
{
    private const int MostTimes = 8;
    private const int MostBehindTheEnd = 1000;
    private const long Small = 1 << 20;

    // A page costs a reader some reads of a byte each, so the number of reads says nothing by itself.
    private long _bytes;
    private int _behind;

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => file.Length;

    public override long Position
    {
        get => file.Position;
        set => file.Position = value;
    }

    /// <summary>Begins to count anew.</summary>
    public void Begin() => (_bytes, _behind) = (0, 0);

    public override int Read(byte[] buffer, int offset, int count) => Count(file.Read(buffer, offset, count), count);

    public override int Read(Span<byte> buffer) => Count(file.Read(buffer), buffer.Length);

    public override int ReadByte()
    {
        var value = file.ReadByte();
        Count(value < 0 ? 0 : 1, 1);
        return value;
    }

    public override async Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => Count(await file.ReadAsync(buffer.AsMemory(offset, count), cancellationToken), count);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => Count(await file.ReadAsync(buffer, cancellationToken), buffer.Length);

    public override long Seek(long offset, SeekOrigin origin) => file.Seek(offset, origin);

    public override void Flush()
    {
    }

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            file.Dispose();
        base.Dispose(disposing);
    }

    private int Count(int read, int wanted)
    {
        _bytes += read;
        if (read == 0 && wanted > 0)
            _behind++;
        return _bytes <= (MostTimes * file.Length) + Small && _behind <= MostBehindTheEnd
            ? read
            : throw new InvalidDataException("It leads its reader round and round.");
    }
}
