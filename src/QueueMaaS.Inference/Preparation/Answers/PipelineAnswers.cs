using System.Numerics.Tensors;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation.Images;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation.Answers;

/// <summary>What a pipeline makes of a model's outputs; what it does not make is null.</summary>
internal sealed record PipelineAnswers
{
    public IReadOnlyList<IReadOnlyList<LabelScore>>? Labels { get; private init; }
    public IReadOnlyList<IReadOnlyList<Detection>>? Detections { get; private init; }
    public IReadOnlyList<IReadOnlyList<double>>? Values { get; private init; }
    public IReadOnlyList<IReadOnlyList<double>>? Embeddings { get; private init; }

    /// <summary>True where there is nothing but the tensors to answer with.</summary>
    public bool IsEmpty => Labels is null && Detections is null && Values is null && Embeddings is null;

    /// <summary>Reads the outputs of a request.</summary>
    /// <param name="pipeline">The model's.</param>
    /// <param name="outputs">All outputs, in the model's order.</param>
    /// <param name="topK">Labels per row where the request says.</param>
    /// <param name="placement">Where the request's image lies in the model's input; null for requests of tensors.</param>
    public static PipelineAnswers Read(ModelPipeline? pipeline, IReadOnlyList<TensorBuffer> outputs, int? topK, ImagePlacement? placement)
    {
        if (pipeline is null || outputs.Count == 0)
            return new();
        var settings = pipeline.Postprocess;
        return new()
        {
            Labels = LabelsOf(pipeline) is { } labels ? LabelRanking.Rank(Find(outputs, labels.Output), pipeline.Labels!, labels, topK) : null,
            Detections = settings?.Detections is { } detections && pipeline.Image is { } image
                ? new DetectionReader(detections, pipeline.Labels, image).Read(outputs, placement ?? ImagePlacement.Of(image.Width, image.Height))
                : null,
            Values = settings?.Values is { } values ? ReadValues(Find(outputs, values.Output), values) : null,
            Embeddings = settings?.Embeddings is { } embeddings ? ReadEmbeddings(Find(outputs, embeddings.Output), embeddings) : null,
        };
    }

    /// <summary>How labels are made; null where none are.</summary>
    public static LabelAnswer? LabelsOf(ModelPipeline pipeline) =>
        pipeline.Labels is not { Count: > 0 } ? null
        : pipeline.Postprocess is { } settings ? settings.Labels ?? (settings is { Detections: null, Values: null, Embeddings: null } ? new() : null)
        : new();

    private static double[][] ReadValues(TensorBuffer output, ValueAnswer settings) => Rows(output, (row, numbers) =>
    {
        for (var i = 0; i < numbers.Length; i++)
        {
            numbers[i] = numbers[i] * (settings.Scale ?? 1) + (settings.Offset ?? 0);
            if (settings.Expm1)
                numbers[i] = Math.Exp(numbers[i]) - 1;
            if (!double.IsFinite(numbers[i]))
                throw OutputNumbers.NotFinite(output.Name, row, "it gives no value");
        }
    });

    private static double[][] ReadEmbeddings(TensorBuffer output, EmbeddingAnswer settings) => Rows(output, (row, numbers) =>
    {
        var length = settings.Normalise ? TensorPrimitives.Norm<double>(numbers) : 1;
        if (!double.IsFinite(TensorPrimitives.Sum<double>(numbers)) || !double.IsFinite(length))
            throw OutputNumbers.NotFinite(output.Name, row, "it gives no embedding");
        // An embedding of nothing but zeros has no direction and stays as it is.
        if (length > 0)
            TensorPrimitives.Divide(numbers, length, numbers);
    });

    private static double[][] Rows(TensorBuffer output, RowEditor edit)
    {
        var numbers = OutputNumbers.ToDouble(output);
        var count = output.Shape.Length == 0 ? 1 : (int)output.Shape[0];
        var rows = new double[count][];
        for (var row = 0; row < count; row++)
        {
            var size = numbers.Length / count;
            rows[row] = numbers.AsSpan(row * size, size).ToArray();
            edit(row, rows[row]);
        }

        return rows;
    }

    private delegate void RowEditor(int row, Span<double> numbers);

    private static TensorBuffer Find(IReadOnlyList<TensorBuffer> outputs, string? name) => name is null ? outputs[0] : outputs.First(o => o.Name == name);
}
