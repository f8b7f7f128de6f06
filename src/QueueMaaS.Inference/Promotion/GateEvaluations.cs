using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Promotion;

/// <summary>The evaluations that a gate rests on: one for each data set, split and target, however many conditions are about it.</summary>
internal static class GateEvaluations
{
    // The page of a gate's evaluation is for the figures; slices can be had by an evaluation of one's own.
    private static readonly IReadOnlyList<string> NoSlices = [];

    public static IReadOnlyList<EvaluationInput> Of(DeploymentGate gate, string model, string? before)
    {
        var inputs = new Dictionary<(string, string?, string?), EvaluationInput>();
        foreach (var condition in gate.Metrics ?? [])
        {
            if (condition.Dataset is { } dataset)
                inputs[(dataset, condition.Split, condition.Target)] = Input(model, null, dataset, condition.Split, condition.Target);
        }

        // A version that the alias points to already is not compared with itself.
        if (gate.NotWorse is { } notWorse && before is not null && before != model)
            inputs[(notWorse.Dataset, notWorse.Split, notWorse.Target)] = Input(model, before, notWorse.Dataset, notWorse.Split, notWorse.Target);
        return [.. inputs.Values];
    }

    private static EvaluationInput Input(string model, string? before, string dataset, string? split, string? target) =>
        new() { Model = model, CompareWith = before, Dataset = dataset, Split = split, Target = target, Slices = NoSlices };
}
