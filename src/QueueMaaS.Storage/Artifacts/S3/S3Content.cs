using Amazon.S3.Model;

namespace QueueMaaS.Storage.Artifacts.S3;

/// <summary>
/// An object as a stream that can be positioned anywhere: what is read is asked for in ranges, which grow while reading goes straight on, so that a few bytes cost a small request and a whole file few
/// large ones. A range that breaks is asked for again from where it broke.
/// </summary>
internal sealed class S3Content(S3Connection connection, string key, string entityTag, long length) : Stream
{
    private const int FirstRange = 256 << 10;
    private const int LargestRange = 32 << 20;
    private Stream? _range;
    private long _position;
    private long _left;
    private long _next = FirstRange;

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => length;

    public override long Position
    {
        get => _position;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            if (value == _position)
                return;
            Close(out _range);
            (_position, _next) = (value, FirstRange);
        }
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty || _position >= length)
            return 0;
        for (var failures = 0; ; failures++)
        {
            try
            {
                _range ??= await AskAsync(Math.Max(_next, buffer.Length), cancellationToken);
                var read = await _range.ReadAsync(buffer[..(int)Math.Min(buffer.Length, _left)], cancellationToken);
                if (read == 0)
                    throw new HttpIOException(HttpRequestError.ResponseEnded, "The storage ended an answer early.");
                (_position, _left) = (_position + read, _left - read);
                if (_left == 0)
                    Close(out _range);
                return read;
            }
            catch (Exception exception) when ((exception is IOException || S3Failures.IsOfStorage(exception)) && !cancellationToken.IsCancellationRequested)
            {
                Close(out _range);
                // What the storage refuses the SDK has tried again already.
                if (failures == connection.Options.Retries || S3Failures.IsAnswer(exception))
                    throw S3Failures.Of(exception);
                await Task.Delay(TimeSpan.FromMilliseconds(100 << Math.Min(failures, 6)), cancellationToken);
            }
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => ReadAsync(buffer, offset, count, CancellationToken.None).GetAwaiter().GetResult();

    public override long Seek(long offset, SeekOrigin origin) => Position = origin switch { SeekOrigin.Begin => offset, SeekOrigin.Current => _position + offset, _ => length + offset };

    public override void Flush()
    {
    }

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            Close(out _range);
        base.Dispose(disposing);
    }

    private async Task<Stream> AskAsync(long bytes, CancellationToken cancellationToken)
    {
        var last = Math.Min(_position + bytes, length) - 1;
        var request = new GetObjectRequest { BucketName = connection.Bucket, Key = key, ByteRange = new ByteRange(_position, last), EtagToMatch = entityTag };
        var response = await connection.Client.GetObjectAsync(request, cancellationToken);
        _left = last + 1 - _position;
        _next = Math.Min(bytes * 4, LargestRange);
        return response.ResponseStream;
    }

    private void Close(out Stream? range)
    {
        _range?.Dispose();
        range = null;
    }
}
