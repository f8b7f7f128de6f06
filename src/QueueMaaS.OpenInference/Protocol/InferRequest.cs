using QueueMaaS.Contracts;
using QueueMaaS.Inference;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.OpenInference.Protocol;

/// <summary>An inference request of the protocol, over HTTP or gRPC, once its tensors are read.</summary>
internal sealed record InferRequest
{
    /// <summary>The client's own word for it, given back with the answer.</summary>
    public string? Id { get; init; }

    /// <summary>In any order.</summary>
    public required IReadOnlyList<TensorBuffer> Inputs { get; init; }

    /// <summary>Null: all, in the model's order.</summary>
    public IReadOnlyList<WantedOutput>? Outputs { get; init; }

    /// <summary>Outputs that do not say so themselves are wanted in binary.</summary>
    public bool BinaryOutputs { get; init; }

    public required RequestParameters Parameters { get; init; }
}

/// <summary>An output that the client wants.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Binary">Whether in binary; null: as the request says.</param>
/// <param name="Classes">The best so many classes as text instead of the numbers; 0: the numbers.</param>
internal sealed record WantedOutput(string Name, bool? Binary, int Classes);

/// <summary>Parameters of a request that change how it is computed.</summary>
/// <param name="Priority">As Triton counts: 1 is the highest, 0 or none the default.</param>
/// <param name="TimeoutMicroseconds">Within which its computation must have begun; 0 or none: no limit of its own.</param>
internal readonly record struct RequestParameters(ulong Priority, ulong TimeoutMicroseconds)
{
    private const ulong LongestTimeout = 3_600_000_000;

    /// <exception cref="ProblemException"><c>invalid_value</c>.</exception>
    public InferenceCall ToCall(DateTimeOffset now)
    {
        if (TimeoutMicroseconds > LongestTimeout)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`parameters.timeout` is {TimeoutMicroseconds}; it is in microseconds, at most {LongestTimeout} (an hour).", ("path", "parameters.timeout"));
        return new()
        {
            Priority = Priority == 0 ? 5 : (int)(10 - Math.Min(Priority, 10)),
            Deadline = TimeoutMicroseconds == 0 ? null : now + TimeSpan.FromMicroseconds(TimeoutMicroseconds),
        };
    }
}
