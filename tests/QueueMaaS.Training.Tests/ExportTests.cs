using QueueMaaS.Contracts;
using QueueMaaS.Data.Loading;
using QueueMaaS.Onnx;
using QueueMaaS.Training.Export;
using QueueMaaS.Training.Specification;
using QueueMaaS.Training.Specification.Layers;

namespace QueueMaaS.Training.Tests;

public sealed class ExportTests : IDisposable
{
    private static readonly Dictionary<string, string> Lineage = new(StringComparer.Ordinal) { ["queuemaas.preset"] = "test" };

    private readonly TempFolder _folder = new();

    public static TheoryData<string, LayerSpecification[]> Layers => new()
    {
        { "convolution", [new Conv2dLayer(5, 3), new FlattenLayer()] },
        { "convolution with stride and padding", [new Conv2dLayer(4, 5, Stride: 2, Padding: 2), new FlattenLayer()] },
        { "relu", [new ReluLayer(), new FlattenLayer()] },
        { "max pooling", [new MaxPool2dLayer(2), new FlattenLayer()] },
        { "max pooling that leaves a rest", [new MaxPool2dLayer(4), new FlattenLayer()] },
        { "flatten", [new FlattenLayer()] },
        { "linear", [new FlattenLayer(), new LinearLayer(7)] },
    };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Layers))]
    public void Each_layer_says_the_same_in_onnx_as_in_torch(string name, LayerSpecification[] layers)
    {
        var parity = Compare(new(name, layers), Samples.Images(70, channels: 2, height: 14, width: 11));
        parity.Images.ShouldBe(70);
        parity.MaxAbsolute.ShouldBeLessThan(1e-5);
        parity.SameLabel.ShouldBe(1);
    }

    [Theory]
    [InlineData(3, 32, 32)]
    [InlineData(1, 28, 28)]
    [InlineData(3, 20, 45)]
    public void The_preset_says_the_same_in_onnx_as_in_torch(int channels, int height, int width)
    {
        Compare(ModelPresets.Create("cnn-small", 3), Samples.Images(300, classes: 3, channels, height, width)).Images.ShouldBe(256);
    }

    [Fact]
    public void The_file_has_the_promised_names_shapes_operator_set_and_lineage()
    {
        using var model = BuiltModel.Build(ModelPresets.Create("cnn-small", 10), TensorShape.Image(3, 32, 32), seed: 0);
        var proto = OnnxExporter.Export(model, Lineage);
        OnnxFile.Validate(proto);
        proto.OpsetImport.Single().Version.ShouldBe(17);
        proto.ProducerName.ShouldBe("queuemaas");
        proto.MetadataProps.Single().Key.ShouldBe("queuemaas.preset");
        var input = proto.Graph.Input.Single();
        input.Name.ShouldBe("input");
        input.Type.TensorType.Shape.Dim[0].DimParam.ShouldBe("batch");
        input.Type.TensorType.Shape.Dim.Skip(1).Select(d => d.DimValue).ShouldBe([3L, 32, 32]);
        var output = proto.Graph.Output.Single();
        output.Name.ShouldBe("logits");
        output.Type.TensorType.Shape.Dim[1].DimValue.ShouldBe(10);
        OnnxFile.Operators(proto).ShouldBe(["Conv", "Flatten", "Gemm", "MaxPool", "Relu"]);
    }

    [Fact]
    public void A_model_that_says_something_else_is_not_let_through()
    {
        var data = Samples.Images(20);
        var shape = TensorShape.Image(data.Channels, data.Height, data.Width);
        using var trained = BuiltModel.Build(ModelPresets.Create("cnn-small", 2), shape, seed: 0);
        using var other = BuiltModel.Build(ModelPresets.Create("cnn-small", 2), shape, seed: 1);
        var path = _folder.File("other.onnx");
        OnnxExporter.Save(OnnxExporter.Export(other, Lineage), path);
        var problem = Samples.ShouldFail(() => ExportParityCheck.Run(trained, path, data, [.. Enumerable.Range(0, 20)]), ProblemCodes.ExportParityFailed);
        problem.Message.ShouldContain("not registered");
        File.WriteAllText(path, "no model");
        Samples.ShouldFail(() => ExportParityCheck.Run(trained, path, data, [0]), ProblemCodes.ExportParityFailed);
    }

    private ExportParity Compare(ModelSpecification specification, LabelledImages data)
    {
        using var model = BuiltModel.Build(specification, TensorShape.Image(data.Channels, data.Height, data.Width), seed: 7);
        var path = _folder.File("model.onnx");
        OnnxExporter.Save(OnnxExporter.Export(model, Lineage), path);
        OnnxFile.Validate(OnnxFile.Read(path));
        return ExportParityCheck.Run(model, path, data, [.. Enumerable.Range(0, data.Count)]);
    }
}
