using System.Runtime.InteropServices;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Models;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Onnx;

namespace QueueMaaS.Inference.Tests;

internal static class Samples
{
    public static Tensor Tensor(string name, string datatype, long[] shape, string json) =>
        new() { Name = name, Datatype = datatype, Shape = shape, Data = JsonElement.Parse(json) };

    public static TensorBuffer Floats(string name, long[] shape, params float[] values) =>
        TensorBuffer.OfBytes(name, TensorDatatype.Find(Datatypes.Fp32)!, shape, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    public static float[] ToFloats(TensorBuffer tensor) => MemoryMarshal.Cast<byte, float>(tensor.Bytes.Span).ToArray();

    public static float[] ToFloats(Tensor tensor) => tensor.Data.EnumerateArray().Select(e => e.GetSingle()).ToArray();

    public static ServedModel Serve(this ModelProto model, TempFolder folder, BatchingSettings? batching = null, ModelPipeline? pipeline = null, string name = "model", int version = 1)
    {
        var path = model.Save(folder.File($"{name}-{version}.onnx"));
        return new(name, version, path, new OnnxModelInspector().Inspect(path).Signature, pipeline, batching ?? new());
    }

    public static InferenceInput Request(params Tensor[] tensors) => new() { Model = "model", Inputs = tensors };

    public static Task<InferenceOutput> InferAsync(this IModelHost host, ServedModel model, params Tensor[] tensors) =>
        host.InferAsync(model, host.Prepare(model, Request(tensors)), new());

    public static Problem ShouldFail(Action action, string code)
    {
        var problem = Should.Throw<ProblemException>(action).Problem;
        problem.Code.ShouldBe(code, problem.Message);
        problem.Message.ShouldNotContain(Path.GetTempPath());
        return problem;
    }

    public static async Task<Problem> ShouldFailAsync(Task task, string code)
    {
        var problem = (await Should.ThrowAsync<ProblemException>(task)).Problem;
        problem.Code.ShouldBe(code, problem.Message);
        return problem;
    }
}
