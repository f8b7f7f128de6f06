namespace QueueMaaS.Inference.Evaluation;

/// <summary>What is true of an item.</summary>
/// <param name="Text">One label, or a number; null where it is not known.</param>
/// <param name="Labels">Several labels at once: those that it has; null where that is not asked for, or not known.</param>
internal readonly record struct ItemTruth(string? Text, IReadOnlyList<string>? Labels)
{
    /// <summary>What stands between several labels in one text.</summary>
    public const char Between = '|';

    /// <summary>Reads a text for a task.</summary>
    public static ItemTruth Of(string? text, bool several) =>
        several ? new(null, text?.Split(Between, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? []) : new(text, null);
}
