using QueueMaaS.Contracts;
using QueueMaaS.Training.Evaluation;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Optimisation;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Tests;

/// <summary>Losses and their gradients against formulas written out here.</summary>
public sealed class LossTests
{
    private static readonly double[][] Outputs = [[2, -1, 0.5], [0.1, 0.2, 0.3], [-3, 1, 4], [0, 0, 1]];
    private static readonly int[] Classes = [0, 2, 1, 2];

    [Theory]
    [InlineData(0, false)]
    [InlineData(0.2, false)]
    [InlineData(0, true)]
    [InlineData(0.1, true)]
    public void Cross_entropy_with_smoothing_and_class_weights(double smoothing, bool weighted)
    {
        var weights = weighted ? new[] { 1, 0.5, 3 } : [1.0, 1, 1];
        var settings = new LossSettings { LabelSmoothing = smoothing, ClassWeights = weighted ? new Dictionary<string, double> { ["b"] = 0.5, ["c"] = 3 } : null };
        // PyTorch's definition: the weighted mean for the true class, and the smoothed part over all classes by their weights.
        double sum = 0, norm = 0;
        for (var i = 0; i < 4; i++)
        {
            var log = LogSoftmax(Outputs[i]);
            sum += (1 - smoothing) * weights[Classes[i]] * -log[Classes[i]] + smoothing / 3 * Enumerable.Range(0, 3).Sum(c => weights[c] * -log[c]);
            norm += weights[Classes[i]];
        }

        Compute(settings, ExampleTargets.OfClasses(Classes, ["a", "b", "c"])).Loss.ShouldBe(sum / norm, 1e-5);
    }

    [Fact]
    public void The_gradient_of_cross_entropy_is_softmax_minus_target()
    {
        var (_, gradient) = Compute(new(), ExampleTargets.OfClasses(Classes, ["a", "b", "c"]));
        for (var i = 0; i < 4; i++)
        {
            for (var c = 0; c < 3; c++)
                ((double)gradient[i * 3 + c]).ShouldBe((Math.Exp(LogSoftmax(Outputs[i])[c]) - (Classes[i] == c ? 1 : 0)) / 4, 1e-6);
        }
    }

    [Fact]
    public void Balanced_weights_make_every_class_count_the_same()
    {
        // Classes 0 and 1 have one item each, class 2 two: weights 4/3, 4/3 and 2/3.
        double[] weights = [4.0 / 3, 4.0 / 3, 2.0 / 3];
        var expected = Enumerable.Range(0, 4).Sum(i => weights[Classes[i]] * -LogSoftmax(Outputs[i])[Classes[i]]) / Enumerable.Range(0, 4).Sum(i => weights[Classes[i]]);
        Compute(new() { Balanced = true }, ExampleTargets.OfClasses(Classes, ["a", "b", "c"])).Loss.ShouldBe(expected, 1e-5);
    }

    [Theory]
    [InlineData(LossKind.MeanSquared)]
    [InlineData(LossKind.MeanAbsolute)]
    [InlineData(LossKind.SmoothL1)]
    public void Losses_of_numbers(LossKind kind)
    {
        float[] wanted = [1, 1, 1, 0, 0, 0, -1, 1, 3.5f, 2, -2, 1.2f];
        var differences = Outputs.SelectMany(o => o).Zip(wanted, (o, w) => o - w);
        var expected = kind switch
        {
            LossKind.MeanSquared => differences.Average(d => d * d),
            LossKind.MeanAbsolute => differences.Average(Math.Abs),
            _ => differences.Average(d => Math.Abs(d) < 0.4 ? d * d / 0.8 : Math.Abs(d) - 0.2),
        };
        Compute(new() { Kind = kind, Beta = 0.4 }, ExampleTargets.OfNumbers(wanted, ["x", "y", "z"])).Loss.ShouldBe(expected, 1e-5);
    }

    [Fact]
    public void Binary_cross_entropy_for_several_labels()
    {
        float[] wanted = [1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 0, 0];
        var expected = Outputs.SelectMany(o => o).Zip(wanted, (o, w) => Math.Log(1 + Math.Exp(o)) - w * o).Average();
        Compute(new(), ExampleTargets.OfLabels(wanted, ["x", "y", "z"])).Loss.ShouldBe(expected, 1e-5);
    }

    [Fact]
    public void A_loss_that_does_not_fit_the_task_is_refused()
    {
        Samples.ShouldFail(() => Compute(new() { Kind = LossKind.MeanSquared }, ExampleTargets.OfClasses(Classes, ["a", "b", "c"])), ProblemCodes.InvalidValue).Message.ShouldContain("does not fit the task");
        Samples.ShouldFail(() => Compute(new() { ClassWeights = new Dictionary<string, double> { ["d"] = 1 } }, ExampleTargets.OfClasses(Classes, ["a", "b", "c"])), ProblemCodes.InvalidValue).Message.ShouldContain("'d'");
        Samples.ShouldFail(() => Compute(new() { Balanced = true }, ExampleTargets.OfNumbers(new float[12], ["x", "y", "z"])), ProblemCodes.InvalidValue);
    }

    private static (double Loss, float[] Gradient) Compute(LossSettings settings, ExampleTargets targets)
    {
        Runtime.TorchRuntime.EnsureLoaded();
        using var scope = torch.NewDisposeScope();
        var data = new ExampleSet { Inputs = new NumberInputs(new float[4], TensorShape.Row(1)), Targets = targets, Split = new([0, 1, 2, 3], []) };
        using var loss = LossFunction.Create(settings, data, torch.CPU);
        var batch = new BatchFeed(data, 4).Read([0, 1, 2, 3]).Single();
        var output = torch.tensor(Outputs.SelectMany(o => o).Select(o => (float)o).ToArray()).reshape(4, 3).requires_grad_();
        var value = loss.Compute(output, batch);
        value.backward();
        return (ModelEvaluator.First(value), output.grad!.data<float>().ToArray());
    }

    private static double[] LogSoftmax(double[] row)
    {
        var sum = Math.Log(row.Sum(Math.Exp));
        return [.. row.Select(v => v - sum)];
    }
}
