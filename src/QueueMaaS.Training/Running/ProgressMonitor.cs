using QueueMaaS.Contracts;
using QueueMaaS.Training.Checkpoints;
using QueueMaaS.Training.Evaluation;

namespace QueueMaaS.Training.Running;

/// <summary>Counts and times a training, and reports it at most twice a second and after every epoch.</summary>
internal sealed class ProgressMonitor
{
    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(500);

    private readonly TimeProvider _time;
    private readonly TrainingSettings _settings;
    private readonly int _trainItems;
    private readonly string _device;
    private readonly Action<TrainingProgress>? _report;
    private readonly List<EpochMetrics> _history = [];
    private readonly long _sessionStart;
    private double _earlierSeconds;
    private long _epochStart;
    private long _validationStart;
    private long _lastReport;
    private long _lastCheckpoint;
    private long _speedSince;
    private int _speedItems;
    private int _epochItems;
    private int _items;
    private double _lossSum;
    private double _right;
    private double _learningRate;
    private double? _itemsPerSecond;
    private TimeSpan _waitedBefore;
    private TimeSpan _stoodBack;
    private long _waitStart;

    public ProgressMonitor(TimeProvider time, TrainingSettings settings, int trainItems, string device, Action<TrainingProgress>? report)
    {
        _time = time;
        _settings = settings;
        _trainItems = trainItems;
        _device = device;
        _report = report;
        Steps = (trainItems + settings.BatchSize - 1) / settings.BatchSize;
        _sessionStart = _lastReport = _lastCheckpoint = _epochStart = time.GetTimestamp();
    }

    /// <summary>The epoch to be trained.</summary>
    public int Epoch { get; private set; } = 1;

    /// <summary>Steps done in it.</summary>
    public int Step { get; private set; }

    /// <summary>Steps in an epoch.</summary>
    public int Steps { get; }

    public long StepsDone { get; private set; }

    /// <summary>How long the trainer has waited for data.</summary>
    public TimeSpan Waited { get; set; }

    public IReadOnlyList<EpochMetrics> History => [.. _history];

    /// <summary>Seconds of training, earlier attempts included.</summary>
    public double TrainedSeconds => _earlierSeconds + _time.GetElapsedTime(_sessionStart).TotalSeconds;

    public TimeSpan SinceCheckpoint => _time.GetElapsedTime(_lastCheckpoint);

    public void CheckpointStored() => _lastCheckpoint = _time.GetTimestamp();

    public void BeginEpoch()
    {
        _speedItems = _epochItems = 0;
        _waitedBefore = Waited;
        _stoodBack = TimeSpan.Zero;
        _epochStart = _speedSince = _time.GetTimestamp();
    }

    public void BeginWait() => _waitStart = _time.GetTimestamp();

    public void EndWait() => _stoodBack += _time.GetElapsedTime(_waitStart);

    public void AfterStep(int items, double loss, double right, double learningRate)
    {
        Step++;
        StepsDone++;
        _items += items;
        _epochItems += items;
        _speedItems += items;
        _lossSum += loss * items;
        _right += right;
        _learningRate = learningRate;
        if (_report is null || _time.GetElapsedTime(_lastReport) < ReportEvery)
            return;
        var seconds = _time.GetElapsedTime(_speedSince).TotalSeconds;
        if (seconds > 0)
            _itemsPerSecond = _speedItems / seconds;
        _speedSince = _time.GetTimestamp();
        _speedItems = 0;
        Report("training");
    }

    public void BeginValidation() => _validationStart = _time.GetTimestamp();

    public void EndEpoch(EvaluationResult evaluation)
    {
        var trainSeconds = _time.GetElapsedTime(_epochStart, _validationStart).TotalSeconds;
        _itemsPerSecond = trainSeconds > 0 ? _epochItems / trainSeconds : null;
        _history.Add(new()
        {
            Epoch = Epoch,
            Loss = _lossSum / Math.Max(1, _items),
            Accuracy = _right / Math.Max(1, _items),
            ValidationLoss = evaluation.Loss,
            ValidationAccuracy = evaluation.Accuracy,
            ValidationError = evaluation.Error,
            ValidationR2 = evaluation.R2,
            LearningRate = _learningRate,
            Seconds = _time.GetElapsedTime(_epochStart).TotalSeconds,
            ImagesPerSecond = _itemsPerSecond ?? 0,
            InputBound = Share(Waited - _waitedBefore, trainSeconds),
        });
        Report("validating");
        Epoch++;
        Step = 0;
        _items = 0;
        _lossSum = _right = 0;
    }

    public TrainerState State(long updates) => new()
    {
        Epoch = Epoch,
        Step = Step,
        Steps = StepsDone,
        Updates = updates,
        LossSum = _lossSum,
        Right = _right,
        Items = _items,
        Seconds = TrainedSeconds,
        History = History,
    };

    public void Resume(TrainerState state)
    {
        (Epoch, Step, StepsDone) = (state.Epoch, state.Step, state.Steps);
        (_lossSum, _right, _items, _earlierSeconds) = (state.LossSum, state.Right, state.Items, state.Seconds);
        _history.AddRange(state.History);
    }

    private void Report(string phase)
    {
        _lastReport = _time.GetTimestamp();
        var left = SecondsLeft();
        var elapsed = _time.GetElapsedTime(_epochStart).TotalSeconds;
        _report?.Invoke(new()
        {
            Phase = phase,
            Epoch = Epoch,
            Epochs = _settings.Epochs,
            Step = Step,
            Steps = Steps,
            Loss = _items > 0 && double.IsFinite(_lossSum) ? _lossSum / _items : null,
            Accuracy = _items > 0 ? _right / _items : null,
            LearningRate = _learningRate,
            ImagesPerSecond = _itemsPerSecond,
            InputBound = Share(Waited - _waitedBefore, elapsed),
            Yielded = _stoodBack > TimeSpan.Zero ? Share(_stoodBack, elapsed) : null,
            SecondsLeft = left,
            ExpectedFinish = left is { } seconds && seconds < 1e8 ? _time.GetUtcNow() + TimeSpan.FromSeconds(seconds) : null,
            Device = _device,
            History = History,
        });
    }

    private double? SecondsLeft()
    {
        if (_itemsPerSecond is not { } speed || speed <= 0)
            return null;
        var validation = _history.Count == 0 ? 0 : _history[^1].Seconds - _trainItems / Math.Max(_history[^1].ImagesPerSecond, 1e-9);
        var thisEpoch = _history.Count == Epoch ? 0 : (_trainItems - _items) / speed + Math.Max(0, validation);
        return thisEpoch + (_settings.Epochs - Epoch) * (_trainItems / speed + Math.Max(0, validation));
    }

    private static double Share(TimeSpan part, double seconds) => seconds > 0 ? Math.Clamp(part.TotalSeconds / seconds, 0, 1) : 0;
}
