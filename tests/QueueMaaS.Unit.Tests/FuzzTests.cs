using System.Text;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Fuzzing;
using QueueMaaS.Jobs.Submission;

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
}
