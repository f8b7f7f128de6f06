using System.Buffers;
using System.Runtime.CompilerServices;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;
using QueueMaaS.Inference.Preparation;
using QueueMaaS.Inference.Preparation.Answers;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.BatchJobs.Sources;

/// <summary>The rows of a NumPy array, as the model's only input.</summary>
internal sealed class NpySource : IItemSource
{
    private readonly NpyFile _file;
    private readonly ModelSignature _signature;
    private readonly TensorDatatype _datatype;

    private NpySource(NpyFile file, ModelSignature signature)
    {
        _file = file;
        _signature = signature;
        _datatype = TensorDatatype.Find(file.Header.Datatype)!;
    }

    /// <exception cref="ProblemException"><c>array_invalid</c>, or <c>tensor_shape_mismatch</c> or <c>tensor_datatype_mismatch</c> where its rows are none of the model's.</exception>
    public static NpySource Open(string path, ModelSignature signature)
    {
        var file = NpyFile.Open(path);
        try
        {
            Check(file.Header, signature);
            return new(file, signature);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public Task<SourceScan> ScanAsync(int stride, long limit, CancellationToken cancellationToken) => Task.FromResult(new SourceScan(Math.Min(limit, _file.Header.Rows), []));

    public async IAsyncEnumerable<ItemGroup> ReadAsync(long first, long offset, int count, int size, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var at = 0; at < count; at += size)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var rows = Math.Min(size, count - at);
            var length = checked(rows * _file.RowBytes);
            // A new array of this size for every group would keep the collector busy.
            var bytes = ArrayPool<byte>.Shared.Rent(length);
            _file.Read(first + at, bytes.AsSpan(0, length));
            yield return Group(first + at, rows, bytes.AsMemory(0, length)) with { Lent = bytes };
        }

        await Task.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        _file.Dispose();
        return ValueTask.CompletedTask;
    }

    private ItemGroup Group(long first, int rows, ReadOnlyMemory<byte> bytes)
    {
        var items = new Item[rows];
        for (var i = 0; i < rows; i++)
            items[i] = new(first + i + 1, null, null, null, null);
        var input = _signature.Inputs[0];
        var tensor = TensorBuffer.OfBytes(input.Name, _datatype, [rows, .. _file.Header.Shape.Skip(1)], bytes);
        return GroupBuilder.Build(items, places =>
        {
            var own = places.Count == rows ? tensor : tensor.Rows(places[0], 1);
            return InferenceRequestCheck.FromBuffers(_signature, [input.Datatype == _datatype.Name ? own : Converted(own, input)]);
        });
    }

    /// <summary>Numbers of another width are converted; one that the model cannot hold is refused.</summary>
    private static TensorBuffer Converted(TensorBuffer tensor, TensorSignature input)
    {
        var numbers = OutputNumbers.ToDouble(tensor);
        return NumberWriter.Write(input, tensor.Shape, numbers, at => new ProblemException(
            ProblemCodes.TensorDatatypeMismatch, $"The value {numbers[at]} cannot be held by the model's input '{input.Name}' ({input.Datatype}).", ("value", numbers[at])));
    }

    private static void Check(NpyHeader header, ModelSignature signature)
    {
        if (signature.Inputs is not [var input])
            throw new ProblemException(ProblemCodes.TensorNameMismatch, $"An array feeds one input, but the model has {signature.Inputs.Count}. Send the items as JSON Lines with all inputs.");
        var fits = input.Shape.Count == header.Shape.Count && header.Shape.Count > 0 && input.Shape.Skip(1).Zip(header.Shape.Skip(1)).All(static pair => pair.First < 0 || pair.First == pair.Second);
        if (!fits)
        {
            throw new ProblemException(
                ProblemCodes.TensorShapeMismatch, $"The array has the shape {TensorBuffer.Describe(header.Shape)}, but the model's input '{input.Name}' is {TensorBuffer.Describe(input.Shape)}. Its first axis is the items; the others must be the model's.",
                ("given", header.Shape), ("expected", input.Shape));
        }

        if (input.Datatype != header.Datatype && (input.Datatype == Datatypes.Bytes || header.Datatype == Datatypes.Bool != (input.Datatype == Datatypes.Bool)))
            throw new ProblemException(ProblemCodes.TensorDatatypeMismatch, $"The array holds {header.Datatype}, but the model's input '{input.Name}' takes {input.Datatype}.", ("given", header.Datatype), ("expected", input.Datatype));
    }
}
