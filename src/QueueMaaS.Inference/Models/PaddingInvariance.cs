using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Sessions;

namespace QueueMaaS.Inference.Models;

/// <summary>Tries whether a row gets the same answer padded and unpadded: a model that does not heed its mask would answer by the length of its batch-mates.</summary>
internal static class PaddingInvariance
{
    private const int Longest = 12;

    /// <summary>Runs the model on made-up rows of several lengths, each as it is and padded.</summary>
    public static BatchCheck Check(IOnnxModel model, RaggedAxis ragged)
    {
        using var session = model.NewInstance();
        var tolerance = TensorDifference.Tolerance(model.Signature);
        var greatest = 0d;
        var tried = new List<int>();
        for (var length = 3; length <= Longest; length += 3)
        {
            // Padded by a few places though the nearest length given may be far: what is tried is the padding, not its size.
            var to = length + 5;
            try
            {
                var row = MadeUpRows.Make(model.Signature, length, 1)[0];
                var inputs = row.Inputs.ToArray();
                RaggedPadding.FillMask(inputs, ragged);
                var alone = session.Run([new(inputs, 1)], CancellationToken.None);
                var padded = session.Run([new(RaggedPadding.PadTo(inputs, ragged, to), 1)], CancellationToken.None);
                foreach (var (expected, given) in alone.Zip(RaggedPadding.Cut(padded, ragged, length)))
                    greatest = Math.Max(greatest, TensorDifference.Greatest(expected, given));
                tried.Add(length);
            }
            catch (ProblemException)
            {
                // This length does not suit the model; another may.
                continue;
            }
        }

        if (tried.Count == 0)
            return new(false, "Padding could not be tried on made-up rows, so nothing is padded; `batching.ignoreBatchCheck` overrules this.");
        return greatest <= tolerance
            ? new(true, "A row gets the same answer padded and unpadded.", greatest, tried)
            : new(false, $"Padding changes answers: the same row padded and unpadded differ by {TensorDifference.Describe(greatest)}, more than {tolerance:g3}. So nothing is padded; name the mask and the outputs that have the axis, or overrule this with `batching.ignoreBatchCheck`.", TensorDifference.Finite(greatest), tried);
    }
}
