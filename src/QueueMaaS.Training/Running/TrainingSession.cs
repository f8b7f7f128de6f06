using QueueMaaS.Contracts;
using QueueMaaS.Training.Checkpoints;
using QueueMaaS.Training.Evaluation;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Optimisation;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Running;

/// <summary>One training while it runs.</summary>
internal sealed class TrainingSession : IDisposable
{
    private readonly TrainingPlan _plan;
    private readonly TrainingSettings _settings;
    private readonly TrainingHooks _hooks;
    private readonly BuiltModel _model;
    private readonly LossFunction _loss;
    private readonly WeightUpdate _update;
    private readonly LearningRateSchedule _schedule;
    private readonly WeightAverage? _average;
    private readonly ProgressMonitor _monitor;
    private readonly EarlyStopping _stopping;
    private readonly SnapshotTaker _snapshots;
    private bool _handedOver;

    public TrainingSession(TrainingPlan plan, TrainingHooks hooks, TimeProvider time)
    {
        _plan = plan;
        _settings = plan.Settings;
        _hooks = hooks;
        var shape = plan.Data.Inputs.Shape;
        // What does not fit is better said before libtorch is loaded.
        OutputCheck.Require(plan.Network, shape, plan.Data.Targets);
        Runtime.TorchRuntime.EnsureLoaded();
        var device = torch.cuda_is_available() ? torch.CUDA : torch.CPU;
        _model = BuiltModel.Build(plan.Network, shape, _settings.Seed, device);
        try
        {
            _model.Half = HalfPrecision.Of(_settings.Precision, device);
            if (plan.FirstWeights is { } first)
                FirstWeights.Take(_model, first);
            if (plan.Resume is null)
                Whitening.Apply(_model, plan.Data, _settings.Seed);
            _loss = LossFunction.Create(_settings.Loss, plan.Data, device);
            _update = WeightUpdate.Create(_settings.Optimizer, _model, _settings.Optimization);
            _monitor = new ProgressMonitor(time, _settings, plan.Data.Split.Train.Length, Device, hooks.Report);
            _schedule = new LearningRateSchedule(_settings.Schedule, _settings.LearningRate, _settings.Epochs, (_monitor.Steps + _settings.Optimization.Accumulate - 1) / _settings.Optimization.Accumulate);
            _average = _settings.Optimization.AverageDecay is { } decay ? new WeightAverage(_model, decay) : null;
            _stopping = new EarlyStopping(_settings.Stopping, _model);
            _snapshots = new SnapshotTaker(_plan, _model, _update, _average, _stopping, _monitor, _schedule);
            if (plan.Resume is { } resume)
                _snapshots.Restore(resume);
        }
        catch
        {
            _model.Dispose();
            throw;
        }
    }

    private string Device => _model.Device.type == DeviceType.CUDA ? "cuda" : "cpu";

    public TrainedModel Run(CancellationToken cancellationToken)
    {
        var feed = new BatchFeed(_plan.Data, _settings.BatchSize, _settings.Seed, _settings.Data.Augmentation);
        // A trial that went on from a state with nothing left to train (it had stopped early) keeps that state as its own: whoever goes on from it looks there.
        if (_settings.UntilEpoch is not null && _plan.Resume is not null && _hooks.Checkpoint is not null && (_monitor.Epoch > _settings.LastEpoch || _stopping.StoppedBy is not null))
            Store();
        while (_monitor.Epoch <= _settings.LastEpoch && _stopping.StoppedBy is null)
        {
            TrainEpoch(feed, cancellationToken);
            EndEpoch(cancellationToken);
        }

        return Finish(cancellationToken);
    }

    public void Dispose()
    {
        _loss.Dispose();
        _update.Dispose();
        _average?.Dispose();
        _stopping.Dispose();
        if (!_handedOver)
            _model.Dispose();
    }

    private void TrainEpoch(BatchFeed feed, CancellationToken cancellationToken)
    {
        var order = EpochOrder.Of(_plan.Data, _settings.Data.Balance == BalanceMode.Sample, _settings.Seed, _monitor.Epoch);
        _monitor.BeginEpoch();
        // The makers are stopped by their reader's end; cancelling is seen between two steps, where the state can be stored.
        foreach (var batch in feed.Read(order, _monitor.Step, _monitor.Epoch, CancellationToken.None))
        {
            if (cancellationToken.IsCancellationRequested)
                Interrupt(cancellationToken);
            Step(batch);
            _monitor.Waited = feed.Waited;
            _hooks.AfterStep?.Invoke(_monitor.StepsDone);
            if (_monitor.Step < _monitor.Steps)
                StoreInBetween();
            StandBack(cancellationToken);
            if (_settings.Stopping.MaxMinutes * 60 < _monitor.TrainedSeconds)
            {
                _stopping.StoppedBy = "timeBudget";
                break;
            }
        }

        cancellationToken.ThrowIfCancellationRequested();
    }

    private void Step(ExampleBatch batch)
    {
        // Everything native made here is freed when the step ends: memory stays flat however long the training is.
        using var scope = torch.NewDisposeScope();
        var accumulate = _settings.Optimization.Accumulate;
        var first = _monitor.Step % accumulate == 0;
        var last = (_monitor.Step + 1) % accumulate == 0 || _monitor.Step + 1 == _monitor.Steps;
        if (first)
            _update.ClearGradients();
        _model.Random.manual_seed(Seeds.For(_settings.Seed, "step", _monitor.StepsDone));
        var input = _plan.Data.Inputs.ToTensor(batch.Inputs.AsSpan(0, batch.Count * _plan.Data.Inputs.Width), batch.Count, _model.Device);
        var output = _model.Train(input);
        var loss = _loss.Compute(output, batch);
        (accumulate == 1 ? loss : loss.mul(torch.tensor(1f / accumulate, device: _model.Device))).backward();
        var value = ModelEvaluator.First(loss);
        if (!double.IsFinite(value))
            throw Divergence.Explain(_monitor, _settings, _model, batch, value, _plan.Data.Inputs.Width);
        var rate = _schedule.At(_update.Steps, _monitor.Epoch);
        if (last)
        {
            _update.Apply(rate);
            _average?.Add(_update.Steps);
        }

        _monitor.AfterStep(batch.Count, value, ModelEvaluator.Right(output, batch, _plan.Data.Targets), rate);
    }

    private void EndEpoch(CancellationToken cancellationToken)
    {
        _monitor.BeginValidation();
        var evaluation = Evaluate(cancellationToken);
        _schedule.EndEpoch(evaluation.Loss);
        _monitor.EndEpoch(evaluation);
        _average?.Swap();
        _stopping.EndEpoch(_monitor.History[^1]);
        _average?.Swap();
        var finished = _monitor.Epoch > _settings.LastEpoch || _stopping.StoppedBy is not null;
        if (_hooks.Checkpoint is not null && (finished || (_monitor.Epoch - 1) % _settings.Checkpoints.EveryEpochs == 0))
            Store();
    }

    private EvaluationResult Evaluate(CancellationToken cancellationToken)
    {
        _average?.Swap();
        // Epoch after epoch one look at each item is enough to watch.
        _model.AllViews = false;
        try
        {
            return ModelEvaluator.Evaluate(_model, _plan.Data, _loss, _plan.Data.Split.Validation, cancellationToken);
        }
        finally
        {
            _model.AllViews = true;
            _average?.Swap();
        }
    }

    private TrainedModel Finish(CancellationToken cancellationToken)
    {
        _average?.Swap();
        var epoch = _monitor.Epoch - 1;
        if (_stopping.RestoreBest())
            epoch = _stopping.BestEpoch;
        var final = ModelEvaluator.Evaluate(_model, _plan.Data, _loss, _plan.Data.Split.Validation, cancellationToken);
        _handedOver = true;
        return new(_model, _monitor.History, final, epoch, _stopping.StoppedBy, Device);
    }

    private void StandBack(CancellationToken cancellationToken)
    {
        if (_hooks.StandBack is not { } standBack || cancellationToken.IsCancellationRequested)
            return;
        _monitor.BeginWait();
        try
        {
            standBack(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The next step's check stores the state and ends the training.
        }

        _monitor.EndWait();
    }

    /// <summary>The state within an epoch, when its time has come. Between accumulated gradients there is none to store.</summary>
    private void StoreInBetween()
    {
        if (_hooks.Checkpoint is not null && _monitor.Step % _settings.Optimization.Accumulate == 0 && _monitor.SinceCheckpoint >= TimeSpan.FromMinutes(_settings.Checkpoints.EveryMinutes))
            Store();
    }

    private void Store()
    {
        _hooks.Checkpoint!(_snapshots.Take());
        _monitor.CheckpointStored();
    }

    private void Interrupt(CancellationToken cancellationToken)
    {
        if (_hooks.Checkpoint is not null && _monitor.StepsDone > 0 && _monitor.Step % _settings.Optimization.Accumulate == 0)
            Store();
        cancellationToken.ThrowIfCancellationRequested();
    }
}
