using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.OpenInference.Grpc.Messages;
using QueueMaaS.OpenInference.Protocol;

namespace QueueMaaS.OpenInference.Grpc;

/// <summary>Between the messages of gRPC and tensors in memory.</summary>
internal static class GrpcTensors
{
    private const int MaxClasses = 10_000;

    /// <exception cref="ProblemException"><c>invalid_request</c>, or as <see cref="TensorReader"/>.</exception>
    public static InferRequest Read(ModelInferRequest request, ModelSignature signature)
    {
        var raw = request.RawInputContents.Count > 0;
        if (raw && request.RawInputContents.Count != request.Inputs.Count)
            throw Invalid($"`raw_input_contents` has {request.RawInputContents.Count} entries for {request.Inputs.Count} inputs. Give one for each, or all values in `contents`.");
        if (Integer(request.Parameters, "sequence_id") is not (null or 0))
            throw Invalid("`sequence_id` is set, but models here keep no state between requests. Leave it out.");
        var inputs = request.Inputs.Select((input, index) => Read(input, raw ? request.RawInputContents[index] : null, signature)).ToArray();
        return new()
        {
            Id = request.Id,
            Inputs = inputs,
            Outputs = request.Outputs.Count == 0 ? null : [.. request.Outputs.Select(Read)],
            BinaryOutputs = true,
            Parameters = new((ulong)(Integer(request.Parameters, "priority") ?? 0), (ulong)(Integer(request.Parameters, "timeout") ?? 0)),
        };
    }

    public static ByteString Raw(TensorBuffer tensor)
    {
        // The bytes are the answer's own and change no more, so they are sent from where they lie.
        if (!tensor.Datatype.IsText)
            return UnsafeByteOperations.UnsafeWrap(tensor.Bytes);
        var bytes = new byte[TextTensor.Size(tensor)];
        TextTensor.Write(tensor, bytes);
        return UnsafeByteOperations.UnsafeWrap(bytes);
    }

    private static TensorBuffer Read(ModelInferRequest.Types.InferInputTensor input, ByteString? raw, ModelSignature signature)
    {
        var header = new TensorHeader(input.Name, input.Datatype, [.. input.Shape]);
        var expected = TensorReader.Expect(signature, header.Name);
        if (input.Parameters.ContainsKey("shared_memory_region"))
            throw Invalid($"Input '{input.Name}' lies in shared memory, which is not served. Send its values with the request.");
        if (raw is not null)
        {
            return input.Contents is null || input.Contents.CalculateSize() == 0
                ? BinaryTensor.Read(header, raw.Memory, expected)
                : throw Invalid($"Input '{input.Name}' has both `contents` and an entry in `raw_input_contents`. Give one of them.");
        }

        var (datatype, count) = TensorReader.Check(header, expected);
        var contents = input.Contents ?? new InferTensorContents();
        if (datatype.IsText)
            return Texts(header, count, contents);
        var bytes = datatype.Name switch
        {
            Datatypes.Bool => contents.BoolContents.Select(static value => value ? (byte)1 : (byte)0).ToArray(),
            Datatypes.Int8 => Narrow<int, sbyte>(header, contents.IntContents),
            Datatypes.Int16 => Narrow<int, short>(header, contents.IntContents),
            Datatypes.Int32 => Narrow<int, int>(header, contents.IntContents),
            Datatypes.Int64 => Narrow<long, long>(header, contents.Int64Contents),
            Datatypes.UInt8 => Narrow<uint, byte>(header, contents.UintContents),
            Datatypes.UInt16 => Narrow<uint, ushort>(header, contents.UintContents),
            Datatypes.UInt32 => Narrow<uint, uint>(header, contents.UintContents),
            Datatypes.UInt64 => Narrow<ulong, ulong>(header, contents.Uint64Contents),
            Datatypes.Fp32 => Narrow<float, float>(header, contents.Fp32Contents),
            Datatypes.Fp64 => Narrow<double, double>(header, contents.Fp64Contents),
            _ => throw Invalid($"Input '{input.Name}' is {datatype.Name}, for which `contents` has no list. Send it in `raw_input_contents`."),
        };
        return bytes.Length == (long)count * datatype.Size ? TensorBuffer.OfBytes(header.Name, datatype, header.Shape, bytes) : throw CountMismatch(header, count, bytes.Length / datatype.Size);
    }

    private static TensorBuffer Texts(TensorHeader header, int count, InferTensorContents contents)
    {
        if (contents.BytesContents.Count != count)
            throw CountMismatch(header, count, contents.BytesContents.Count);
        return TensorBuffer.OfTexts(header.Name, header.Shape, contents.BytesContents.Select((bytes, index) => TextTensor.Text(header, index, bytes.Span)).ToArray());
    }

    private static byte[] Narrow<TWide, TOwn>(TensorHeader header, Google.Protobuf.Collections.RepeatedField<TWide> values)
        where TWide : struct, System.Numerics.INumber<TWide>
        where TOwn : struct, System.Numerics.INumber<TOwn>
    {
        var own = new TOwn[values.Count];
        for (var i = 0; i < own.Length; i++)
        {
            try
            {
                own[i] = TOwn.CreateChecked(values[i]);
            }
            catch (OverflowException)
            {
                throw new ProblemException(
                    ProblemCodes.TensorDatatypeMismatch, $"Input '{header.Name}' has at index {i} the value {values[i].ToString(null, CultureInfo.InvariantCulture)}, which does not fit into {header.Datatype}.", ("input", header.Name), ("index", i));
            }
        }

        return MemoryMarshal.AsBytes(own.AsSpan()).ToArray();
    }

    private static WantedOutput Read(ModelInferRequest.Types.InferRequestedOutputTensor output)
    {
        if (output.Parameters.ContainsKey("shared_memory_region"))
            throw Invalid($"Output '{output.Name}' is wanted in shared memory, which is not served.");
        var classes = Integer(output.Parameters, "classification") ?? 0;
        return classes <= MaxClasses ? new(output.Name, Binary: null, (int)classes) : throw Invalid($"`classification` of output '{output.Name}' is {classes}; at most {MaxClasses} classes are given.");
    }

    private static long? Integer(Google.Protobuf.Collections.MapField<string, InferParameter> parameters, string name)
    {
        if (!parameters.TryGetValue(name, out var parameter))
            return null;
        var value = parameter.ParameterChoiceCase switch
        {
            InferParameter.ParameterChoiceOneofCase.Int64Param => parameter.Int64Param,
            InferParameter.ParameterChoiceOneofCase.Uint64Param => (long)Math.Min(parameter.Uint64Param, long.MaxValue),
            InferParameter.ParameterChoiceOneofCase.StringParam when parameter.StringParam.Length == 0 => 0,
            _ => -1,
        };
        return value >= 0 ? value : throw Invalid($"The parameter `{name}` is not a whole number of at least 0.");
    }

    private static ProblemException CountMismatch(TensorHeader header, int count, int given) => new(
        ProblemCodes.TensorShapeMismatch,
        $"Input '{header.Name}' has the shape [{string.Join(", ", header.Shape)}], which is {count} elements of {header.Datatype}, but `contents` has {given} of that kind. Make shape and values agree.",
        ("input", header.Name), ("expected", count), ("given", given));

    private static ProblemException Invalid(string message) => new(ProblemCodes.InvalidRequest, message);
}
