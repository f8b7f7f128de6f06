using QueueMaaS.Inference.Preparation.Texts;

namespace QueueMaaS.Inference.Preparation;

/// <summary>What a request needs beside its own JSON, fetched before it is prepared.</summary>
public sealed record RequestFiles
{
    /// <summary>The image file where the request refers to an artifact.</summary>
    public ReadOnlyMemory<byte>? Image { get; init; }

    /// <summary>The tokenizer of the model's text pipeline where the request has texts; null for raw texts.</summary>
    internal LoadedTokenizer? Tokenizer { get; init; }
}
