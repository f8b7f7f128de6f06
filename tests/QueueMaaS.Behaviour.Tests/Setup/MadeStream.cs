namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>Bytes that look like noise and are made while they are read: a large file that takes up no memory. The same seed gives the same bytes.</summary>
internal sealed class MadeStream(long length, int seed) : Stream
{
    private readonly Random _random = new(seed);
    private long _position;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => _position; set => throw new NotSupportedException(); }

    public override int Read(byte[] buffer, int offset, int count)
    {
        // Always the same steps, so that the bytes do not depend on how they are asked for.
        var step = (int)Math.Min(Math.Min(count, 4096), length - _position);
        _random.NextBytes(buffer.AsSpan(offset, step));
        _position += step;
        return step;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
