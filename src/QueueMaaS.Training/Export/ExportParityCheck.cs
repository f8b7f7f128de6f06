using Microsoft.ML.OnnxRuntime;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Loading;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Export;

/// <summary>Runs the exported model and the trained one on the same real images and compares what they say.</summary>
public static class ExportParityCheck
{
    /// <summary>Most images compared.</summary>
    public const int MaxImages = 256;

    /// <summary>The greatest absolute difference of a logit that single precision explains.</summary>
    public const double Tolerance = 1e-4;

    private const int Batch = 64;

    /// <summary>Compares on the first <see cref="MaxImages"/> of <paramref name="indexes"/>.</summary>
    /// <exception cref="ProblemException"><c>export_parity_failed</c>: the difference is over <see cref="Tolerance"/>, or ONNX Runtime cannot load the model.</exception>
    public static ExportParity Run(BuiltModel model, string onnxPath, LabelledImages data, IReadOnlyList<int> indexes, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(indexes);
        using var session = Open(onnxPath);
        var used = indexes.Take(MaxImages).ToArray();
        double absolute = 0, relative = 0;
        var same = 0;
        foreach (var batch in used.Chunk(Batch))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var pixels = new float[batch.Length * data.ImageBytes];
            BatchFeed.Gather(data, batch, pixels);
            var trained = Trained(model, pixels, data, batch.Length);
            var exported = Exported(session, pixels, data, batch.Length);
            var classes = trained.Length / batch.Length;
            for (var i = 0; i < trained.Length; i++)
            {
                var difference = Math.Abs((double)trained[i] - exported[i]);
                // A NaN compares as false with everything, so it must not slip through a maximum.
                absolute = double.IsNaN(difference) ? double.PositiveInfinity : Math.Max(absolute, difference);
                var larger = Math.Max(Math.Abs(trained[i]), Math.Abs(exported[i]));
                if (larger >= 1e-3)
                    relative = Math.Max(relative, difference / larger);
            }

            for (var row = 0; row < batch.Length; row++)
            {
                if (Best(trained.AsSpan(row * classes, classes)) == Best(exported.AsSpan(row * classes, classes)))
                    same++;
            }
        }

        if (absolute > Tolerance)
        {
            throw new ProblemException(
                ProblemCodes.ExportParityFailed,
                $"The exported ONNX model differs from the trained one by {absolute:G4} on {used.Length} images; at most {Tolerance:G2} is allowed, so it is not registered. This is a fault of the exporter: please report the model's layers.",
                ("maxAbsolute", double.IsFinite(absolute) ? absolute : null), ("tolerance", Tolerance), ("images", used.Length));
        }

        return new(used.Length, absolute, relative, used.Length == 0 ? 1 : (double)same / used.Length);
    }

    private static InferenceSession Open(string onnxPath)
    {
        try
        {
            using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
            return new(onnxPath, options);
        }
        catch (OnnxRuntimeException e)
        {
            throw new ProblemException(
                Problem.Create(ProblemCodes.ExportParityFailed, $"ONNX Runtime cannot load the exported model, so it is not registered: {e.Message} This is a fault of the exporter: please report the model's layers."), e);
        }
    }

    private static float[] Trained(BuiltModel model, float[] pixels, LabelledImages data, int count)
    {
        using var scope = torch.NewDisposeScope();
        using var noGradients = torch.no_grad();
        var device = model.Parameters().FirstOrDefault()?.device ?? torch.CPU;
        var input = BatchFeed.ToTensor(pixels, [count, data.Channels, data.Height, data.Width]).to(device);
        return model.Forward(input).cpu().contiguous().data<float>().ToArray();
    }

    private static float[] Exported(InferenceSession session, float[] pixels, LabelledImages data, int count)
    {
        using var input = OrtValue.CreateTensorValueFromMemory(pixels, [count, data.Channels, data.Height, data.Width]);
        using var options = new RunOptions();
        using var outputs = session.Run(options, [OnnxExporter.InputName], [input], [OnnxExporter.OutputName]);
        return outputs[0].GetTensorDataAsSpan<float>().ToArray();
    }

    private static int Best(ReadOnlySpan<float> logits)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
        {
            if (logits[i] > logits[best])
                best = i;
        }

        return best;
    }
}
