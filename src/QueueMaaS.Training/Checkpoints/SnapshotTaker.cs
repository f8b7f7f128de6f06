using QueueMaaS.Training.Export;
using QueueMaaS.Training.Optimisation;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Checkpoints;

/// <summary>Takes the state of a training, and brings one back.</summary>
internal sealed class SnapshotTaker(
    TrainingPlan plan, BuiltModel model, WeightUpdate update, WeightAverage? average, EarlyStopping stopping, ProgressMonitor monitor, LearningRateSchedule schedule)
{
    /// <summary>Items whose outputs are stored with the state, so that an export of it can be checked without libtorch.</summary>
    private const int ProbeItems = 16;

    public TrainingSnapshot Take()
    {
        var tensors = new Dictionary<string, WeightValues>(StringComparer.Ordinal);
        foreach (var weight in model.Weights)
            tensors[TrainingSnapshot.ModelPart + weight.Name] = WeightValues.Of(weight.Tensor);
        foreach (var (name, tensor) in update.State())
            tensors[TrainingSnapshot.OptimizerPart + name] = WeightValues.Of(tensor);
        foreach (var (name, tensor) in average?.State() ?? [])
            tensors[TrainingSnapshot.AveragePart + name] = WeightValues.Of(tensor);
        foreach (var (name, tensor) in stopping.State())
            tensors[TrainingSnapshot.BestPart + name] = WeightValues.Of(tensor);
        AddProbe(tensors);
        var plateau = schedule.Plateau;
        return new(
            monitor.State(update.Steps) with
            {
                Best = stopping.Best,
                BestEpoch = stopping.BestEpoch,
                StoppedBy = stopping.StoppedBy,
                PlateauFactor = plateau.Factor,
                PlateauBest = plateau.Best,
                PlateauWaited = plateau.Waited,
            },
            tensors);
    }

    public void Restore(TrainingSnapshot snapshot)
    {
        Copy(snapshot, TrainingSnapshot.ModelPart, model.Weights.Select(w => (w.Name, w.Tensor)));
        Copy(snapshot, TrainingSnapshot.OptimizerPart, update.State());
        Copy(snapshot, TrainingSnapshot.AveragePart, average?.State() ?? []);
        update.Resume(snapshot.State.Updates);
        stopping.Resume(snapshot.State.Best, snapshot.State.BestEpoch, snapshot.State.StoppedBy, snapshot.Part(TrainingSnapshot.BestPart));
        schedule.Plateau = snapshot.State.Plateau;
        monitor.Resume(snapshot.State);
    }

    private static void Copy(TrainingSnapshot snapshot, string part, IEnumerable<(string Name, TorchSharp.torch.Tensor Tensor)> targets)
    {
        foreach (var (name, tensor) in targets)
            snapshot.Tensors[part + name].CopyTo(tensor);
    }

    private void AddProbe(Dictionary<string, WeightValues> tensors)
    {
        var inputs = plan.Data.Inputs;
        int[] items = [.. plan.Data.Split.Validation.Take(ProbeItems)];
        var values = ExportParityCheck.Gather(inputs, items);
        average?.Swap();
        var outputs = ExportParityCheck.Trained(model, values, inputs, items.Length);
        average?.Swap();
        tensors[TrainingSnapshot.ProbeInput] = new(inputs.Shape.WithBatch(items.Length), values);
        tensors[TrainingSnapshot.ProbeOutput] = new([items.Length, outputs.Length / Math.Max(1, items.Length)], outputs);
    }
}
