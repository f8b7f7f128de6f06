using QueueMaaS.Contracts;
using QueueMaaS.Training.Auto;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Preparation;

/// <summary>Holds a job against what is known of its data set, so that what cannot fit is refused before it is queued.</summary>
internal static class CardFit
{
    /// <exception cref="ProblemException"><c>specification_invalid</c>, <c>column_not_found</c> or <c>invalid_value</c>.</exception>
    /// <param name="card">What is known of the data set.</param>
    /// <param name="settings">What the job says.</param>
    /// <param name="chosenLater">True: where the job names no network, one that fits is chosen when it runs.</param>
    public static void Require(DatasetCard card, TrainingSettings settings, bool chosenLater = false)
    {
        if (settings.Views is not null && (card.Columns is not null || settings.Task == TrainingTask.Autoencoding))
            throw TrainingPlan.NothingToView();
        if (card.Width > 0)
            RequireImages(card, settings, chosenLater);
        if (card.Columns is { } columns)
            RequireColumns(columns, settings.Data);
    }

    private static void RequireColumns(IReadOnlyList<ColumnCard> columns, DataPreparation data)
    {
        var named = new List<(string Member, string? Column)> { ("data.target", data.Target), ("data.text", data.Text), ("data.split.column", data.Split?.Column) };
        named.AddRange((data.Targets ?? []).Select(c => ("data.targets", (string?)c)));
        named.AddRange((data.Ignore ?? []).Select(c => ("data.ignore", (string?)c)));
        named.AddRange((data.Columns ?? new Dictionary<string, ColumnPreparation>()).Keys.Where(k => k != "*").Select(c => ($"data.columns.{c}", (string?)c)));
        foreach (var (member, column) in named)
        {
            if (column is not null && columns.All(c => c.Name != column))
            {
                throw new ProblemException(
                    ProblemCodes.ColumnNotFound, $"'{member}' names the column '{column}', which the data set does not have. Its columns are {string.Join(", ", columns.Take(30).Select(c => $"'{c.Name}'"))}{(columns.Count > 30 ? ", …" : "")}.", ("column", column), ("path", member));
            }
        }

        // A text among numbers would fail the job: better now, unless the job says that the column holds no numbers.
        foreach (var column in columns.Where(c => c.Fault is not null && data.Ignore?.Contains(c.Name, StringComparer.Ordinal) != true && data.Text != c.Name))
        {
            if (data.Columns?.GetValueOrDefault(column.Name)?.Kind is null or ColumnKind.Number)
                throw new ProblemException(ProblemCodes.ColumnInvalid, $"The column '{column.Name}' holds numbers, but {column.Fault}. Repair the row, put the column into 'data.ignore', or set 'data.columns.{column.Name}.kind' to 'category'.", ("column", column.Name));
        }
    }

    private static void RequireImages(DatasetCard card, TrainingSettings settings, bool chosenLater)
    {
        var image = settings.Data.Image;
        var shape = TensorShape.Image(image?.Channels ?? card.Channels, image?.Height ?? card.Height, image?.Width ?? card.Width);
        if (settings.StartFrom is not null && settings is { Preset: null, Network: null })
            return;
        var outputs = settings.Task == TrainingTask.Autoencoding ? (int)Math.Min(shape.Count, int.MaxValue) : card.Classes.Count;
        var targets = settings.Task == TrainingTask.Autoencoding ? ExampleTargets.OfInputs(outputs) : ExampleTargets.OfClasses([], [.. card.Classes.Select(c => c.Name)]);
        if (chosenLater && settings is { Preset: null, Network: null })
        {
            _ = AutoNetworks.ForImages(shape, targets, card.Rows, settings.Views);
            return;
        }

        var network = (settings.Network ?? ModelPresets.Create(settings.Preset ?? ModelPresets.Default)).For(outputs);
        OutputCheck.Require(settings.Views is { } views ? network.With(views) : network, shape, targets);
    }
}
