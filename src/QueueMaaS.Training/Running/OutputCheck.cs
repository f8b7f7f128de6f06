using QueueMaaS.Contracts;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Running;

/// <summary>Holds a network's output against what the task needs.</summary>
internal static class OutputCheck
{
    /// <exception cref="ProblemException"><c>specification_invalid</c>.</exception>
    public static void Require(ModelSpecification network, TensorShape input, ExampleTargets targets)
    {
        var output = network.InferShapes(input)[^1];
        var fits = targets.Task == TrainingTask.Autoencoding ? output.Count == targets.Outputs : output.IsRow && output.Sizes[0] == targets.Outputs;
        if (fits)
            return;
        var needs = targets.Task switch
        {
            TrainingTask.Classification => $"one for each of the {targets.Outputs} classes",
            TrainingTask.MultiLabel => $"one for each of the {targets.Outputs} labels",
            TrainingTask.Regression => $"one for each of the {targets.Outputs} target columns",
            _ => $"{targets.Outputs}, as many as the input has numbers",
        };
        throw new ProblemException(
            ProblemCodes.SpecificationInvalid,
            $"The model '{network.Name}' gives an output of shape {output}, but the task needs {needs}. End it with {{\"type\":\"linear\"}} without 'out', which takes the right number.",
            ("model", network.Name), ("output", output.Sizes), ("needed", targets.Outputs));
    }
}
