using System.Globalization;
using System.Text;
using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Evaluation.Pages;

/// <summary>The part of the page about how a model was trained: its curves, recipe and data.</summary>
internal static class TrainingSection
{
    private const int MostCharacters = 300;

    public static void Write(StringBuilder html, ModelEvaluation model, EvaluatedTraining training)
    {
        var recipe = training.Recipe is { } named ? $"recipe <b>{EvaluationPage.Text(named)}</b>" : "without a recipe";
        var weights = training.Epoch is { } epoch ? $"; the model has the weights of epoch {epoch}" : "";
        html.Append(CultureInfo.InvariantCulture, $"<h3>How it was trained</h3><p>Job <code>{EvaluationPage.Text(training.Job)}</code> on <b>{EvaluationPage.Text(model.TrainedOn ?? "data that its card does not name")}</b>, {recipe}, {training.History.Count} epochs{weights}.</p>");
        html.Append("<div class=\"charts\">");
        EvaluationCharts.Epochs(html, "Loss", "loss", [("training", [.. training.History.Select(static e => (double?)e.Loss)]), ("validation", [.. training.History.Select(static e => (double?)e.ValidationLoss)])]);
        if (model.Regression is null)
            EvaluationCharts.Epochs(html, "Accuracy", "accuracy", [("training", [.. training.History.Select(static e => (double?)e.Accuracy)]), ("validation", [.. training.History.Select(static e => (double?)e.ValidationAccuracy)])]);
        else
            EvaluationCharts.Epochs(html, "Validation error", "mean absolute error", [("validation", [.. training.History.Select(static e => e.ValidationError)])]);
        EvaluationCharts.Epochs(html, "Step size", "learning rate", [("at the end of the epoch", [.. training.History.Select(static e => e.LearningRate)])]);
        html.Append("</div>");
        if (training.Settings is not { ValueKind: JsonValueKind.Object } settings)
            return;
        html.Append("<h3>What the training was told</h3>");
        EvaluationPage.Table(html, ["setting", "value"], [.. settings.EnumerateObject().Where(static s => s.Value.ValueKind != JsonValueKind.Null).Select(static s => new[] { s.Name, Short(s.Value.GetRawText()) })]);
    }

    private static string Short(string json) => json.Length <= MostCharacters ? json : $"{json[..(MostCharacters - 1)]}…";
}
