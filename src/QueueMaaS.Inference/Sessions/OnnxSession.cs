using System.Buffers;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Models;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Sessions;

/// <summary>
/// An instance of an <see cref="OnnxModel"/>: gathers the rows of a batch into one buffer per input, which ONNX Runtime reads in place, and copies each output out once. One batch at a time; several instances share the model.
/// </summary>
public sealed class OnnxSession : IModelInstance
{
    // A copy of a page costs less than a handle.
    private const int WorthPinning = 4096;

    private readonly OnnxModel _model;
    private readonly NativeBuffer[] _buffers;
    private readonly OrtValue[] _inputs;
    private readonly MemoryHandle[] _pinned;
    private readonly RunWatch _watch = new();
    private readonly string[] _inputNames;
    private readonly string[] _outputNames;
    private readonly TensorDatatype[] _outputDatatypes;

    /// <summary>Makes an instance; <paramref name="model"/> must outlive it.</summary>
    public OnnxSession(OnnxModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        _model = model;
        _inputNames = model.Signature.Inputs.Select(i => i.Name).ToArray();
        _outputNames = model.Signature.Outputs.Select(o => o.Name).ToArray();
        _outputDatatypes = model.Signature.Outputs.Select(o => TensorDatatype.Find(o.Datatype)!).ToArray();
        _buffers = _inputNames.Select(_ => new NativeBuffer()).ToArray();
        _inputs = new OrtValue[_inputNames.Length];
        _pinned = new MemoryHandle[_inputNames.Length];
    }

    /// <inheritdoc/>
    /// <exception cref="ProblemException"><c>model_execution_failed</c>, with ONNX Runtime's reason: for a single member.</exception>
    /// <exception cref="ProblemException"><c>model_run_timeout</c>: it took longer than it may.</exception>
    /// <exception cref="ProblemException"><c>answer_too_large</c>: for a single member.</exception>
    /// <exception cref="BatchRunException">An answer of one of several members is too large.</exception>
    /// <exception cref="OnnxRuntimeException">The computation of several members failed. Its text is for no caller, who hears of the failing member's own run, so nothing is spent on it.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="stop"/> was set.</exception>
    public IReadOnlyList<TensorBuffer> Run(IReadOnlyList<BatchMember> members, CancellationToken stop)
    {
        ArgumentNullException.ThrowIfNull(members);
        return Run(members, AnswerLimit.OfRun(_model.MaxAnswerBytes, members), stop);
    }

    /// <summary>The same, for who knows how large the outputs may be: those of several members that were put together before.</summary>
    internal IReadOnlyList<TensorBuffer> Run(IReadOnlyList<BatchMember> members, long mostBytes, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        _model.Guard.Enter();
        try
        {
            for (var i = 0; i < _inputs.Length; i++)
                _inputs[i] = Gather(members, i);
            using var options = new RunOptions();
            using var registration = stop.UnsafeRegister(static o => ((RunOptions)o!).Terminate = true, options);
            using var outputs = Run(options);
            return Copy(outputs, mostBytes) ?? throw TooLarge(members);
        }
        catch (OnnxRuntimeException e) when (members.Count == 1 || stop.IsCancellationRequested)
        {
            stop.ThrowIfCancellationRequested();
            throw OnnxFailure.OnRun(e);
        }
        finally
        {
            for (var i = 0; i < _inputs.Length; i++)
            {
                _inputs[i]?.Dispose();
                _inputs[i] = null!;
                _pinned[i].Dispose();
                _pinned[i] = default;
            }
        }
    }

    /// <summary>Runs under the model's limit.</summary>
    private IDisposableReadOnlyCollection<OrtValue> Run(RunOptions options)
    {
        _watch.Begin(_model.Guard.Limit, () => options.Terminate = true);
        try
        {
            var outputs = _model.Session.Run(options, _inputNames, _inputs, _outputNames);
            _model.Guard.Ended();
            _watch.End();
            return outputs;
        }
        catch (OnnxRuntimeException) when (_watch.End())
        {
            throw _model.Guard.Stopped();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watch.Dispose();
        foreach (var buffer in _buffers)
            buffer.Dispose();
    }

    private OrtValue Gather(IReadOnlyList<BatchMember> members, int input)
    {
        var head = members[0].Inputs[input];
        var shape = head.Shape;
        if (members.Count == 1 && !head.Datatype.IsText && InPlace(head, input) is { } value)
            return value;
        if (members.Count > 1)
        {
            shape = (long[])shape.Clone();
            shape[0] = 0;
            foreach (var member in members)
                shape[0] += member.Inputs[input].Shape[0];
        }

        return head.Datatype.IsText ? GatherTexts(members, input, shape) : GatherBytes(members, input, shape, head.Datatype);
    }

    /// <summary>One member's tensor is read where it lies; null where it is too small for that to pay, or lies where a value of its type must not.</summary>
    private unsafe OrtValue? InPlace(TensorBuffer tensor, int input)
    {
        if (tensor.Bytes.Length < WorthPinning)
            return null;
        var pinned = _pinned[input] = tensor.Bytes.Pin();
        return (nint)pinned.Pointer % tensor.Datatype.Size == 0
            ? OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, tensor.Datatype.Element, tensor.Shape, (nint)pinned.Pointer, tensor.Bytes.Length)
            : null;
    }

    private OrtValue GatherBytes(IReadOnlyList<BatchMember> members, int input, long[] shape, TensorDatatype datatype)
    {
        var length = 0;
        foreach (var member in members)
            length = checked(length + member.Inputs[input].Bytes.Length);
        var target = _buffers[input].Take(length);
        var at = 0;
        foreach (var member in members)
        {
            var source = member.Inputs[input].Bytes.Span;
            source.CopyTo(target[at..]);
            at += source.Length;
        }

        return OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, datatype.Element, shape, _buffers[input].Address, length);
    }

    private static OrtValue GatherTexts(IReadOnlyList<BatchMember> members, int input, long[] shape)
    {
        var value = OrtValue.CreateTensorWithEmptyStrings(OrtAllocator.DefaultInstance, shape);
        var at = 0;
        foreach (var member in members)
        {
            foreach (var text in member.Inputs[input].Texts.Span)
                value.StringTensorSetElementAt(text, at++);
        }

        return value;
    }

    private Exception TooLarge(IReadOnlyList<BatchMember> members)
    {
        var failure = AnswerLimit.Exceeded(_model.MaxAnswerBytes);
        return members.Count == 1 ? failure : new BatchRunException("An answer is larger than it may be.", failure);
    }

    /// <summary>The outputs; null where they are too large, which is told by their shapes before anything is copied.</summary>
    private TensorBuffer[]? Copy(IReadOnlyList<OrtValue> outputs, long mostBytes)
    {
        var left = mostBytes;
        for (var i = 0; i < outputs.Count; i++)
        {
            if (!outputs[i].IsTensor)
                throw new ProblemException(ProblemCodes.ModelExecutionFailed, $"The model gave no tensor for its output '{_outputNames[i]}'. Export the model with tensors only.");
            var info = outputs[i].GetTensorTypeAndShape();
            var (count, size) = (info.ElementCount, _outputDatatypes[i].IsText ? AnswerLimit.PerText : _outputDatatypes[i].Size);
            // By division: the product of what a hostile model says may be larger than any number.
            if (count > left / size)
                return null;
            left -= count * size;
        }

        var copies = new TensorBuffer[_outputNames.Length];
        for (var i = 0; i < copies.Length; i++)
        {
            if (Copy(outputs[i], i, ref left) is not { } copy)
                return null;
            copies[i] = copy;
        }

        return copies;
    }

    private TensorBuffer? Copy(OrtValue value, int output, ref long left)
    {
        var info = value.GetTensorTypeAndShape();
        if (info.ElementDataType == TensorElementType.String)
            return Texts(value, checked((int)info.ElementCount), ref left) is { } texts ? TensorBuffer.OfTexts(_outputNames[output], info.Shape, texts) : null;
        var source = value.GetTensorMutableRawData();
        var bytes = GC.AllocateUninitializedArray<byte>(source.Length);
        source.CopyTo(bytes);
        return TensorBuffer.OfBytes(_outputNames[output], _outputDatatypes[output], info.Shape, bytes);
    }

    /// <summary>How long strings are is known only once they are read, one after the other.</summary>
    private static string[]? Texts(OrtValue value, int count, ref long left)
    {
        var texts = new string[count];
        for (var i = 0; i < count; i++)
        {
            texts[i] = value.GetStringElement(i);
            if ((left -= texts[i].Length) < 0)
                return null;
        }

        return texts;
    }
}
