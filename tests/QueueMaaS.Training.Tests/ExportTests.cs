using QueueMaaS.Contracts;
using QueueMaaS.Onnx;
using QueueMaaS.Training.Export;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Tests;

public sealed class ExportTests : IDisposable
{
    private static readonly Dictionary<string, string> Lineage = new(StringComparer.Ordinal) { ["queuemaas.preset"] = "test" };

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

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
        var inputs = new ImageInputs(data);
        var problem = Samples.ShouldFail(() => ExportParityCheck.Run(trained, path, inputs, [.. Enumerable.Range(0, 20)]), ProblemCodes.ExportParityFailed);
        problem.Message.ShouldContain("not registered");
        File.WriteAllText(path, "no model");
        Samples.ShouldFail(() => ExportParityCheck.Run(trained, path, inputs, [0]), ProblemCodes.ExportParityFailed);
    }
}
