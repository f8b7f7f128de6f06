using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation;

/// <summary>Refuses batching settings outside their ranges.</summary>
public static class BatchingCheck
{
    private const int MaxBatch = 1024;

    /// <exception cref="ProblemException"><c>invalid_value</c>, naming the member and its range.</exception>
    public static void Check(BatchingSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        InRange("maxBatchSize", settings.MaxBatchSize, 1, MaxBatch);
        InRange("maxQueueDelayMs", settings.MaxQueueDelayMs, 0, 60_000);
        foreach (var size in settings.PreferredBatchSizes ?? [])
            InRange("preferredBatchSizes", size, 1, settings.MaxBatchSize);
        InRange("maxQueueRows", settings.MaxQueueRows, 1, 10_000_000);
        InRange("instances", settings.Instances, 1, 64);
        InRange("intraOpThreads", settings.IntraOpThreads, 1, 1024);
        InRange("defaultTimeoutMs", settings.DefaultTimeoutMs, 0.001, 3_600_000);
        InRange("latencyTargetMs", settings.LatencyTargetMs, 0.1, 60_000);
        InRange("cacheSeconds", settings.CacheSeconds, 0, 86_400);
    }

    /// <summary>The same, held against the model's signature too.</summary>
    /// <exception cref="ProblemException"><c>invalid_value</c>, naming the member and what is wrong with it.</exception>
    public static void Check(BatchingSettings settings, ModelSignature signature)
    {
        Check(settings);
        ArgumentNullException.ThrowIfNull(signature);
        if (settings.Ragged is not { } ragged)
            return;
        // JSON's null is let through where a list or an entry of it must be.
        if (ragged.Inputs is not { Count: > 0 } inputs || inputs.Any(static input => input is null))
            throw Ragged("inputs", "names no input; name those with the axis whose length differs.");
        foreach (var input in inputs)
            RequireAxis("inputs", signature.Inputs, input.Name, input.Axis);
        if (inputs.GroupBy(static input => input.Name, StringComparer.Ordinal).FirstOrDefault(static same => same.Count() > 1) is { } twice)
            throw Ragged("inputs", $"names '{twice.Key}' more than once.");
        if (ragged.Outputs?.Any(static output => output is null) == true)
            throw Ragged("outputs", "has an entry that names no output.");
        if (ragged.Mask is { } mask)
        {
            RequireAxis("mask", signature.Inputs, mask.Name, mask.Axis);
            if (ragged.Inputs.Any(i => i.Name == mask.Name))
                throw Ragged("mask", $"is '{mask.Name}', which is among `inputs` too; name it once.");
            if (signature.Inputs.First(i => i.Name == mask.Name).Datatype == Datatypes.Bytes)
                throw Ragged("mask", $"is '{mask.Name}', which takes strings; a mask takes numbers or booleans.");
        }

        foreach (var output in ragged.Outputs ?? [])
            RequireAxis("outputs", signature.Outputs, output.Name, output.Axis);
        var lengths = ragged.Lengths;
        if (lengths is null || lengths.Count is < 1 or > 64 || lengths[0] < 1 || lengths[^1] > 1_000_000 || lengths.Zip(lengths.Skip(1)).Any(pair => pair.First >= pair.Second))
            throw Ragged("lengths", "must be 1 to 64 ascending numbers from 1 to 1,000,000.");
    }

    private static void RequireAxis(string member, IReadOnlyList<TensorSignature> tensors, string name, int axis)
    {
        var tensor = tensors.FirstOrDefault(t => t.Name == name)
            ?? throw Ragged(member, $"names '{name}', but the model has {string.Join(", ", tensors.Select(t => $"'{t.Name}'"))}.");
        if (axis < 1 || axis >= tensor.Shape.Count || tensor.Shape[axis] >= 0)
            throw Ragged(member, $"names axis {axis} of '{name}' {TensorBuffer.Describe(tensor.Shape)}, which is not a free axis after the first.");
    }

    private static ProblemException Ragged(string member, string what) =>
        new(ProblemCodes.InvalidValue, $"`batching.ragged.{member}` {what}", ("path", $"batching.ragged.{member}"));

    private static void InRange(string member, double? value, double least, double most)
    {
        if (value is not { } given || (given >= least && given <= most))
            return;
        throw new ProblemException(ProblemCodes.InvalidValue, $"`batching.{member}` is {given}; it must be from {least} to {most:#,0}.", ("path", $"batching.{member}"));
    }
}
