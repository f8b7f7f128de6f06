using QueueMaaS.Contracts;
using QueueMaaS.Training.Feeding;
using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace QueueMaaS.Training.Optimisation;

/// <summary>What a training makes small, on a model's outputs as they come.</summary>
internal sealed class LossFunction : IDisposable
{
    private readonly LossSettings _settings;
    private readonly ExampleTargets _targets;
    private readonly torch.Device _device;
    private readonly torch.Tensor? _classWeights;

    private LossFunction(LossSettings settings, LossKind kind, ExampleTargets targets, torch.Device device, float[]? classWeights)
    {
        _settings = settings;
        Kind = kind;
        _targets = targets;
        _device = device;
        _classWeights = classWeights is null ? null : torch.tensor(classWeights).to(device).DetachFromDisposeScope();
    }

    public LossKind Kind { get; }

    /// <summary>The loss for a task.</summary>
    /// <exception cref="ProblemException"><c>invalid_value</c>: the settings do not fit the task or its classes.</exception>
    public static LossFunction Create(LossSettings settings, ExampleSet data, torch.Device device)
    {
        var targets = data.Targets;
        var kind = settings.Kind ?? targets.Task switch
        {
            TrainingTask.Classification => LossKind.CrossEntropy,
            TrainingTask.MultiLabel => LossKind.BinaryCrossEntropy,
            _ => LossKind.MeanSquared,
        };
        var fits = targets.Task switch
        {
            TrainingTask.Classification => kind == LossKind.CrossEntropy,
            TrainingTask.MultiLabel => kind == LossKind.BinaryCrossEntropy,
            _ => kind is LossKind.MeanSquared or LossKind.MeanAbsolute or LossKind.SmoothL1 || (kind == LossKind.BinaryCrossEntropy && targets.Task == TrainingTask.Autoencoding),
        };
        if (!fits)
            throw new ProblemException(ProblemCodes.InvalidValue, $"The loss '{kind}' does not fit the task '{targets.Task}'. Leave 'loss.kind' out, or name one that does.", ("field", "loss.kind"), ("value", kind), ("task", targets.Task));
        if (targets.Task != TrainingTask.Classification && (settings.LabelSmoothing != 0 || settings.ClassWeights is not null || settings.Balanced))
            throw new ProblemException(ProblemCodes.InvalidValue, $"'loss.labelSmoothing', 'loss.classWeights' and 'loss.balanced' are for classification; the task is '{targets.Task}'.", ("field", "loss"), ("task", targets.Task));
        return new(settings, kind, targets, device, ClassWeights(settings, data));
    }

    /// <summary>The mean loss of a batch.</summary>
    public torch.Tensor Compute(torch.Tensor output, ExampleBatch batch)
    {
        if (Kind == LossKind.CrossEntropy)
        {
            var target = batch.InRows ? batch.RowTensor(_targets.Outputs, _device) : batch.ClassTensor(_device);
            return cross_entropy(output, target, _classWeights, label_smoothing: _settings.LabelSmoothing);
        }

        var rows = batch.RowTensor(_targets.Outputs, _device);
        var flat = output.flatten(1);
        return Kind switch
        {
            LossKind.BinaryCrossEntropy => binary_cross_entropy_with_logits(flat, rows),
            LossKind.MeanAbsolute => flat.sub(rows).abs().mean(),
            LossKind.SmoothL1 => smooth_l1_loss(flat, rows, beta: _settings.Beta),
            _ => mse_loss(flat, rows),
        };
    }

    public void Dispose() => _classWeights?.Dispose();

    private static float[]? ClassWeights(LossSettings settings, ExampleSet data)
    {
        var names = data.Targets.Names;
        if (settings.ClassWeights is { } given)
        {
            if (given.Keys.FirstOrDefault(k => !names.Contains(k, StringComparer.Ordinal)) is { } unknown)
                throw new ProblemException(ProblemCodes.InvalidValue, $"'loss.classWeights' names the class '{unknown}', which the data does not have. Its classes are {string.Join(", ", names.Take(20))}.", ("field", "loss.classWeights"), ("class", unknown));
            return [.. names.Select(n => (float)given.GetValueOrDefault(n, 1))];
        }

        if (!settings.Balanced)
            return null;
        var counts = new int[names.Count];
        foreach (var i in data.Split.Train)
            counts[data.Targets.Classes![i]]++;
        return [.. counts.Select(c => c == 0 ? 0 : (float)data.Split.Train.Length / (names.Count * c))];
    }
}
