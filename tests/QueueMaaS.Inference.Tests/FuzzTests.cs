using System.Text.Json;
using Google.Protobuf;
using QueueMaaS.Contracts;
using QueueMaaS.Fuzzing;
using QueueMaaS.Inference.Models;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Onnx;

namespace QueueMaaS.Inference.Tests;

/// <summary>Tensors of requests and uploaded models are read or refused whatever they are.</summary>
public sealed class FuzzTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Tensors() => Mutations.Try("tensor", [.. new[]
    {
        """{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2.5,-3e7,4]}""", """{"name":"x","shape":[1,2],"datatype":"BYTES","data":["a","ß"]}""", """{"name":"x","shape":[2],"datatype":"INT64","data":[9007199254740993,-1]}""",
    }.Select(System.Text.Encoding.UTF8.GetBytes)], bytes =>
    {
        Tensor tensor;
        try
        {
            tensor = JsonSerializer.Deserialize<Tensor>(bytes, QueueMaaSJson.Relaxed)!;
        }
        catch (JsonException)
        {
            // The reader of the whole body says so; here the tensor itself is tried.
            return;
        }

        if (tensor is null)
            return;
        foreach (var datatype in (string[])["FP32", "BYTES", "INT64", "BOOL", "FP16"])
            TensorReader.Read(tensor with { Datatype = datatype }, new TensorSignature("x", datatype, [-1, 2]));
    });

    // ONNX Runtime itself reads these: a model that breaks it would end this process, and the test run says so.
    [Fact]
    public void Uploaded_models()
    {
        var path = _folder.File("fuzzed.onnx");
        Mutations.Try("upload", [Graphs.Linear().ToByteArray(), Graphs.Lookup().ToByteArray(), Graphs.Identity().ToByteArray()], bytes =>
        {
            File.WriteAllBytes(path, bytes);
            new OnnxModelInspector().Inspect(path);
        });
    }

    /// <summary>What comes from the process of a model that somebody else made.</summary>
    [Fact]
    public void Frames_of_a_models_process()
    {
        using var good = new MemoryStream();
        using (var frames = new Isolation.TensorFrames(good, long.MaxValue))
        {
            frames.WriteOutputs([Samples.Floats("y", [2, 2], 1, 2, 3, 4), TensorBuffer.OfTexts("t", [2], new[] { "a", "ß" })]);
            frames.WriteFailure("""{"code":"model_execution_failed","message":"m"}""", "text");
            Mutations.Try("frames", [good.ToArray()], static bytes =>
            {
                using var read = new Isolation.TensorFrames(new MemoryStream(bytes), 1 << 20);
                try
                {
                    while (read.ReadKind() is var kind)
                    {
                        if (kind is Isolation.FrameKind.Outputs or Isolation.FrameKind.Run)
                            read.ReadTensors([new("y", "FP32", [-1]), new("t", "BYTES", [-1])]);
                        else if (kind == Isolation.FrameKind.Failed)
                            _ = (read.ReadText(), read.ReadText());
                    }
                }
                catch (Exception e) when (e is EndOfStreamException or InvalidDataException)
                {
                    // Refused, as the worker does by ending the process.
                }
            });
        }
    }

    [Fact]
    public void Lines_of_openai_batch_files()
    {
        var served = Graphs.Linear().Serve(_folder, name: "m");
        Mutations.Try("openai", [.. new[]
        {
            """{"custom_id":"a","method":"POST","url":"/v1/inference","body":{"model":"m","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}}""",
            """{"custom_id":"b","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":["text","\u00df"]}}""",
        }.Select(System.Text.Encoding.UTF8.GetBytes)], bytes =>
        {
            var line = BatchJobs.Sources.OpenAiLines.Read(bytes, 1);
            _ = BatchJobs.Sources.OpenAiLines.ToInput(line, served, 1);
        });
    }
}
