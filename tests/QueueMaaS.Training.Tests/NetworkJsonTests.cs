using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;
using QueueMaaS.Training.Specification.Layers;

namespace QueueMaaS.Training.Tests;

public sealed class NetworkJsonTests
{
    [Fact]
    public void A_network_is_a_chain_unless_it_says_from_where()
    {
        var model = Read("""
            [{"type":"conv2d","id":"stem","out":8,"kernel":3,"padding":1,"init":{"weight":"kaimingNormal","bias":0.5},"frozen":true},
             {"type":"relu"},
             {"type":"add","from":["stem","layer2"]},
             {"type":"adaptivePool2d"}, {"type":"flatten"}, {"type":"leakyRelu","slope":0.2}, {"type":"linear"}]
            """);
        model.Nodes.Select(n => n.Id).ShouldBe(["stem", "layer2", "layer3", "layer4", "layer5", "layer6", "layer7"]);
        model.Nodes[2].From.ShouldBe(["stem", "layer2"]);
        model.Nodes[0].Frozen.ShouldBeTrue();
        model.Nodes[0].Layer.ShouldBe(new Conv2dLayer(8, 3, Padding: 1));
        model.Nodes[5].Layer.ShouldBe(new ActivationLayer(Activation.LeakyRelu, 0.2));
        model.For(10).InferShapes(TensorShape.Image(3, 9, 9))[^1].Sizes.ShouldBe([10]);
    }

    [Fact]
    public void What_is_written_is_read_again_for_every_preset()
    {
        foreach (var preset in ModelPresets.Known)
        {
            var model = ModelPresets.Create(preset, 4, 50);
            var again = NetworkJson.Read(preset, NetworkJson.Write(model));
            again.Nodes.Select(n => (n.Id, n.Layer.ToString(), string.Join(",", n.From))).ShouldBe(model.Nodes.Select(n => (n.Id, n.Layer.ToString(), string.Join(",", n.From))));
        }

        var special = Read("""[{"type":"conv2d","out":24,"kernel":2,"init":{"weight":"whitening","bias":-1,"gain":2},"frozen":true}]""");
        var written = NetworkJson.Read("special", NetworkJson.Write(special)).Nodes[0];
        (written with { From = special.Nodes[0].From }).ShouldBe(special.Nodes[0]);
    }

    [Theory]
    [InlineData("""[{"type":"convolution","out":3}]""", "network[0].type", "'convolution' is no layer")]
    [InlineData("""[{"out":3}]""", "network[0].type", "must name a layer")]
    [InlineData("""[{"type":"relu"},{"type":"linear","outputs":3}]""", "network[1]", "outputs")]
    [InlineData("""[{"type":"conv2d","out":3}]""", "network[0]", "kernel")]
    [InlineData("""[{"type":"conv2d","out":"many","kernel":3}]""", "network[0]", "out")]
    [InlineData("""[{"type":"relu","id":"input"}]""", "network[0].id", "must be")]
    [InlineData("""[{"type":"relu","from":3}]""", "network[0].from", "must be")]
    [InlineData("""[{"type":"linear","init":{"weight":"magic"}}]""", "network[0].init.weight", "kaimingNormal")]
    [InlineData("""[{"type":"linear","init":{"bias":"dirac"}}]""", "network[0].init.bias", "for weights only")]
    [InlineData("""[7]""", "network[0]", "must be an object")]
    [InlineData("[]", "network", "1 to 2,000 layers")]
    public void A_fault_in_a_network_names_the_layer_and_the_member(string json, string path, string word)
    {
        var problem = Samples.ShouldFail(() => Read(json), ProblemCodes.SpecificationInvalid);
        problem.Details!["path"].GetString().ShouldBe(path);
        problem.Message.ShouldContain(word);
    }

    [Theory]
    [InlineData("""[{"type":"relu","from":"nowhere"}]""", "no earlier layer is called that")]
    [InlineData("""[{"type":"relu","id":"a"},{"type":"relu","id":"a"}]""", "two layers are called 'a'")]
    [InlineData("""[{"type":"add"}]""", "needs 2 to 16 inputs, not 1")]
    [InlineData("""[{"type":"relu","from":["input","input"]}]""", "needs 1 input, not 2")]
    [InlineData("""[{"type":"conv2d","out":8,"kernel":3,"groups":2}]""", "'groups' (2)")]
    [InlineData("""[{"type":"conv2d","id":"small","out":8,"kernel":3},{"type":"add","from":["input","small"]}]""", "gets [3, 8, 8] and [8, 6, 6] and needs inputs of one shape")]
    [InlineData("""[{"type":"embedding","size":8,"tokens":10}]""", "needs token ids")]
    [InlineData("""[{"type":"flatten"},{"type":"attention","heads":2}]""", "needs length × features")]
    [InlineData("""[{"type":"reshape","shape":[7,-1]}]""", "a multiple of 7 numbers, not 192")]
    [InlineData("""[{"type":"dropout","rate":1}]""", "'rate' to be from 0 to below 1")]
    [InlineData("""[{"type":"maxPool2d","kernel":9}]""", "at least 9 × 9 pixels")]
    [InlineData("""[{"type":"groupNorm","groups":2}]""", "that 2 divides")]
    public void A_layer_that_does_not_fit_says_what_it_gets_and_what_it_needs(string json, string words)
    {
        Samples.ShouldFail(() => Read(json).For(10).InferShapes(TensorShape.Image(3, 8, 8)), ProblemCodes.SpecificationInvalid).Message.ShouldContain(words);
    }

    [Fact]
    public void First_values_follow_the_rule_that_is_asked_for()
    {
        var model = Read("""
            [{"type":"conv2d","id":"a","out":64,"kernel":3,"padding":1,"init":{"weight":"kaimingNormal","bias":0.25}},
             {"type":"conv2d","id":"b","out":64,"kernel":3,"padding":1,"bias":false,"init":{"weight":"dirac"}},
             {"type":"flatten"}, {"type":"linear","id":"c","out":100,"init":{"weight":"xavierUniform","gain":2,"bias":"zeros"}},
             {"type":"linear","id":"d","out":50}]
            """);
        using var built = BuiltModel.Build(model, TensorShape.Image(16, 6, 6), 1);
        var weights = WeightValues.Of(built);
        Deviation(weights["a.weight"]).ShouldBe(Math.Sqrt(2.0 / (16 * 9)), 0.004);
        weights["a.bias"].Values.ShouldAllBe(b => b == 0.25f);
        var dirac = weights["b.weight"].Values;
        dirac.Count(v => v == 1).ShouldBe(64);
        dirac.Count(v => v == 0).ShouldBe(64 * 64 * 9 - 64);
        dirac[(5 * 64 + 5) * 9 + 4].ShouldBe(1);
        var bound = 2 * Math.Sqrt(6.0 / (64 * 36 + 100));
        weights["c.weight"].Values.Max().ShouldBe((float)bound, 0.001f);
        Deviation(weights["c.weight"]).ShouldBe(bound / Math.Sqrt(3), 0.001);
        weights["d.weight"].Values.Max().ShouldBe(0.1f, 0.001f, "PyTorch's default is 1 over the root of the inputs");
    }

    [Fact]
    public void First_values_depend_on_the_seed_and_the_name_and_on_no_other_layer()
    {
        float[] Weights(string json, long seed)
        {
            using var built = BuiltModel.Build(Read(json), TensorShape.Row(5), seed);
            return WeightValues.Of(built)["last.weight"].Values;
        }

        var first = Weights("""[{"type":"linear","id":"last","out":3}]""", 1);
        Weights("""[{"type":"linear","id":"other","out":5},{"type":"linear","id":"last","out":3}]""", 1).ShouldBe(first);
        Weights("""[{"type":"linear","id":"last","out":3}]""", 2).ShouldNotBe(first);
    }

    private static double Deviation(WeightValues weight) => Math.Sqrt(weight.Values.Average(v => (double)v * v) - Math.Pow(weight.Values.Average(v => (double)v), 2));

    private static ModelSpecification Read(string json) => NetworkJson.Read("net", [.. JsonElement.Parse(json).EnumerateArray()]);
}
