using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation.Answers;
using QueueMaaS.Inference.Preparation.Images;
using QueueMaaS.Inference.Preparation.Tables;
using QueueMaaS.Inference.Preparation.Texts;

namespace QueueMaaS.Inference.Preparation;

/// <summary>Refuses a pipeline that does not fit its model, when the version is registered rather than at each request.</summary>
public static class PipelineCheck
{
    /// <summary>Holds every part against the signature; the tokenizer's files are not looked at.</summary>
    /// <exception cref="ProblemException"><c>pipeline_invalid</c>, with the place in <c>details.path</c>.</exception>
    public static void Check(ModelSignature signature, ModelPipeline? pipeline)
    {
        ArgumentNullException.ThrowIfNull(signature);
        if (pipeline is null)
            return;
        if (signature.Inputs.Count == 0 && (pipeline.Image is not null || pipeline.Table is not null || pipeline.Text is not null))
            throw new PipelineFault("pipeline", "the model takes no inputs, so there is nothing to prepare.").ToException();
        PipelineFault.ThrowIfAny(pipeline.Image is { } image ? ImagePipelineCheck.Find(signature, image) : null);
        PipelineFault.ThrowIfAny(pipeline.Table is { } table ? TablePipelineCheck.Find(signature, table) : null);
        PipelineFault.ThrowIfAny(pipeline.Text is { } text ? TextPipelineCheck.Find(signature, text) : null);
        PipelineFault.ThrowIfAny(AnswerCheck.Find(signature, pipeline));
    }

    /// <summary>The same, and loads the tokenizer.</summary>
    /// <exception cref="ProblemException"><c>pipeline_invalid</c> or <c>artifact_not_found</c>, with the place in <c>details.path</c>.</exception>
    public static async Task CheckAsync(ModelSignature signature, ModelPipeline? pipeline, TokenizerCache tokenizers, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(tokenizers);
        Check(signature, pipeline);
        if (pipeline?.Text is { } text)
            await tokenizers.GetAsync(text, cancellationToken);
    }
}
