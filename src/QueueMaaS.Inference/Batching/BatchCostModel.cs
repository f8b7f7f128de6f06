namespace QueueMaaS.Inference.Batching;

/// <summary>
/// What a batch of n rows costs: a·n + b, fitted to the measured batches by least squares with forgetting, so that it follows a machine that grows busy or idle.
/// Neither part is ever negative: a batch of no rows costs nothing less than nothing, and a row more never saves time. Not thread-safe.
/// </summary>
public sealed class BatchCostModel
{
    // With 0.95 the last 20 batches hold two thirds of the weight.
    private const double Memory = 0.95;
    private const int NeededToPredict = 5;

    private double _weight;
    private double _rows;
    private double _seconds;
    private double _rowsRows;
    private double _rowsSeconds;
    private int _seen;

    /// <summary>True once enough batches were measured to go by.</summary>
    public bool IsFitted => _seen >= NeededToPredict;

    /// <summary>Seconds for each row more.</summary>
    public double PerRow { get; private set; }

    /// <summary>Seconds for each batch, however small.</summary>
    public double PerBatch { get; private set; }

    /// <summary>Takes in a measured batch.</summary>
    public void Observe(int rows, TimeSpan took)
    {
        var seconds = took.TotalSeconds;
        _weight = (_weight * Memory) + 1;
        _rows = (_rows * Memory) + rows;
        _seconds = (_seconds * Memory) + seconds;
        _rowsRows = (_rowsRows * Memory) + ((double)rows * rows);
        _rowsSeconds = (_rowsSeconds * Memory) + (rows * seconds);
        _seen++;
        Fit();
    }

    /// <summary>What a batch of <paramref name="rows"/> rows will take.</summary>
    public TimeSpan Predict(int rows) => TimeSpan.FromSeconds(PerBatch + (PerRow * rows));

    /// <summary>The largest batch that takes no longer than <paramref name="budget"/>, from 1 to <paramref name="most"/>.</summary>
    public int LargestWithin(TimeSpan budget, int most)
    {
        if (PerRow <= 0)
            return most;
        return (int)Math.Clamp((budget.TotalSeconds - PerBatch) / PerRow, 1, most);
    }

    private void Fit()
    {
        var spread = (_weight * _rowsRows) - (_rows * _rows);
        // Batches of one size only say what that size costs; all of it is laid to the rows then, which errs towards smaller batches.
        if (spread < 1e-6 * _weight * _rowsRows)
        {
            (PerRow, PerBatch) = (_seconds / _rows, 0);
            return;
        }

        var slope = ((_weight * _rowsSeconds) - (_rows * _seconds)) / spread;
        var rest = (_seconds - (slope * _rows)) / _weight;
        (PerRow, PerBatch) = slope < 0 ? (0, _seconds / _weight) : rest < 0 ? (_rowsSeconds / _rowsRows, 0) : (slope, rest);
    }
}
