using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Evaluation;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Running;

/// <summary>Where a model comes from, as its file says.</summary>
internal static class ModelLineage
{
    public static Dictionary<string, string> Of(TrainingRequest request, TrainingPlan plan, EvaluationResult? final)
    {
        var lineage = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["queuemaas.preset"] = plan.Network.Name,
            ["queuemaas.network"] = JsonSerializer.Serialize(NetworkJson.Write(plan.Network), QueueMaaSJson.Relaxed),
            ["queuemaas.input"] = JsonSerializer.Serialize(plan.Data.Inputs.Shape.Sizes, QueueMaaSJson.Relaxed),
            ["queuemaas.task"] = JsonSerializer.Serialize(plan.Data.Targets.Task, QueueMaaSJson.Relaxed).Trim('"'),
            ["queuemaas.dataset"] = request.Lineage ?? request.Settings.Dataset,
            ["queuemaas.labels"] = JsonSerializer.Serialize(plan.Data.Targets.Names, QueueMaaSJson.Relaxed),
            ["queuemaas.seed"] = $"{request.Settings.Seed}",
            ["queuemaas.epochs"] = $"{request.Settings.Epochs}",
        };
        if (plan.Data.Inputs.Shape.IsTokens)
            lineage["queuemaas.tokens"] = $"{plan.Data.Tokens}";
        foreach (var (name, value) in request.Origin ?? new Dictionary<string, string>())
            lineage[name] = value;
        if (final is not null)
        {
            lineage["queuemaas.validation_loss"] = final.Loss.ToString("R");
            lineage["queuemaas.validation_accuracy"] = final.Accuracy.ToString("R");
        }

        return lineage;
    }
}
