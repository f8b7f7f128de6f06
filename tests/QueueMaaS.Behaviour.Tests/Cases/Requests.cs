using System.Text;
using System.Text.Json;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Submissions that many cases use.</summary>
internal static class Requests
{
    public static string NewId() => $"t-{Guid.NewGuid():n}";

    public static JobSubmission Double(params float[] row) => QueueMaaSClient.Inference(new InferenceInput { Model = "double", Inputs = [Row(row)] });

    public static Tensor Row(params float[] row) => new() { Name = "x", Shape = [1, row.Length], Datatype = Datatypes.Fp32, Data = JsonSerializer.SerializeToElement(row) };

    public static float[] Values(Job job) => [.. Output<InferenceOutput>(job).Outputs![0].Data.EnumerateArray().Select(value => value.GetSingle())];

    public static T Output<T>(Job job)
    {
        job.State.ShouldBe(JobState.Succeeded, $"{job.Error?.Code}: {job.Error?.Message}");
        return job.Output!.Value.Deserialize<T>(QueueMaaSJson.Relaxed)!;
    }

    public static StringContent Json(string json) => new(json, Encoding.UTF8, "application/json");

    public static async Task<(int Status, string Code, string Detail)> ProblemAsync(HttpResponseMessage response)
    {
        response.Content.Headers.ContentType!.MediaType.ShouldBe("application/problem+json");
        var body = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        body.GetRawText().ShouldNotContain(" at QueueMaaS", customMessage: "no stack trace may reach a client");
        return ((int)response.StatusCode, body.GetProperty("code").GetString()!, body.GetProperty("detail").GetString()!);
    }
}
