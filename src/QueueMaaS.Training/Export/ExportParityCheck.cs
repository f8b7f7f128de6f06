using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Specification;
using TorchSharp;

namespace QueueMaaS.Training.Export;

/// <summary>Runs the exported model and the trained one on the same items and compares what they say.</summary>
public static class ExportParityCheck
{
    /// <summary>Most items compared.</summary>
    public const int MaxImages = 256;

    /// <summary>The greatest difference of an output that single precision explains: absolute for outputs up to 1, relative to the output above.</summary>
    public const double Tolerance = 1e-4;

    private const int Batch = 64;

    /// <summary>Compares on the first <see cref="MaxImages"/> of <paramref name="indexes"/>, in batches of 64 and what remains.</summary>
    /// <exception cref="ProblemException"><c>export_parity_failed</c>: the difference is over <see cref="Tolerance"/>, or ONNX Runtime cannot load the model.</exception>
    public static ExportParity Run(BuiltModel model, string onnxPath, ExampleInputs inputs, IReadOnlyList<int> indexes, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(indexes);
        using var session = Open(onnxPath);
        var difference = new OutputDifference();
        foreach (var batch in indexes.Take(MaxImages).Chunk(Batch))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var values = Gather(inputs, batch);
            difference.Add(Trained(model, values, inputs, batch.Length), Exported(session, values, model.Input, batch.Length), batch.Length);
        }

        return difference.Judge();
    }

    /// <summary>Compares an exported model with outputs that the trained one gave before: no libtorch is needed.</summary>
    /// <exception cref="ProblemException">As the other comparison.</exception>
    public static ExportParity Run(string onnxPath, TensorShape input, float[] values, float[] outputs, int rows)
    {
        using var session = Open(onnxPath);
        var difference = new OutputDifference();
        difference.Add(outputs, Exported(session, values, input, rows), rows);
        return difference.Judge();
    }

    /// <summary>The outputs of the trained model for numbers laid out one item after the other.</summary>
    internal static float[] Trained(BuiltModel model, float[] values, ExampleInputs inputs, int count)
    {
        using var scope = torch.NewDisposeScope();
        using var noGradients = torch.no_grad();
        var output = model.Forward(inputs.ToTensor(values, count, model.Device)).to(torch.float32).cpu().contiguous();
        return MemoryMarshal.Cast<byte, float>(output.bytes).ToArray();
    }

    internal static float[] Gather(ExampleInputs inputs, int[] indexes)
    {
        var values = new float[indexes.Length * inputs.Width];
        for (var i = 0; i < indexes.Length; i++)
            inputs.Read(indexes[i], values.AsSpan(i * inputs.Width, inputs.Width));
        return values;
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

    private static float[] Exported(InferenceSession session, float[] values, TensorShape input, int count)
    {
        using var value = input.IsTokens
            ? OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(values, v => (long)v), input.WithBatch(count))
            : OrtValue.CreateTensorValueFromMemory(values, input.WithBatch(count));
        using var options = new RunOptions();
        using var outputs = session.Run(options, [OnnxExporter.InputNameOf(input)], [value], [OnnxExporter.OutputName]);
        return outputs[0].GetTensorDataAsSpan<float>().ToArray();
    }
}

/// <summary>Collects how far two models' outputs are apart.</summary>
internal sealed class OutputDifference
{
    private double _absolute;
    private double _relative;
    private double _excess;
    private int _rows;
    private int _same;

    public void Add(float[] trained, float[] exported, int rows)
    {
        var width = trained.Length / Math.Max(1, rows);
        for (var i = 0; i < trained.Length; i++)
        {
            var difference = exported.Length == trained.Length ? Math.Abs((double)trained[i] - exported[i]) : double.NaN;
            var larger = Math.Max(Math.Abs(trained[i]), i < exported.Length ? Math.Abs(exported[i]) : 0);
            // A NaN compares as false with everything, so it must not slip through a maximum.
            if (double.IsNaN(difference))
                difference = double.PositiveInfinity;
            _absolute = Math.Max(_absolute, difference);
            _excess = Math.Max(_excess, difference / Math.Max(1.0, larger));
            if (larger >= 1e-3)
                _relative = Math.Max(_relative, difference / larger);
        }

        for (var row = 0; row < rows && exported.Length == trained.Length; row++)
        {
            if (Best(trained.AsSpan(row * width, width)) == Best(exported.AsSpan(row * width, width)))
                _same++;
        }

        _rows += rows;
    }

    public ExportParity Judge()
    {
        if (!(_excess <= ExportParityCheck.Tolerance))
        {
            throw new ProblemException(
                ProblemCodes.ExportParityFailed,
                $"The exported ONNX model differs from the trained one by {_absolute:G4} on {_rows} items; at most {ExportParityCheck.Tolerance:G2} is allowed (of the output, where that is greater than 1), so it is not registered. This is a fault of the exporter: please report the model's layers.",
                ("maxAbsolute", double.IsFinite(_absolute) ? _absolute : null), ("tolerance", ExportParityCheck.Tolerance), ("images", _rows));
        }

        return new(_rows, _absolute, _relative, _rows == 0 ? 1 : (double)_same / _rows);
    }

    private static int Best(ReadOnlySpan<float> outputs)
    {
        var best = 0;
        for (var i = 1; i < outputs.Length; i++)
        {
            if (outputs[i] > outputs[best])
                best = i;
        }

        return best;
    }
}
