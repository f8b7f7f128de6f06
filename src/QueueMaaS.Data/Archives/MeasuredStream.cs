namespace QueueMaaS.Data.Archives;

/// <summary>
/// Passes bytes on until more than <paramref name="limit"/> have come, then stops the reader: the check that no declared size can get around.
/// With a <paramref name="checksum"/>, exactly <paramref name="limit"/> bytes are declared, and once they have come they must have it.
/// </summary>
internal sealed class MeasuredStream(Stream inner, string name, long limit, uint? checksum = null) : Stream
{
    private long _read;
    private Crc32 _crc;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => _read; set => throw new NotSupportedException(); }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        var count = inner.Read(buffer);
        _read += count;
        if (_read > limit)
            throw GuardedZip.TooLarge($"Its entry '{name}' holds more than the {limit:N0} bytes it may have.", ("entry", name), ("limit", limit));
        if (checksum is not null && count > 0)
        {
            _crc.Append(buffer[..count]);
            if (_read == limit && _crc.Value != checksum)
                throw new InvalidDataException($"The content of '{name}' does not have its declared checksum.");
        }

        return count;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            inner.Dispose();
        base.Dispose(disposing);
    }
}
