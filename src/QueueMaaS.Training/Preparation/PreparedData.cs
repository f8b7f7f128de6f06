using QueueMaaS.Contracts;
using QueueMaaS.Training.Feeding;

namespace QueueMaaS.Training.Preparation;

/// <summary>A data set made ready: what the trainer reads, and what serving has to do to see the same.</summary>
public sealed record PreparedData
{
    /// <summary>What the trainer reads.</summary>
    public required ExampleSet Examples { get; init; }
    /// <summary>What serving does with a request. A text pipeline's vocabulary is still to be stored: see <see cref="VocabularyPath"/>.</summary>
    public required ModelPipeline Pipeline { get; init; }
    /// <summary>The preset for such data where the job names none.</summary>
    public required string DefaultPreset { get; init; }
    /// <summary>What could not be read.</summary>
    public required CorruptItems Corrupt { get; init; }
    /// <summary>What was found and done.</summary>
    public required DataReport Report { get; init; }
    /// <summary>Texts: the file with the vocabulary that was made.</summary>
    public string? VocabularyPath { get; init; }
}
