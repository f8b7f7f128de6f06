using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Export;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Specification;
using QueueMaaS.Training.Specification.Layers;
using TorchSharp;

namespace QueueMaaS.Training.Running;

/// <summary>Data-driven first weights of a convolution: the eigenvectors of its patches' covariance, each divided by the root of its eigenvalue and taken with both signs (arXiv 2404.00498, section 3.1).</summary>
internal static class Whitening
{
    private const int Items = 2_000;
    // Keeps directions in which the patches hardly differ from being blown up.
    private const double Epsilon = 5e-4;

    public static void Apply(BuiltModel model, ExampleSet data, long seed)
    {
        foreach (var node in model.Specification.Nodes.Where(n => n.Initialisation?.Weight?.Kind == InitialKind.Whitening))
        {
            if (node.Layer is not Conv2dLayer { Groups: 1, Dilation: 1 } layer)
                throw new ProblemException(ProblemCodes.SpecificationInvalid, $"The layer '{node.Id}' ({node.Layer.Description}) cannot begin with 'whitening', which is for conv2d without groups and dilation.", ("layerId", node.Id));
            Apply(model, data, node.Id, layer, seed);
        }
    }

    private static void Apply(BuiltModel model, ExampleSet data, string id, Conv2dLayer layer, long seed)
    {
        using var scope = torch.NewDisposeScope();
        using var noGradients = torch.no_grad();
        var chosen = (int[])data.Split.Train.Clone();
        Seeds.Generator(seed, "whitening").Shuffle(chosen);
        chosen = [.. chosen.Take(Items)];
        var input = model.InputOf(id, data.Inputs.ToTensor(ExportParityCheck.Gather(data.Inputs, chosen), chosen.Length, model.Device));
        var weight = model.Weights.Single(w => w.Name == $"{id}.weight").Tensor;
        var size = (int)(weight.shape[1] * layer.Kernel * layer.Kernel);
        // [items, channels, y, x, kernel, kernel] → [patches, size].
        var patches = input.unfold(2, layer.Kernel, 1).unfold(3, layer.Kernel, 1).permute([0, 2, 3, 1, 4, 5]).reshape([-1, size]).to(torch.float64).cpu();
        var covariance = patches.transpose(0, 1).matmul(patches).div(torch.tensor((double)patches.shape[0]));
        var (values, vectors) = torch.linalg.eigh(covariance);
        Write(weight, MemoryMarshal.Cast<byte, double>(values.contiguous().bytes), MemoryMarshal.Cast<byte, double>(vectors.contiguous().bytes), size);
    }

    private static void Write(torch.Tensor weight, ReadOnlySpan<double> values, ReadOnlySpan<double> vectors, int size)
    {
        var first = WeightValues.Of(weight);
        var outputs = (int)weight.shape[0];
        for (var pair = 0; pair < Math.Min(size, (outputs + 1) / 2); pair++)
        {
            // Eigenvalues ascend: the directions in which the patches differ most come first.
            var column = size - 1 - pair;
            var scale = 1 / Math.Sqrt(values[column] + Epsilon);
            for (var i = 0; i < size; i++)
            {
                var value = (float)(vectors[i * size + column] * scale);
                first.Values[pair * size + i] = value;
                if (outputs / 2 + pair < outputs && pair < outputs / 2)
                    first.Values[(outputs / 2 + pair) * size + i] = -value;
            }
        }

        first.CopyTo(weight);
    }
}
