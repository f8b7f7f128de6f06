using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.Preparation;

/// <summary>What is wrong with a pipeline, and where.</summary>
/// <param name="Path">The place in the JSON, such as <c>pipeline.image.resize</c>.</param>
/// <param name="Message">What is wrong and what to do.</param>
internal sealed record PipelineFault(string Path, string Message)
{
    /// <summary>As it is told to who registers the pipeline.</summary>
    public ProblemException ToException() => new(ProblemCodes.PipelineInvalid, $"`{Path}`: {Message}", ("path", Path));

    /// <summary>Throws where there is a fault.</summary>
    public static void ThrowIfAny(PipelineFault? fault)
    {
        if (fault is not null)
            throw fault.ToException();
    }
}
