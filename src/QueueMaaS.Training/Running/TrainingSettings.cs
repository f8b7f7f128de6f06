using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Running;

/// <summary>
/// A <see cref="TrainingInput"/> with its defaults filled in and its ranges checked.
/// The API makes one before it accepts a job, so nothing here may touch TorchSharp: a process that only answers requests must never load libtorch.
/// </summary>
public sealed record TrainingSettings
{
    /// <summary>The name to register the model under.</summary>
    public required string Model { get; init; }
    /// <summary>The data set's reference.</summary>
    public required string Dataset { get; init; }
    /// <summary>One of <see cref="KnownPresets"/>.</summary>
    public required string Preset { get; init; }
    /// <summary>1 to 1,000.</summary>
    public required int Epochs { get; init; }
    /// <summary>1 to 8,192.</summary>
    public required int BatchSize { get; init; }
    /// <summary>Above 0, at most 10.</summary>
    public required double LearningRate { get; init; }
    /// <summary><c>adam</c> or <c>sgd</c> (momentum 0.9).</summary>
    public required string Optimizer { get; init; }
    /// <summary>Any number.</summary>
    public required long Seed { get; init; }
    /// <summary>0.01 to 0.9.</summary>
    public required double ValidationShare { get; init; }
    /// <summary>At least 2, or null for all.</summary>
    public int? Limit { get; init; }
    /// <summary>0 to 1.</summary>
    public required double MaxCorruptShare { get; init; }
    /// <summary>The alias to set, if any.</summary>
    public string? Deploy { get; init; }

    /// <summary>The presets that can be asked for.</summary>
    public static IReadOnlyList<string> KnownPresets => ModelPresets.Known;

    /// <summary>Fills in defaults and checks every range.</summary>
    /// <exception cref="ProblemException"><c>invalid_value</c> naming the field, its value and its range, or <c>specification_invalid</c> for an unknown preset.</exception>
    public static TrainingSettings From(TrainingInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (!Identifiers.IsName(input.Model))
            throw Invalid("model", input.Model, "1 to 64 of lower-case letters, digits and '- _ .', beginning with a letter or digit");
        if (!VersionReference.TryParse(input.Dataset, out var dataset) || dataset.Alias is not null)
            throw Invalid("dataset", input.Dataset, "'name' or 'name@version', such as 'digits@2'");
        if (input.Deploy is not null && !Identifiers.IsName(input.Deploy))
            throw Invalid("deploy", input.Deploy, "an alias: 1 to 64 of lower-case letters, digits and '- _ .', beginning with a letter or digit");
        var preset = input.Preset ?? ModelPresets.Default;
        if (!ModelPresets.Known.Contains(preset, StringComparer.Ordinal))
            throw ModelPresets.Unknown(preset);

        return new()
        {
            Model = input.Model,
            Dataset = input.Dataset,
            Preset = preset,
            Epochs = InRange("epochs", input.Epochs ?? 10, 1, 1_000),
            BatchSize = InRange("batchSize", input.BatchSize ?? 64, 1, 8_192),
            LearningRate = input.LearningRate is not { } rate ? 0.001
                : rate is > 0 and <= 10 ? rate : throw Invalid("learningRate", rate, "a number above 0 and at most 10"),
            Optimizer = input.Optimizer switch
            {
                null or "adam" => "adam",
                "sgd" => "sgd",
                var other => throw Invalid("optimizer", other, "'adam' or 'sgd'"),
            },
            Seed = input.Seed ?? 0,
            ValidationShare = InRange("validationShare", input.ValidationShare ?? 0.1, 0.01, 0.9),
            Limit = input.Limit is { } limit ? InRange("limit", limit, 2, int.MaxValue) : null,
            MaxCorruptShare = InRange("maxCorruptShare", input.MaxCorruptShare ?? 0.01, 0, 1),
            Deploy = input.Deploy,
        };
    }

    private static T InRange<T>(string field, T value, T least, T most)
        where T : struct, IComparable<T> =>
        // Written so that NaN, which compares below everything, is refused as well.
        value.CompareTo(least) >= 0 && value.CompareTo(most) <= 0 ? value : throw Invalid(field, value, $"from {least} to {most}");

    private static ProblemException Invalid(string field, object? value, string range) => new(
        ProblemCodes.InvalidValue, $"The field '{field}' of the training input is {(value is null ? "missing" : $"'{value}'")}; it has to be {range}.",
        ("field", field), ("value", value is double d && !double.IsFinite(d) ? d.ToString() : value), ("allowed", range));
}
