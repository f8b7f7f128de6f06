using QueueMaaS.Contracts;
using QueueMaaS.Training.Evaluation;

namespace QueueMaaS.Training.Running;

/// <summary>Counts and times a training, and reports it at most twice a second and after every epoch.</summary>
internal sealed class ProgressMonitor(TimeProvider time, int epochs, int trainImages, int batchSize, Action<TrainingProgress>? report)
{
    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(500);

    private readonly List<EpochMetrics> _history = [];
    private long _epochStart;
    private long _validationStart;
    private long _lastReport = time.GetTimestamp();
    private long _speedSince;
    private int _speedImages;
    private int _images;
    private double _lossSum;
    private long _right;
    private double? _imagesPerSecond;

    public int Epoch { get; private set; }

    public int Step { get; private set; }

    public int Steps { get; } = (trainImages + batchSize - 1) / batchSize;

    public long StepsDone { get; private set; }

    public IReadOnlyList<EpochMetrics> History => [.. _history];

    public void BeginEpoch(int epoch)
    {
        Epoch = epoch;
        Step = 0;
        _images = 0;
        _speedImages = 0;
        _lossSum = 0;
        _right = 0;
        _epochStart = _speedSince = time.GetTimestamp();
    }

    public void AfterStep(int images, double loss, long right)
    {
        Step++;
        StepsDone++;
        _images += images;
        _speedImages += images;
        _lossSum += loss * images;
        _right += right;
        if (report is null || time.GetElapsedTime(_lastReport) < ReportEvery)
            return;
        var seconds = time.GetElapsedTime(_speedSince).TotalSeconds;
        if (seconds > 0)
            _imagesPerSecond = _speedImages / seconds;
        _speedSince = time.GetTimestamp();
        _speedImages = 0;
        Report("training");
    }

    public void BeginValidation() => _validationStart = time.GetTimestamp();

    public void EndEpoch(EvaluationResult evaluation)
    {
        var trainSeconds = time.GetElapsedTime(_epochStart, _validationStart).TotalSeconds;
        _imagesPerSecond = trainSeconds > 0 ? _images / trainSeconds : null;
        _history.Add(new()
        {
            Epoch = Epoch,
            Loss = _lossSum / _images,
            Accuracy = (double)_right / _images,
            ValidationLoss = evaluation.Loss,
            ValidationAccuracy = evaluation.Accuracy,
            Seconds = time.GetElapsedTime(_epochStart).TotalSeconds,
            ImagesPerSecond = _imagesPerSecond ?? 0,
        });
        Report("validating");
    }

    private void Report(string phase)
    {
        _lastReport = time.GetTimestamp();
        report?.Invoke(new()
        {
            Phase = phase,
            Epoch = Epoch,
            Epochs = epochs,
            Step = Step,
            Steps = Steps,
            Loss = _images > 0 && double.IsFinite(_lossSum) ? _lossSum / _images : null,
            Accuracy = _images > 0 ? (double)_right / _images : null,
            ImagesPerSecond = _imagesPerSecond,
            SecondsLeft = SecondsLeft(),
            History = History,
        });
    }

    private double? SecondsLeft()
    {
        if (_imagesPerSecond is not { } speed || speed <= 0)
            return null;
        var validation = _history.Count == 0 ? 0 : _history[^1].Seconds - trainImages / Math.Max(_history[^1].ImagesPerSecond, 1e-9);
        var thisEpoch = _history.Count == Epoch ? 0 : (trainImages - _images) / speed + Math.Max(0, validation);
        return thisEpoch + (epochs - Epoch) * (trainImages / speed + Math.Max(0, validation));
    }
}
