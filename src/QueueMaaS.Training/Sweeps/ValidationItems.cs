using QueueMaaS.Contracts;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Sweeps;

/// <summary>
/// What a training's settings say about which items it is validated on. Trials of one sweep must agree on it: figures on different items cannot be compared.
/// (`seed` draws the split as well; for trials that is done by one seed, <see cref="TrialSettings.DataSeed"/>.)
/// </summary>
internal sealed class ValidationItems
{
    private const string AllOthers = "*";
    private const string Apart = ".[";

    private readonly (string Field, string Value)[] _decides;
    private readonly DataPreparation _data;

    private ValidationItems(TrainingSettings settings)
    {
        _data = settings.Data;
        var (data, split) = (settings.Data, settings.Data.Split ?? new());
        // What counts as a duplicate depends on what is looked at, and which of them are left out on what counts.
        var content = data.RemoveDuplicates ? $"{Joined(data.Ignore)} {data.Image?.Width} {data.Image?.Height} {data.Image?.Channels}" : "";
        _decides =
        [
            ("data.split.kind", $"{split.Kind}"), ("data.split.column", $"{split.Column}"), ("validationShare", $"{settings.ValidationShare:R}"), ("limit", $"{settings.Limit}"),
            ("task", $"{settings.Task}"), ("data.target", $"{data.Target}"), ("data.targets", Joined(data.Targets)), ("data.text", $"{data.Text}"), ("data.removeDuplicates", $"{data.RemoveDuplicates} {content}"),
        ];
    }

    public static ValidationItems Of(TrainingSettings settings) => new(settings);

    /// <summary>The field of a training by which two of them part; null where both are validated on the same items.</summary>
    public string? PartsFrom(ValidationItems other)
    {
        foreach (var (mine, its) in _decides.Zip(other._decides))
        {
            if (mine.Value != its.Value)
                return mine.Field;
        }

        var named = new[] { _data, other._data }.SelectMany(d => (d.Columns?.Keys ?? []).Concat(d.Ignore ?? [])).Where(static name => name != AllOthers).Append(AllOthers);
        return named.FirstOrDefault(column => Refuses(_data, column) != Refuses(other._data, column)) is { } parting ? $"data.columns{(parting.AsSpan().ContainsAny(Apart) ? $"[\"{parting}\"]" : $".{parting}")}.missing" : null;
    }

    /// <summary>Whether rows without a value in the column are left out.</summary>
    private static bool Refuses(DataPreparation data, string column) =>
        data.Ignore?.Contains(column, StringComparer.Ordinal) != true && (data.Columns?.GetValueOrDefault(column) ?? data.Columns?.GetValueOrDefault(AllOthers))?.Missing == MissingValue.Refuse;

    private static string Joined(IReadOnlyList<string>? names) => names is null ? "" : string.Join('\u001f', names.Order(StringComparer.Ordinal));
}
