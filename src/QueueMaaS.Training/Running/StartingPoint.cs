using QueueMaaS.Contracts;
using QueueMaaS.Training.Optimisation;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Running;

/// <summary>A model to begin with.</summary>
/// <param name="Model">Its name and version.</param>
/// <param name="Network">Its layers.</param>
/// <param name="Weights">Its weights by name.</param>
public sealed record StartingWeights(string Model, ModelSpecification Network, IReadOnlyDictionary<string, WeightValues> Weights);

/// <summary>Lets a plan begin with another model's weights (transfer learning).</summary>
internal static class StartingPoint
{
    public static TrainingPlan Apply(TrainingPlan plan, StartingWeights? start, out TransferReport? report)
    {
        report = null;
        if (start is null)
            return plan;
        var asked = plan.Settings.StartFrom!;
        var named = plan.Settings.Network is not null || plan.Settings.Preset is not null;
        var network = named ? plan.Network : WithOutputs(start.Network, plan);
        network = network with { Nodes = [.. network.Nodes.Select(n => Matches(asked.Freeze, n.Id) ? n with { Frozen = true } : n)] };
        var shapes = network.Inputs(plan.Data.Inputs.Shape);
        var (taken, fresh, frozen) = (new Dictionary<string, WeightValues>(StringComparer.Ordinal), new List<string>(), 0);
        for (var i = 0; i < network.Nodes.Count; i++)
        {
            var node = network.Nodes[i];
            foreach (var weight in node.Layer.Weights(shapes[i].Inputs))
            {
                var name = $"{node.Id}.{weight.Name}";
                if (!Matches(asked.Reset, node.Id) && start.Weights.TryGetValue(name, out var values) && values.Shape.SequenceEqual(weight.Shape))
                    taken[name] = values;
                else
                    fresh.Add(name);
                frozen += node.Frozen ? 1 : 0;
            }
        }

        if (taken.Count == 0)
        {
            throw new ProblemException(
                ProblemCodes.SpecificationInvalid,
                $"None of the weights of '{start.Model}' fits the network: no layer has the same id and shape. Leave out 'preset' and 'network' to take over its network.",
                ("startFrom", start.Model));
        }

        report = new(start.Model, taken.Count, fresh, frozen);
        return (plan with { Network = network, FirstWeights = taken }).WithViews();
    }

    /// <summary>The same network with a last linear layer for this task.</summary>
    private static ModelSpecification WithOutputs(ModelSpecification network, TrainingPlan plan)
    {
        var last = network.Nodes.ToList().FindLastIndex(n => n.Layer is Specification.Layers.LinearLayer);
        if (last < 0)
            return network;
        var nodes = network.Nodes.ToArray();
        nodes[last] = nodes[last] with { Layer = ((Specification.Layers.LinearLayer)nodes[last].Layer) with { Out = plan.Data.Targets.Outputs } };
        return network with { Nodes = nodes };
    }

    private static bool Matches(IReadOnlyList<string>? patterns, string id) => patterns?.Any(p => NamePattern.Matches(p, id)) == true;
}
