using QueueMaaS.Contracts;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Running;

/// <summary>Finds the likely cause of a loss that is no number.</summary>
internal static class Divergence
{
    public static ProblemException Explain(ProgressMonitor monitor, TrainingSettings settings, BuiltModel model, ExampleBatch batch, double loss, int width)
    {
        var (cause, advice) = Cause(settings, model, batch, width);
        return new(
            ProblemCodes.TrainingDiverged,
            $"The loss became {(double.IsNaN(loss) ? "NaN" : "infinite")} in epoch {monitor.Epoch}, step {monitor.Step + 1} of {monitor.Steps}: {advice}",
            ("epoch", monitor.Epoch), ("step", monitor.Step + 1), ("learningRate", settings.LearningRate), ("cause", cause));
    }

    private static (string Cause, string Advice) Cause(TrainingSettings settings, BuiltModel model, ExampleBatch batch, int width)
    {
        for (var i = 0; i < batch.Count * width; i++)
        {
            if (!float.IsFinite(batch.Inputs[i]))
                return ("inputs", $"number {i % width} of an item of this batch is {batch.Inputs[i]}. Remove or repair such items, or scale the column.");
        }

        using var scope = torch.NewDisposeScope();
        var broken = model.Weights.FirstOrDefault(w => WeightValues.Of(w.Tensor).Values.AsSpan() is var values && Any(values));
        return broken is not null
            ? ("learningRate", $"the weights grew without bound ('{broken.Name}' first). Use a smaller 'learningRate' than {settings.LearningRate:G4}, a warm-up, or 'optimization.clipNorm'.")
            : ("outputs", $"the outputs grew without bound. Use a smaller 'learningRate' than {settings.LearningRate:G4}, normalisation layers, or scaled inputs and targets.");
    }

    private static bool Any(ReadOnlySpan<float> values)
    {
        foreach (var value in values)
        {
            if (!float.IsFinite(value))
                return true;
        }

        return false;
    }
}
