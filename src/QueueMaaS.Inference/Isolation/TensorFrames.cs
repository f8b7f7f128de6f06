using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Microsoft.ML.OnnxRuntime.Tensors;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Isolation;

/// <summary>
/// What goes over a connection between a worker and a model's process: a byte for the kind, then its content; numbers are little-endian. A tensor is its element type (1 byte), its rank (1), its sizes (8 each), the length of its
/// values in bytes (8) and the values as they lie in memory; strings lie behind each other, each with its length (4) before it. Names are left out: both sides know the order.
/// What does not fit is refused with <see cref="InvalidDataException"/>: the process computes what somebody else made, and is not trusted.
/// </summary>
internal sealed class TensorFrames(Stream stream, long mostBytes) : IDisposable
{
    /// <summary>Sizes of a tensor; more than any model has.</summary>
    private const int MostAxes = 64;

    /// <summary>Of a problem.</summary>
    private const int MostText = 1 << 20;

    // One each way: a buffered stream that reads and writes minds what the other side sends unasked.
    private readonly BufferedStream _read = new(stream, 1 << 16);
    private readonly BufferedStream _write = new(stream, 1 << 16);
    private readonly byte[] _number = new byte[sizeof(long)];

    /// <summary>Gathers the members' rows into one tensor per input on their way.</summary>
    /// <param name="members">The members.</param>
    /// <param name="mostOutput">Most bytes of the outputs: the process does not know whose rows it computes.</param>
    public void WriteRun(IReadOnlyList<BatchMember> members, long mostOutput)
    {
        WriteByte((byte)FrameKind.Run);
        WriteNumber(mostOutput);
        var inputs = members[0].Inputs.Count;
        WriteNumber(inputs);
        for (var input = 0; input < inputs; input++)
        {
            var head = members[0].Inputs[input];
            var (shape, length) = ((long[])head.Shape.Clone(), 0L);
            if (members.Count > 1)
                shape[0] = 0;
            foreach (var member in members)
            {
                var tensor = member.Inputs[input];
                if (members.Count > 1)
                    shape[0] += tensor.Shape[0];
                length += LengthOf(tensor);
            }

            WriteHead(head.Datatype, shape, length);
            foreach (var member in members)
                WriteValues(member.Inputs[input]);
        }

        _write.Flush();
    }

    public void WriteOutputs(IReadOnlyList<TensorBuffer> outputs)
    {
        WriteByte((byte)FrameKind.Outputs);
        WriteNumber(outputs.Count);
        foreach (var output in outputs)
        {
            WriteHead(output.Datatype, output.Shape, LengthOf(output));
            WriteValues(output);
        }

        _write.Flush();
    }

    public void WriteFailure(string problem, string runtimeText)
    {
        WriteByte((byte)FrameKind.Failed);
        WriteText(problem);
        WriteText(runtimeText);
        _write.Flush();
    }

    public void WriteStopped()
    {
        WriteByte((byte)FrameKind.Stopped);
        _write.Flush();
    }

    /// <exception cref="EndOfStreamException">The other side has gone.</exception>
    public FrameKind ReadKind() => _read.ReadByte() switch
    {
        < 0 => throw new EndOfStreamException(),
        var kind and > 0 and <= (int)FrameKind.Stopped => (FrameKind)kind,
        var kind => throw new InvalidDataException($"There is no frame of kind {kind}."),
    };

    /// <summary>Most bytes of a run's outputs: what comes before its tensors.</summary>
    public long ReadMostOutput() => ReadNumber();

    /// <summary>The tensors of a run or of its outputs.</summary>
    /// <param name="names">Theirs, in order.</param>
    public TensorBuffer[] ReadTensors(IReadOnlyList<TensorSignature> names)
    {
        if (ReadNumber() != names.Count)
            throw new InvalidDataException("Another number of tensors than the model has.");
        var tensors = new TensorBuffer[names.Count];
        for (var i = 0; i < tensors.Length; i++)
            tensors[i] = ReadTensor(names[i].Name);
        return tensors;
    }

    public string ReadText()
    {
        var length = ReadNumber();
        if (length is < 0 or > MostText)
            throw new InvalidDataException($"A text of {length} bytes.");
        var bytes = new byte[length];
        _read.ReadExactly(bytes);
        return Encoding.UTF8.GetString(bytes);
    }

    /// <summary>Closes the connection. What was not flushed was a frame that failed.</summary>
    public void Dispose() => stream.Dispose();

    private TensorBuffer ReadTensor(string name)
    {
        var element = (TensorElementType)ReadByte();
        var datatype = TensorDatatype.Find(element) ?? throw new InvalidDataException($"A tensor of {element}.");
        var shape = new long[ReadByte() is var rank and <= MostAxes ? rank : throw new InvalidDataException("A tensor of too many axes.")];
        for (var axis = 0; axis < shape.Length; axis++)
            shape[axis] = ReadNumber() is var size and >= 0 ? size : throw new InvalidDataException("A tensor of a negative size.");
        var length = ReadNumber();
        if (length < 0 || length > Math.Min(mostBytes, Array.MaxLength))
            throw new InvalidDataException($"A tensor of {length} bytes.");
        try
        {
            if (datatype.IsText)
                return TensorBuffer.OfTexts(name, shape, ReadTexts(length));
            var bytes = GC.AllocateUninitializedArray<byte>((int)length);
            _read.ReadExactly(bytes);
            return TensorBuffer.OfBytes(name, datatype, shape, bytes);
        }
        catch (Exception e) when (e is ArgumentException or OverflowException)
        {
            throw new InvalidDataException("A tensor whose values do not fit its shape.", e);
        }
    }

    private string[] ReadTexts(long length)
    {
        var texts = new List<string>();
        var bytes = Array.Empty<byte>();
        while (length > 0)
        {
            _read.ReadExactly(_number, 0, sizeof(int));
            var size = BinaryPrimitives.ReadInt32LittleEndian(_number);
            length -= sizeof(int) + (long)size;
            if (size < 0 || length < 0)
                throw new InvalidDataException($"A string of {size} bytes.");
            if (bytes.Length < size)
                bytes = new byte[size];
            _read.ReadExactly(bytes, 0, size);
            texts.Add(Encoding.UTF8.GetString(bytes, 0, size));
        }

        return [.. texts];
    }

    private void WriteHead(TensorDatatype datatype, long[] shape, long length)
    {
        WriteByte((byte)datatype.Element);
        WriteByte((byte)shape.Length);
        foreach (var size in shape)
            WriteNumber(size);
        WriteNumber(length);
    }

    private void WriteValues(TensorBuffer tensor)
    {
        if (!tensor.Datatype.IsText)
        {
            _write.Write(tensor.Bytes.Span);
            return;
        }

        foreach (var text in tensor.Texts.Span)
        {
            var bytes = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text.Length));
            var length = Encoding.UTF8.GetBytes(text, bytes);
            BinaryPrimitives.WriteInt32LittleEndian(_number, length);
            _write.Write(_number, 0, sizeof(int));
            _write.Write(bytes, 0, length);
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private static long LengthOf(TensorBuffer tensor)
    {
        if (!tensor.Datatype.IsText)
            return tensor.Bytes.Length;
        var length = 0L;
        foreach (var text in tensor.Texts.Span)
            length += sizeof(int) + Encoding.UTF8.GetByteCount(text);
        return length;
    }

    private void WriteText(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        WriteNumber(Math.Min(bytes.Length, MostText));
        _write.Write(bytes, 0, Math.Min(bytes.Length, MostText));
    }

    private void WriteByte(byte value) => _write.WriteByte(value);

    private void WriteNumber(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(_number, value);
        _write.Write(_number);
    }

    private byte ReadByte() => _read.ReadByte() is var value and >= 0 ? (byte)value : throw new EndOfStreamException();

    private long ReadNumber()
    {
        _read.ReadExactly(_number);
        return BinaryPrimitives.ReadInt64LittleEndian(_number);
    }
}

/// <summary>What a frame is.</summary>
internal enum FrameKind
{
    /// <summary>To the process: compute these inputs.</summary>
    Run = 1,
    /// <summary>From it: the outputs.</summary>
    Outputs,
    /// <summary>From it: a problem, and what ONNX Runtime said of it.</summary>
    Failed,
    /// <summary>From it: the run was stopped, as it was told to.</summary>
    Stopped,
}
