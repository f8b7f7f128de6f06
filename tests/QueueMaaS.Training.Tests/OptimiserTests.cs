using QueueMaaS.Contracts;
using QueueMaaS.Training.Optimisation;
using QueueMaaS.Training.Specification;
using QueueMaaS.Training.Specification.Layers;
using TorchSharp;

namespace QueueMaaS.Training.Tests;

/// <summary>Each rule against its published formula, written out in double precision here, over several steps with gradients that differ.</summary>
public sealed class OptimiserTests
{
    private const double Rate = 0.05;
    private const int Steps = 12;

    public static TheoryData<string, OptimizationSettings> Rules => new()
    {
        { "gradientDescent", new() },
        { "gradientDescent", new() { WeightDecay = 0.1 } },
        { "sgd", new() },
        { "sgd", new() { Momentum = 0.7, Nesterov = true, WeightDecay = 0.05 } },
        { "adagrad", new() },
        { "rmsprop", new() },
        { "rmsprop", new() { Momentum = 0.6, Beta2 = 0.9, WeightDecay = 0.02 } },
        { "adam", new() },
        { "adam", new() { Beta1 = 0.8, Beta2 = 0.95, Epsilon = 1e-4, WeightDecay = 0.1 } },
        { "adamw", new() },
        { "adamw", new() { WeightDecay = 0.2 } },
    };

    [Theory]
    [MemberData(nameof(Rules))]
    public void A_rule_changes_weights_as_its_formula_says(string optimizer, OptimizationSettings settings)
    {
        using var model = Model();
        using var update = WeightUpdate.Create(optimizer, model, settings);
        var weight = model.Weights.Single(w => w.Role == WeightRole.Weight);
        var reference = new Reference(optimizer, settings, [.. WeightValues.Of(weight.Tensor).Values.Select(v => (double)v)]);
        for (var step = 1; step <= Steps; step++)
        {
            var gradient = Gradient(step, reference.Weights.Length);
            SetGradient(weight.Tensor, gradient);
            update.Apply(Rate);
            reference.Step(gradient, step);
        }

        WeightValues.Of(weight.Tensor).Values.Zip(reference.Weights).ShouldAllBe(p => Math.Abs(p.First - p.Second) < 2e-6);
    }

    [Fact]
    public void Adam_gives_the_numbers_that_pytorch_gives()
    {
        // torch.optim.Adam([w], lr=0.1), w = [1, -2, 3], after three steps with these gradients, printed by PyTorch 1.13.
        using var model = BuiltModel.Build(ModelSpecification.Sequential("w", new LinearLayer(1, Bias: false)), TensorShape.Row(3), 1);
        var weight = model.Weights.Single().Tensor;
        new WeightValues([1, 3], [1, -2, 3]).CopyTo(weight);
        using var update = WeightUpdate.Create("adam", model, new());
        foreach (var gradient in (double[][])[[0.5, -1, 2], [0.1, 0.2, -0.3], [-1, 0.5, 0.25]])
        {
            SetGradient(weight, gradient);
            update.Apply(0.1);
        }

        WeightValues.Of(weight).Values.Zip([0.8484414, -1.8415798, 2.7945733]).ShouldAllBe(p => Math.Abs(p.First - p.Second) < 1e-6);
    }

    [Theory]
    [InlineData(4, 9)]
    [InlineData(9, 4)]
    public void Muon_moves_a_matrix_by_the_nearest_orthogonal_one(int outputs, int inputs)
    {
        using var model = BuiltModel.Build(ModelSpecification.Sequential("two", new LinearLayer(outputs), new LinearLayer(3)), TensorShape.Row(inputs), 2);
        using var update = WeightUpdate.Create("muon", model, new() { Momentum = 0.5 });
        var weight = model.Weights.Single(w => w.Name == "layer1.weight").Tensor;
        var before = weight.detach().clone();
        var gradient = Gradient(1, outputs * inputs);
        SetGradient(weight, gradient);
        update.Apply(Rate);
        using var scope = torch.NewDisposeScope();
        var moved = before.sub(weight.detach()).div(torch.tensor((float)Rate));
        var (u, _, v) = torch.linalg.svd(torch.tensor([.. gradient.Select(g => (float)g)], [outputs, inputs]), fullMatrices: false);
        var nearest = u.matmul(v);
        // Five steps bring the singular values near 1, not to it: within 0.7 and 1.3, as the source says.
        var values = torch.linalg.svdvals(moved).data<float>().ToArray();
        values.ShouldAllBe(s => s > 0.6 && s < 1.3);
        var alike = moved.mul(nearest).sum().item<float>() / Math.Sqrt(moved.square().sum().item<float>() * nearest.square().sum().item<float>());
        alike.ShouldBeGreaterThan(0.97);
    }

    [Fact]
    public void Muon_moves_biases_and_the_last_layer_by_momentum_that_looks_ahead()
    {
        using var model = BuiltModel.Build(ModelSpecification.Sequential("two", new LinearLayer(4), new LinearLayer(3)), TensorShape.Row(5), 2);
        using var update = WeightUpdate.Create("muon", model, new() { Momentum = 0.5, Groups = [new() { Match = "layer2.weight", Momentum = 0.8, LearningRateScale = 2 }] });
        var before = WeightValues.Of(model);
        for (var step = 0; step < 2; step++)
        {
            foreach (var weight in model.Weights)
                SetGradient(weight.Tensor, [.. Enumerable.Repeat(1.0, (int)weight.Tensor.numel())]);
            update.Apply(Rate);
        }

        var after = WeightValues.Of(model);
        // Velocities 1 and 1 + m; each step takes 1 + m · velocity.
        foreach (var (name, momentum, rate) in (ReadOnlySpan<(string, double, double)>)[("layer1.bias", 0.5, Rate), ("layer2.bias", 0.5, Rate), ("layer2.weight", 0.8, 2 * Rate)])
            (before[name].Values[0] - after[name].Values[0]).ShouldBe((float)(rate * (1 + momentum + 1 + momentum * (1 + momentum))), 1e-5f, name);
    }

    [Fact]
    public void Muon_brings_weights_to_the_length_of_one_unit_per_output_where_asked()
    {
        using var model = BuiltModel.Build(ModelSpecification.Sequential("two", new LinearLayer(4), new LinearLayer(3)), TensorShape.Row(5), 2);
        using var update = WeightUpdate.Create("muon", model, new() { NormalizeWeights = true });
        var weight = model.Weights.Single(w => w.Name == "layer1.weight").Tensor;
        SetGradient(weight, Gradient(1, 20));
        update.Apply(1e-9);
        Math.Sqrt(WeightValues.Of(weight).Values.Sum(v => (double)v * v)).ShouldBe(2, 1e-5);
    }

    [Fact]
    public void Groups_have_their_own_step_size_and_decay_and_biases_do_not_decay()
    {
        using var model = Model();
        using var update = WeightUpdate.Create("gradientDescent", model, new() { WeightDecay = 0.5, Groups = [new() { Match = "*.weight", LearningRateScale = 0.1, WeightDecay = 0.2 }] });
        var before = WeightValues.Of(model);
        foreach (var weight in model.Weights)
            SetGradient(weight.Tensor, [.. Enumerable.Repeat(1.0, (int)weight.Tensor.numel())]);
        update.Apply(1);
        var after = WeightValues.Of(model);
        after["layer1.weight"].Values[0].ShouldBe(before["layer1.weight"].Values[0] * (1 - 0.1f * 0.2f) - 0.1f, 1e-6f);
        after["layer1.bias"].Values[0].ShouldBe(before["layer1.bias"].Values[0] - 1, 1e-6f);
    }

    [Fact]
    public void Clipping_shortens_gradients_that_are_too_long_and_no_others()
    {
        using var model = Model();
        using var update = WeightUpdate.Create("gradientDescent", model, new() { ClipNorm = 1 });
        foreach (var (length, expected) in (ReadOnlySpan<(double, double)>)[(30, 1), (0.5, 0.5)])
        {
            var before = WeightValues.Of(model);
            var count = model.Weights.Sum(w => w.Tensor.numel());
            foreach (var weight in model.Weights)
                SetGradient(weight.Tensor, [.. Enumerable.Repeat(length / Math.Sqrt(count), (int)weight.Tensor.numel())]);
            update.Apply(1);
            var after = WeightValues.Of(model);
            Math.Sqrt(before.Sum(b => b.Value.Values.Zip(after[b.Key].Values).Sum(p => Math.Pow(p.First - p.Second, 2)))).ShouldBe(expected, 1e-4);
        }
    }

    [Fact]
    public void Values_are_held_within_bounds()
    {
        using var model = Model();
        using var update = WeightUpdate.Create("gradientDescent", model, new() { ClipValue = 0.25 });
        var before = WeightValues.Of(model)["layer1.weight"].Values;
        SetGradient(model.Weights[0].Tensor, [3, -3, 0.1, 0, 0.25, -0.2]);
        update.Apply(1);
        var after = WeightValues.Of(model)["layer1.weight"].Values;
        before.Zip(after).Select(p => Math.Round(p.First - p.Second, 4)).ShouldBe([0.25, -0.25, 0.1, 0, 0.25, -0.2]);
    }

    [Fact]
    public void The_average_follows_its_formula()
    {
        using var model = Model();
        using var average = new WeightAverage(model, 0.5);
        var weight = model.Weights[0].Tensor;
        var expected = (double)WeightValues.Of(weight).Values[0];
        for (var step = 1; step <= 4; step++)
        {
            new WeightValues(weight.shape, [.. Enumerable.Repeat((float)step, 6)]).CopyTo(weight);
            average.Add(step);
            var decay = Math.Min(0.5, (1.0 + step) / (10 + step));
            expected = decay * expected + (1 - decay) * step;
        }

        average.Swap();
        WeightValues.Of(weight).Values[0].ShouldBe((float)expected, 1e-6f);
        average.Swap();
        WeightValues.Of(weight).Values[0].ShouldBe(4);
    }

    [Theory]
    [InlineData("head.*", "head.weight", true)]
    [InlineData("*.bias", "stem.conv.bias", true)]
    [InlineData("*norm*weight", "block.norm1.weight", true)]
    [InlineData("head", "head.weight", false)]
    [InlineData("*.bias", "bias", false)]
    [InlineData("a*a", "a", false)]
    [InlineData("*", "anything", true)]
    public void A_star_stands_for_any_letters(string pattern, string name, bool matches) => NamePattern.Matches(pattern, name).ShouldBe(matches);

    private static BuiltModel Model() => BuiltModel.Build(ModelSpecification.Sequential("w", new LinearLayer(2)), TensorShape.Row(3), 1);

    private static double[] Gradient(int step, int count) => [.. Enumerable.Range(0, count).Select(i => Math.Sin(step * 1.3 + i) * (i + 1))];

    private static void SetGradient(torch.Tensor weight, double[] values) =>
        weight.grad = torch.tensor(Array.ConvertAll(values, v => (float)v)).reshape(weight.shape);

    /// <summary>The formulas as published (and as PyTorch documents its optimisers), one number at a time.</summary>
    private sealed class Reference(string optimizer, OptimizationSettings settings, double[] weights)
    {
        private readonly double[] _first = new double[weights.Length];
        private readonly double[] _second = new double[weights.Length];

        public double[] Weights => weights;

        public void Step(double[] gradients, int step)
        {
            for (var i = 0; i < weights.Length; i++)
            {
                var g = gradients[i] + (optimizer == "adamw" ? 0 : (settings.WeightDecay ?? 0) * weights[i]);
                switch (optimizer)
                {
                    case "gradientDescent":
                        weights[i] -= Rate * g;
                        break;
                    case "sgd":
                        var momentum = settings.Momentum ?? 0.9;
                        _first[i] = momentum * _first[i] + g;
                        weights[i] -= Rate * (settings.Nesterov ? g + momentum * _first[i] : _first[i]);
                        break;
                    case "adagrad":
                        _first[i] += g * g;
                        weights[i] -= Rate * g / (Math.Sqrt(_first[i]) + 1e-10);
                        break;
                    case "rmsprop":
                        var alpha = settings.Beta2 ?? 0.99;
                        _first[i] = alpha * _first[i] + (1 - alpha) * g * g;
                        _second[i] = (settings.Momentum ?? 0) * _second[i] + g / (Math.Sqrt(_first[i]) + 1e-8);
                        weights[i] -= Rate * _second[i];
                        break;
                    default:
                        if (optimizer == "adamw")
                            weights[i] *= 1 - Rate * (settings.WeightDecay ?? 0.01);
                        var (b1, b2) = (settings.Beta1 ?? 0.9, settings.Beta2 ?? 0.999);
                        _first[i] = b1 * _first[i] + (1 - b1) * g;
                        _second[i] = b2 * _second[i] + (1 - b2) * g * g;
                        weights[i] -= Rate * (_first[i] / (1 - Math.Pow(b1, step))) / (Math.Sqrt(_second[i] / (1 - Math.Pow(b2, step))) + (settings.Epsilon ?? 1e-8));
                        break;
                }
            }
        }
    }
}
