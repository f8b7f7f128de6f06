namespace QueueMaaS.Messaging.RabbitMq;

/// <summary>
/// How many submissions one process may hold at a time: as many as are allowed while they are small, since a broker and a database that wait for their disks are kept busy only by many,
/// and fewer where they are large, so that together they stay within some memory. RabbitMQ itself counts messages only.
/// </summary>
/// <param name="most">Never more.</param>
internal sealed class SubmissionWindow(int most)
{
    // Bodies alone; read and kept as text each takes several times as much.
    private const double MostBytes = 64 * 1024 * 1024;

    // Before anything is known; and what even the largest submissions do not go below.
    private const int First = 64;
    private const int Least = 16;

    // The mean is over about so many of the latest.
    private const int Memory = 64;
    private double _mean;
    private int _seen;

    /// <summary>How many there may be.</summary>
    public int Size { get; private set; } = Math.Min(most, First);

    /// <summary>Takes note of a submission's size; true where <see cref="Size"/> has changed. It changes by half or double at least: a change costs two round trips.</summary>
    public bool Observe(int bytes)
    {
        _seen = Math.Min(_seen + 1, Memory);
        _mean += (bytes - _mean) / _seen;
        var wanted = (int)Math.Clamp(MostBytes / Math.Max(_mean, 1), Math.Min(most, Least), most);
        if (_seen < Memory || (wanted > Size / 2 && wanted < Size * 2 && wanted != most) || wanted == Size)
            return false;
        Size = wanted;
        return true;
    }
}
