using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;
using QueueMaaS.Contracts;
using QueueMaaS.Fuzzing;
using QueueMaaS.Jobs.Submission;
using QueueMaaS.Messaging.Submission;
using QueueMaaS.OpenInference.Grpc;
using QueueMaaS.OpenInference.Grpc.Messages;
using QueueMaaS.OpenInference.Http;

namespace QueueMaaS.Unit.Tests;

/// <summary>Submissions, over HTTP and the bus, are read or refused whatever they are.</summary>
public sealed class FuzzTests
{
    [Fact]
    public void A_parser_that_breaks_is_found() => Should.Throw<InvalidOperationException>(() => Mutations.Try("broken", [new byte[64]], static bytes =>
    {
        // Trusts a length that stands in the file.
        var length = bytes.Length > 4 ? bytes[4] : 0;
        _ = bytes[length];
    })).Message.ShouldContain("neither read nor refused");

    [Fact]
    public void Submissions() => Mutations.Try("submission", [.. new[]
    {
        """{"id":"a-1","kind":"inference","input":{"model":"m","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]},"priority":7,"tags":["x"],"webhook":{"url":"https://example.org/h","events":["completed"]},"deadline":"2030-01-01T00:00:00Z","after":["b"],"group":{"id":"g","size":2}}""",
        """{"kind":"training","input":{"model":"m","dataset":"d","epochs":3,"optimization":{"optimizer":"adam","learningRate":0.001}},"runAt":"2030-01-01T00:00:00+02:00","retry":{"maxAttempts":2},"unique":{"key":"k","periodSeconds":60}}""",
    }.Select(Encoding.UTF8.GetBytes)], bytes =>
    {
        var submission = SubmissionReader.Read(bytes, 1 << 20);
        _ = submission.Kind switch
        {
            JobKind.Inference => (object)SubmissionReader.ReadInput<InferenceInput>(submission.Input),
            JobKind.Training => SubmissionReader.ReadInput<TrainingInput>(submission.Input),
            _ => submission.Input.GetRawText(),
        };
        _ = OutputReferences.Find(submission.Input);
        _ = JsonSerializer.Serialize(submission, QueueMaaSJson.Relaxed);
    });

    [Fact]
    public void Submissions_in_an_envelope() => Mutations.Try("envelope", [.. new[]
    {
        """{"messageId":"a","messageType":["urn:message:QueueMaaS.Contracts:SubmitJob"],"message":{"kind":"inference","input":{"model":"m"}},"headers":{}}""",
        """{"messageType":[],"message":{"kind":"training","input":{"model":"m","dataset":"d"}},"message":null}""",
    }.Select(Encoding.UTF8.GetBytes)], static bytes => SubmissionReader.Read(SubmissionMessage.From(bytes, new Dictionary<string, string>(), messageId: null, contentType: null).Submission.Span, 1 << 20));

    private static readonly ModelSignature Signature = new(
        [new("x", Datatypes.Fp32, [-1, 2]), new("flags", Datatypes.Bool, [-1]), new("texts", Datatypes.Bytes, [-1])], [new("y", Datatypes.Fp32, [-1, 2])]);

    [Fact]
    public void Requests_of_the_open_inference_protocol_with_tensors_in_binary()
    {
        var json = Encoding.UTF8.GetBytes("""{"id":"r","parameters":{"priority":3,"timeout":1000},"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","parameters":{"binary_data_size":16}},{"name":"flags","shape":[2],"datatype":"BOOL","parameters":{"binary_data_size":2}},{"name":"texts","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":11}}],"outputs":[{"name":"y","parameters":{"binary_data":true,"classification":2}}]}""");
        byte[] body = [.. json, .. new byte[16], 1, 0, 1, 0, 0, 0, (byte)'a', 2, 0, 0, 0, 0xC3, 0x9F];
        var headers = new HeaderDictionary { [InferRequestReader.LengthHeader] = json.Length.ToString(System.Globalization.CultureInfo.InvariantCulture) };
        InferRequestReader.Read(headers, body, Signature).Inputs.Count.ShouldBe(3);
        Mutations.Try("infer-binary", [body], bytes => InferRequestReader.Read(headers, bytes, Signature));
    }

    [Fact]
    public void Requests_of_the_open_inference_protocol_in_json() => Mutations.Try("infer-json", [.. new[]
    {
        """{"id":"r","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2.5]},{"name":"texts","shape":[1],"datatype":"BYTES","data":["\u00df"]}],"outputs":[{"name":"y","parameters":{"classification":1}}]}""",
        """{"parameters":{"sequence_id":0},"inputs":[{"name":"flags","shape":[2],"datatype":"BOOL","data":[true,false]}]}""",
    }.Select(Encoding.UTF8.GetBytes)], static bytes => InferRequestReader.Read(new HeaderDictionary(), bytes, Signature));

    [Fact]
    public void Requests_over_grpc()
    {
        var raw = new ModelInferRequest { ModelName = "m", Id = "r" };
        raw.Inputs.Add(new ModelInferRequest.Types.InferInputTensor { Name = "x", Datatype = "FP32", Shape = { 1, 2 } });
        raw.Inputs.Add(new ModelInferRequest.Types.InferInputTensor { Name = "texts", Datatype = "BYTES", Shape = { 1 } });
        raw.RawInputContents.Add(ByteString.CopyFrom(new byte[8]));
        raw.RawInputContents.Add(ByteString.CopyFrom(1, 0, 0, 0, (byte)'a'));
        var typed = new ModelInferRequest { ModelName = "m" };
        typed.Inputs.Add(new ModelInferRequest.Types.InferInputTensor { Name = "flags", Datatype = "BOOL", Shape = { 2 }, Contents = new InferTensorContents { BoolContents = { true, false } } });
        typed.Outputs.Add(new ModelInferRequest.Types.InferRequestedOutputTensor { Name = "y" });
        Mutations.Try("infer-grpc", [raw.ToByteArray(), typed.ToByteArray()], static bytes =>
        {
            ModelInferRequest request;
            try
            {
                request = ModelInferRequest.Parser.ParseFrom(bytes);
            }
            catch (InvalidProtocolBufferException)
            {
                // gRPC itself refuses these.
                return;
            }

            GrpcTensors.Read(request, Signature);
        });
    }
}
