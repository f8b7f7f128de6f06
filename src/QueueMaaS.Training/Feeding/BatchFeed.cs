using System.Collections.Concurrent;
using System.Diagnostics;
using QueueMaaS.Contracts;

namespace QueueMaaS.Training.Feeding;

/// <summary>
/// Makes batches on threads of its own while the trainer computes, a few ahead, in a few buffers used again and again: a training makes no garbage that grows with its length.
/// Each of the makers makes every so-manieth batch, so the order is fixed; what is in a batch depends on the order, the seed and the epoch alone.
/// </summary>
internal sealed class BatchFeed(ExampleSet data, int batchSize, long seed = 0, AugmentationSettings? augmentation = null)
{
    private const int BuffersPerMaker = 3;

    private readonly BatchMixer? _mixer = BatchMixer.For(augmentation, data.Targets.Task);
    private long _waited;

    /// <summary>How long the reader has waited for batches so far.</summary>
    public TimeSpan Waited => Stopwatch.GetElapsedTime(0, _waited);

    /// <summary>Reads items in an order.</summary>
    /// <param name="order">Indexes of items.</param>
    /// <param name="skip">Batches at the beginning that are left out.</param>
    /// <param name="epoch">From 1, where the items are varied; 0 where they are to be as in serving.</param>
    /// <param name="cancellationToken">Stops the makers.</param>
    public IEnumerable<ExampleBatch> Read(int[] order, int skip = 0, int epoch = 0, CancellationToken cancellationToken = default)
    {
        var size = Math.Min(batchSize, Math.Max(1, order.Length));
        var batches = (order.Length + size - 1) / size;
        // Preparing without variation is copying: one thread is enough, and leaves the cores to the training.
        var makers = Math.Clamp(epoch > 0 && augmentation is not null ? Environment.ProcessorCount / 2 : 1, 1, 8);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var lanes = Enumerable.Range(0, makers).Select(_ => new Lane(BuffersPerMaker, size, data)).ToArray();
        var making = lanes.Select((lane, m) => Task.Factory.StartNew(
            () => Make(lane, order, size, skip + m, makers, batches, epoch, stop.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();
        try
        {
            for (var b = skip; b < batches; b++)
            {
                var lane = lanes[(b - skip) % makers];
                var started = Stopwatch.GetTimestamp();
                if (!lane.Ready.TryTake(out var batch, Timeout.Infinite, cancellationToken))
                    break;
                _waited += Stopwatch.GetTimestamp() - started;
                yield return batch;
                lane.Free.Add(batch, CancellationToken.None);
            }

            Task.WhenAll(making).GetAwaiter().GetResult();
        }
        finally
        {
            // The reader may leave early; the makers must be gone before their queues are disposed.
            stop.Cancel();
            foreach (var task in making)
                ((IAsyncResult)task).AsyncWaitHandle.WaitOne();
            foreach (var lane in lanes)
                lane.Dispose();
        }
    }

    private void Make(Lane lane, int[] order, int size, int first, int step, int batches, int epoch, CancellationToken stop)
    {
        try
        {
            for (var b = first; b < batches; b += step)
            {
                var batch = lane.Free.Take(stop);
                Fill(batch, order.AsSpan(b * size, Math.Min(size, order.Length - b * size)), epoch, b);
                lane.Ready.Add(batch, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The reader has left.
        }
        finally
        {
            lane.Ready.CompleteAdding();
        }
    }

    private void Fill(ExampleBatch batch, ReadOnlySpan<int> indexes, int epoch, int number)
    {
        var (width, outputs) = (data.Inputs.Width, data.Targets.Outputs);
        batch.Count = indexes.Length;
        batch.InRows = data.Targets.Classes is null;
        for (var i = 0; i < indexes.Length; i++)
        {
            var target = batch.Inputs.AsSpan(i * width, width);
            if (epoch > 0)
                data.Inputs.Vary(indexes[i], seed, epoch, target);
            else
                data.Inputs.Read(indexes[i], target);
            if (data.Targets.Classes is { } classes)
                batch.Classes[i] = classes[indexes[i]];
            else if (data.Targets.Rows is { } rows)
                rows.AsSpan(indexes[i] * outputs, outputs).CopyTo(batch.Rows.AsSpan(i * outputs));
            else
                target.CopyTo(batch.Rows.AsSpan(i * outputs));
        }

        if (epoch > 0)
            _mixer?.Mix(batch, data, seed, epoch, number);
    }

    private sealed class Lane : IDisposable
    {
        public Lane(int buffers, int size, ExampleSet data)
        {
            for (var i = 0; i < buffers; i++)
                Free.Add(new(size, data.Inputs.Width, data.Targets.Outputs), CancellationToken.None);
        }

        public BlockingCollection<ExampleBatch> Free { get; } = [];

        public BlockingCollection<ExampleBatch> Ready { get; } = [];

        public void Dispose()
        {
            Free.Dispose();
            Ready.Dispose();
        }
    }
}
