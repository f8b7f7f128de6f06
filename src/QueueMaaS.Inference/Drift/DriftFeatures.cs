using QueueMaaS.Contracts;
using QueueMaaS.Inference.Evaluation;
using QueueMaaS.Inference.Preparation.Tables;

namespace QueueMaaS.Inference.Drift;

/// <summary>What is summarised of a version's inputs and outputs. The same version always has the same features in the same order.</summary>
internal static class DriftFeatures
{
    private const int Most = 200;
    private const int MostNumbers = 64;
    private const int MostCategories = 200;

    public static IReadOnlyList<DriftFeature> Of(ServedModel model)
    {
        // What the model says is looked at first: where there are too many columns, the last of those go.
        List<DriftFeature> features = [.. Outputs(model), .. Inputs(model)];
        return [.. features.DistinctBy(static feature => feature.Name).Take(Most)];
    }

    private static IEnumerable<DriftFeature> Outputs(ServedModel model)
    {
        var head = EvaluatedHead.Find($"{model.Name}@{model.Version}", model.Signature, model.Pipeline);
        if (head is { Task: EvaluationTask.Classification, Names.Count: <= MostCategories })
            return [new LikeliestLabel("output label", head.Output, head.Names), new Margin("output margin", head.Output)];
        if (head is { Task: EvaluationTask.Classification })
            return [new Margin("output margin", head.Output)];
        // Outputs that are neither labels nor a number are summarised as they are.
        return head is { Task: EvaluationTask.Regression }
            ? [new NumberAt("output value", head.Output, ofAnswer: true, 0)]
            : model.Signature.Outputs.Index().SelectMany(output => Plain($"output {output.Item.Name}", output.Index, ofAnswer: true, output.Item));
    }

    private static IEnumerable<DriftFeature> Inputs(ServedModel model) => model.Pipeline switch
    {
        { Table: { } table } => Columns(model.Signature, table),
        { Image: { } image } => Enumerable.Range(0, image.Channels).SelectMany(channel => Channel(image, channel)),
        { Text: not null } => model.Signature.Inputs is [{ Datatype: not Datatypes.Bytes }, ..]
            ? [new MomentOf("tokens", 0, ofAnswer: false, RowMoment.Filled), new MomentOf("token rarity", 0, ofAnswer: false, RowMoment.MeanLogarithm)]
            : [],
        _ => model.Signature.Inputs.Index().SelectMany(input => Plain(input.Item.Name, input.Index, ofAnswer: false, input.Item)),
    };

    private static IEnumerable<DriftFeature> Columns(ModelSignature signature, TablePreparation table)
    {
        foreach (var (tensor, input) in signature.Inputs.Index().Where(static input => input.Item.Datatype != Datatypes.Bytes))
        {
            var at = 0;
            foreach (var column in table.Columns.Where(column => TableEncoder.InputOf(signature, table, column) == input.Name))
            {
                var oneHot = column is { Kind: ColumnKind.Category, Encoding: CategoryEncoding.OneHot, Categories: not null };
                yield return column switch
                {
                    { Kind: ColumnKind.Category, Categories: { } known } when oneHot => new OneHotAt(column.Name, tensor, at, known),
                    { Kind: ColumnKind.Category, Categories: { Count: <= MostCategories } known } => new IndexAt(column.Name, tensor, at, known),
                    { Kind: ColumnKind.Boolean } => new IndexAt(column.Name, tensor, at, ["false", "true"]),
                    _ => new NumberAt(column.Name, tensor, ofAnswer: false, at),
                };
                at += oneHot ? column.Categories!.Count : 1;
            }
        }
    }

    private static IEnumerable<DriftFeature> Channel(ImagePreparation image, int channel)
    {
        var last = image.Layout == ImageLayout.Nhwc;
        Func<int, (int, int, int)> part = count => last ? (channel, count / image.Channels, image.Channels) : (channel * (count / image.Channels), count / image.Channels, 1);
        yield return new MomentOf($"channel {channel + 1} mean", 0, ofAnswer: false, RowMoment.Mean, part);
        yield return new MomentOf($"channel {channel + 1} deviation", 0, ofAnswer: false, RowMoment.Deviation, part);
    }

    /// <summary>Few numbers each by itself, many by their mean and deviation.</summary>
    private static IEnumerable<DriftFeature> Plain(string name, int tensor, bool ofAnswer, TensorSignature signature)
    {
        if (signature.Datatype == Datatypes.Bytes)
            return [];
        var width = signature.Shape.Skip(1).Aggregate(1L, static (all, size) => all < 0 || size < 0 ? -1 : all * size);
        return width is >= 1 and <= MostNumbers
            ? Enumerable.Range(0, (int)width).Select(at => new NumberAt($"{name}[{at}]", tensor, ofAnswer, at))
            : [new MomentOf($"{name} mean", tensor, ofAnswer, RowMoment.Mean), new MomentOf($"{name} deviation", tensor, ofAnswer, RowMoment.Deviation)];
    }
}
