using QueueMaaS.Onnx;
using QueueMaaS.Training.Export;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Specification;
using QueueMaaS.Training.Specification.Layers;
using TorchSharp;

namespace QueueMaaS.Training.Tests;

/// <summary>Every layer, alone and in the presets, says the same in ONNX Runtime as in TorchSharp, with weights and running figures that are not their first ones.</summary>
public sealed class LayerParityTests : IDisposable
{
    private const int Items = 70;
    private static readonly Dictionary<string, string> Lineage = new(StringComparer.Ordinal) { ["queuemaas.preset"] = "test" };
    private static readonly TensorShape Image = TensorShape.Image(4, 14, 11);
    private static readonly TensorShape Steps = TensorShape.Sequence(9, 8);
    private static readonly TensorShape Row = TensorShape.Row(12);
    private static readonly TensorShape Tokens = TensorShape.Tokens(9);

    private readonly TempFolder _folder = new();

    public static TheoryData<string> SingleLayers => [.. Singles.Keys];

    public static TheoryData<string, int[], bool> Presets => new()
    {
        { "cnn-small", [3, 32, 32], false },
        { "cnn-small", [1, 28, 28], false },
        { "cnn-small", [3, 20, 45], false },
        { "resnet-18", [3, 32, 32], false },
        { "resnet-18", [1, 20, 28], false },
        { "mobilenet-small", [3, 32, 32], false },
        { "airbench", [3, 32, 32], false },
        { "airbench", [1, 9, 12], false },
        { "mlp", [17], false },
        { "mlp", [3, 8, 8], false },
        { "logistic", [17], false },
        { "text-cnn", [20], true },
        { "transformer-small", [20], true },
        { "lstm", [20], true },
    };

    private static Dictionary<string, (TensorShape Input, LayerSpecification[] Layers)> Singles { get; } = new(StringComparer.Ordinal)
    {
        ["linear"] = (Row, [new LinearLayer(7)]),
        ["linear without bias"] = (Row, [new LinearLayer(7, Bias: false)]),
        ["linear over a sequence"] = (Steps, [new LinearLayer(5)]),
        ["linear over a sequence without bias"] = (Steps, [new LinearLayer(5, Bias: false)]),
        ["conv2d"] = (Image, [new Conv2dLayer(5, 3)]),
        ["conv2d, stride, padding, no bias"] = (Image, [new Conv2dLayer(4, 5, Stride: 2, Padding: 2, Bias: false)]),
        ["conv2d, groups"] = (Image, [new Conv2dLayer(6, 3, Groups: 2)]),
        ["conv2d, depthwise"] = (Image, [new Conv2dLayer(4, 3, Padding: 1, Groups: 4)]),
        ["conv2d, dilation"] = (Image, [new Conv2dLayer(4, 3, Dilation: 2)]),
        ["conv1d"] = (Steps, [new Conv1dLayer(5, 3)]),
        ["conv1d, stride, padding, groups, dilation"] = (TensorShape.Sequence(6, 17), [new Conv1dLayer(4, 3, 2, 2, 2, false, 2)]),
        ["convTranspose2d"] = (Image, [new ConvTranspose2dLayer(3, 3)]),
        ["convTranspose2d, stride, padding, output padding"] = (Image, [new ConvTranspose2dLayer(3, 3, 2, 1, 1, false)]),
        ["maxPool2d"] = (Image, [new MaxPool2dLayer(2)]),
        ["maxPool2d that leaves a rest"] = (Image, [new MaxPool2dLayer(4)]),
        ["maxPool2d, stride, padding"] = (Image, [new MaxPool2dLayer(3, 2, 1)]),
        ["maxPool1d"] = (Steps, [new MaxPool1dLayer(3, 2, 1)]),
        ["avgPool2d"] = (Image, [new AvgPool2dLayer(2)]),
        ["avgPool2d, stride, padding"] = (Image, [new AvgPool2dLayer(3, 2, 1)]),
        ["adaptivePool2d"] = (Image, [new AdaptivePool2dLayer()]),
        ["adaptivePool2d, sizes that do not divide"] = (Image, [new AdaptivePool2dLayer(3)]),
        ["adaptivePool2d, max"] = (TensorShape.Image(4, 12, 8), [new AdaptivePool2dLayer(4, PoolMode.Max)]),
        ["batchNorm on images"] = (Image, [new BatchNormLayer()]),
        ["batchNorm on rows"] = (Row, [new BatchNormLayer()]),
        ["batchNorm on sequences, without scale and bias"] = (Steps, [new BatchNormLayer(Scale: false, Bias: false)]),
        ["layerNorm on rows"] = (Row, [new LayerNormLayer()]),
        ["layerNorm on sequences"] = (Steps, [new LayerNormLayer(1e-3)]),
        ["groupNorm on images"] = (Image, [new GroupNormLayer(2)]),
        ["groupNorm on sequences"] = (TensorShape.Sequence(6, 7), [new GroupNormLayer(3)]),
        ["views, mirrored and shifted"] = (Image, [new ViewsLayer(true, 2), new Conv2dLayer(3, 3), new AdaptivePool2dLayer(), new FlattenLayer(), new ViewAverageLayer(true, 2)]),
        ["views, mirrored"] = (Image, [new ViewsLayer(true), new Conv2dLayer(3, 3), new ViewAverageLayer(true)]),
        ["views, shifted"] = (Image, [new ViewsLayer(Shift: 1), new Conv2dLayer(3, 3), new FlattenLayer(), new LinearLayer(2), new ViewAverageLayer(Shift: 1)]),
        ["views of nothing else"] = (Image, [new ViewsLayer(), new FlattenLayer(), new ViewAverageLayer()]),
        ["dropout"] = (Row, [new DropoutLayer(0.4), new LinearLayer(3)]),
        ["embedding"] = (Tokens, [new EmbeddingLayer(6, 30)]),
        ["embedding with padding"] = (Tokens, [new EmbeddingLayer(6, 30, Padding: 0)]),
        ["position"] = (Steps, [new PositionLayer()]),
        ["tokenMask"] = (Tokens, [new TokenMaskLayer(), new LinearLayer(3)]),
        ["sequencePool, average"] = (Steps, [new SequencePoolLayer()]),
        ["sequencePool, max"] = (Steps, [new SequencePoolLayer(PoolMode.Max)]),
        ["sequencePool, first"] = (Steps, [new SequencePoolLayer(PoolMode.First)]),
        ["sequencePool, last"] = (Steps, [new SequencePoolLayer(PoolMode.Last)]),
        ["lstm"] = (Steps, [new LstmLayer(6)]),
        ["lstm, bidirectional"] = (Steps, [new LstmLayer(6, Bidirectional: true)]),
        ["lstm, last, bidirectional"] = (Steps, [new LstmLayer(6, true, RecurrentOutput.Last)]),
        ["gru"] = (Steps, [new GruLayer(6)]),
        ["gru, bidirectional"] = (Steps, [new GruLayer(6, Bidirectional: true)]),
        ["gru, last"] = (Steps, [new GruLayer(6, false, RecurrentOutput.Last)]),
        ["attention"] = (Steps, [new AttentionLayer(2)]),
        ["transformerEncoder"] = (Steps, [new TransformerEncoderLayer(4)]),
        ["transformerEncoder, relu"] = (Steps, [new TransformerEncoderLayer(2, 12, 0, Activation.Relu)]),
        ["flatten"] = (Image, [new FlattenLayer()]),
        ["reshape"] = (Image, [new ReshapeLayer([28, -1])]),
        ["transpose"] = (Steps, [new TransposeLayer()]),
        ["scale"] = (Row, [new ScaleLayer(0.111)]),
        ["softmax"] = (Row, [new SoftmaxLayer()]),
        ["softmax, log"] = (Steps, [new SoftmaxLayer(Log: true)]),
        ["leakyRelu, slope"] = (Row, [new ActivationLayer(Activation.LeakyRelu, 0.3)]),
        ["elu, slope"] = (Row, [new ActivationLayer(Activation.Elu, 0.7)]),
    };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(SingleLayers))]
    public void A_layer_says_the_same_in_onnx_as_in_torch(string name)
    {
        var (input, layers) = Singles[name];
        Compare(ModelSpecification.Sequential(name, layers), input);
    }

    [Fact]
    public void Every_activation_says_the_same_in_onnx_as_in_torch()
    {
        foreach (var function in Enum.GetValues<Activation>())
            Compare(ModelSpecification.Sequential($"{function}", new ActivationLayer(function)), Image);
    }

    [Fact]
    public void Branches_that_meet_say_the_same_in_onnx_as_in_torch()
    {
        Compare(
            new ModelSpecification("residual",
            [
                new("a", new Conv2dLayer(4, 3, Padding: 1), ["input"]),
                new("b", new AddLayer(), ["a", "input"]),
                new("gate", new AdaptivePool2dLayer(), ["b"]),
                new("sigmoid", new ActivationLayer(Activation.Sigmoid), ["gate"]),
                new("gated", new MultiplyLayer(), ["b", "sigmoid"]),
                new("joined", new ConcatLayer(), ["gated", "input", "a"]),
            ]),
            Image);
    }

    [Fact]
    public void Masks_say_the_same_in_onnx_as_in_torch()
    {
        foreach (var pool in (PoolMode[])[PoolMode.Average, PoolMode.Max])
        {
            Compare(
                new ModelSpecification("masked",
                [
                    new("mask", new TokenMaskLayer(), ["input"]),
                    new("embedding", new EmbeddingLayer(8, 30, 0), ["input"]),
                    new("attention", new AttentionLayer(2), ["embedding", "mask"]),
                    new("block", new TransformerEncoderLayer(2), ["attention", "mask"]),
                    new("pool", new SequencePoolLayer(pool), ["block", "mask"]),
                ]),
                Tokens);
        }
    }

    [Fact]
    public void Padding_changes_nothing_where_a_mask_is_given()
    {
        var specification = ModelPresets.Create("transformer-small", 3, 30);
        using var model = BuiltModel.Build(specification, TensorShape.Tokens(12), 1);
        using var scope = torch.NewDisposeScope();
        using var noGradients = torch.no_grad();
        var mask = model.Specification.Nodes.Single(n => n.Id == "mean").From;
        mask.ShouldBe(["norm", "mask"]);
        var padded = model.Forward(torch.tensor(new long[] { 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0 }).reshape(1, 12));
        // The vector of the padding token itself must have no influence either.
        model.Weights.Single(w => w.Name == "embedding.weight").Tensor.select(0, 0).fill_(9);
        var other = model.Forward(torch.tensor(new long[] { 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0 }).reshape(1, 12));
        padded.data<float>().ToArray().ShouldBe(other.data<float>().ToArray());
    }

    [Theory]
    [MemberData(nameof(Presets))]
    public void A_preset_says_the_same_in_onnx_as_in_torch(string preset, int[] sizes, bool tokens)
    {
        var parity = Compare(ModelPresets.Create(preset, 5, 30), new TensorShape(sizes) { IsTokens = tokens });
        parity.ShouldBeLessThan(ExportParityCheck.Tolerance);
    }

    [Fact]
    public void Every_layer_type_is_covered()
    {
        var tested = Singles.Values.SelectMany(s => s.Layers).Select(l => l.GetType()).Concat([typeof(AddLayer), typeof(ConcatLayer), typeof(MultiplyLayer)]).ToHashSet();
        typeof(LayerSpecification).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(LayerSpecification)) && !t.IsAbstract).Except(tested).ShouldBeEmpty();
    }

    private double Compare(ModelSpecification specification, TensorShape input)
    {
        using var model = BuiltModel.Build(specification, input, seed: 7);
        Stir(model);
        var path = _folder.File("model.onnx");
        OnnxExporter.Save(OnnxExporter.Export(model, Lineage), path);
        OnnxFile.Validate(OnnxFile.Read(path));
        var random = new Random(3);
        var values = new float[Items * input.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = input.IsTokens ? (i % input.Count < 3 ? random.Next(1, 30) : random.Next(30)) : (float)(random.NextDouble() * 4 - 2);
        // 64 items and 6 in a second batch: the batch axis is free.
        var parity = ExportParityCheck.Run(model, path, new NumberInputs(values, input), [.. Enumerable.Range(0, Items)]);
        parity.Images.ShouldBe(Items);
        return parity.MaxAbsolute;
    }

    /// <summary>Weights and running figures as after some training.</summary>
    private static void Stir(BuiltModel model)
    {
        var random = new Random(11);
        foreach (var weight in model.Weights.Where(w => w.Role != WeightRole.Weight))
        {
            var values = WeightValues.Of(weight.Tensor);
            for (var i = 0; i < values.Values.Length; i++)
                values.Values[i] = weight.Name.EndsWith("running_var", StringComparison.Ordinal) ? (float)(0.5 + random.NextDouble()) : values.Values[i] + (float)(random.NextDouble() - 0.5);
            values.CopyTo(weight.Tensor);
        }
    }
}
