using System.Text;
using Google.Protobuf;
using QueueMaaS.Contracts;
using QueueMaaS.Onnx;

namespace QueueMaaS.Data.Tests;

public sealed class OnnxFileTests
{
    [Fact]
    public void A_model_is_read_back_as_it_was_written()
    {
        var model = Model();
        var read = OnnxFile.Read(new MemoryStream(model.ToByteArray()));
        read.ShouldBe(model);
        OnnxFile.Validate(read);
        OnnxFile.Operators(read).ShouldBe(["Relu", "com.example:Odd"]);
    }

    [Fact]
    public void Bytes_that_are_no_model_are_refused()
    {
        var random = new byte[4096];
        new Random(1).NextBytes(random);
        byte[][] files = [random, [], Encoding.UTF8.GetBytes("{\"a\": 1}"), [.. "PK\u0003\u0004"u8, .. random], new byte[100]];
        foreach (var file in files)
            Samples.ShouldFail(() => OnnxFile.Read(new MemoryStream(file)), ProblemCodes.NotAnOnnxModel);
    }

    [Fact]
    public void A_model_that_was_cut_short_is_refused_wherever_it_was_cut()
    {
        var bytes = Model().ToByteArray();
        var graphEnd = bytes.Length - Model().OpsetImport.CalculateSize(FieldCodec.ForMessage(66, OperatorSetIdProto.Parser));
        for (var length = 0; length <= graphEnd; length++)
            Samples.ShouldFail(() => OnnxFile.Read(new MemoryStream(bytes, 0, length)), ProblemCodes.NotAnOnnxModel);
    }

    [Fact]
    public void A_model_without_a_graph_an_operator_set_or_outputs_is_refused()
    {
        var graphless = Model();
        graphless.Graph = null;
        Samples.ShouldFail(() => OnnxFile.Read(new MemoryStream(graphless.ToByteArray())), ProblemCodes.NotAnOnnxModel);
        var setless = Model();
        setless.OpsetImport.Clear();
        Samples.ShouldFail(() => OnnxFile.Validate(setless), ProblemCodes.NotAnOnnxModel);
        var outputless = Model();
        outputless.Graph.Output.Clear();
        Samples.ShouldFail(() => OnnxFile.Validate(outputless), ProblemCodes.NotAnOnnxModel);
    }

    [Fact]
    public void External_data_is_found_in_initialisers_and_in_inner_graphs()
    {
        var model = Model();
        model.Graph.Initializer.Add(External("weights", "big.bin"));
        var problem = Samples.ShouldFail(() => OnnxFile.Validate(model), ProblemCodes.ExternalDataMissing);
        problem.Message.ShouldContain("'weights'");
        problem.Message.ShouldContain("'big.bin'");

        var nested = Model();
        var branch = new GraphProto { Name = "then" };
        branch.Node.Add(new NodeProto { OpType = "Constant", Attribute = { new AttributeProto { Name = "value", T = External("inner", "../../etc/passwd") } } });
        nested.Graph.Node.Add(new NodeProto { OpType = "If", Attribute = { new AttributeProto { Name = "then_branch", G = branch } } });
        Samples.ShouldFail(() => OnnxFile.Validate(nested), ProblemCodes.ExternalDataMissing).Message.ShouldContain("'inner'");
        OnnxFile.Operators(nested).ShouldContain("Constant");
    }

    private static TensorProto External(string name, string file) => new()
    {
        Name = name,
        DataLocation = TensorProto.Types.DataLocation.External,
        ExternalData = { new StringStringEntryProto { Key = "location", Value = file } },
    };

    private static ModelProto Model() => new()
    {
        IrVersion = 8,
        OpsetImport = { new OperatorSetIdProto { Version = 17 } },
        Graph = new GraphProto
        {
            Name = "g",
            Node =
            {
                new NodeProto { OpType = "Relu", Input = { "x" }, Output = { "h" } },
                new NodeProto { OpType = "Odd", Domain = "com.example", Input = { "h" }, Output = { "y" } },
            },
            Input = { new ValueInfoProto { Name = "x" } },
            Output = { new ValueInfoProto { Name = "y" } },
        },
    };
}
