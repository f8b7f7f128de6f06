using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Uploaded models that are made to take a worker from the others, with the settings as they are by default.</summary>
public abstract class HostileModelCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_model_that_takes_as_much_memory_as_a_request_says_fails_that_request_only()
    {
        var (name, isolation) = await UploadAsync(TestModels.AsMuchMemoryAsAsked());
        isolation.Isolated.ShouldBeTrue();
        isolation.Reason.ShouldContain("the values of a request decide");

        // 80 GB and 4,000 GB.
        foreach (var numbers in (string[])["2e10", "1e12"])
        {
            var refused = await (await InferAsync(name, numbers)).Content.ReadFromJsonAsync<JsonElement>(Cancel);
            refused.GetProperty("code").GetString().ShouldBe(ProblemCodes.OutOfMemory, refused.GetRawText());
        }

        (await InferAsync(name, "3")).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task An_answer_that_a_request_asks_to_be_larger_than_answers_may_be_is_refused_by_every_way_and_written_by_none()
    {
        var (name, isolation) = await UploadAsync(TestModels.AsLargeAnAnswerAsAsked());
        isolation.Isolated.ShouldBeTrue();

        // 80 MB of numbers; and 24 MB, which are 78 MB as text.
        foreach (var (count, way) in new[] { ("2e7", "fewer rows"), ("6e6", "binary_data_output") })
        {
            using var response = await InferAsync(name, count);
            response.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
            var refused = await response.Content.ReadFromJsonAsync<JsonElement>(Cancel);
            refused.GetProperty("code").GetString().ShouldBe(ProblemCodes.AnswerTooLarge);
            refused.GetProperty("error").GetString()!.ShouldContain(way);
            var job = await service.Api.SubmitAsync(Client.QueueMaaSClient.Inference(new InferenceInput { Model = name, Inputs = [new() { Name = "x", Shape = [1], Datatype = Datatypes.Fp32, Data = JsonElement.Parse($"[{count}]") }] }), cancellationToken: Cancel);
            job = await service.Api.WaitAsync(job.Id, Cancel);
            (job.State, job.Error?.Code, job.Attempt).ShouldBe((JobState.Failed, ProblemCodes.AnswerTooLarge, 1));
        }

        using var binary = await service.Http.PostAsJsonAsync(
            $"v2/models/{name}/infer", JsonSerializer.Deserialize<JsonElement>("""{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[6e6]}],"parameters":{"binary_data_output":true}}"""), Cancel);
        binary.StatusCode.ShouldBe(HttpStatusCode.OK);
        (await binary.Content.ReadAsByteArrayAsync(Cancel)).Length.ShouldBeGreaterThan(24_000_000);
    }

    [Fact]
    public async Task Another_model_is_served_while_one_computes_without_an_end()
    {
        // At its upload it was stopped after 10 s.
        var (name, isolation) = await UploadAsync(TestModels.AsMuchTimeAsItLikes(6000));
        isolation.ShouldSatisfyAllConditions(i => i.Isolated.ShouldBeTrue(), i => i.Reason.ShouldContain("too much"));

        using var gone = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var computing = InferAsync(name, "1", gone.Token);
        await Task.Delay(500, Cancel);
        using var good = await service.Http.PostAsJsonAsync("v2/models/double/infer", JsonSerializer.Deserialize<JsonElement>("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}"""), Cancel);
        good.StatusCode.ShouldBe(HttpStatusCode.OK);
        computing.IsCompleted.ShouldBeFalse();
        await gone.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(computing);
    }

    private async Task<(string Name, IsolationCheck Isolation)> UploadAsync(byte[] model)
    {
        var name = $"m{Guid.NewGuid():N}";
        return (name, (await service.Api.UploadModelAsync(name, new MemoryStream(model), Cancel)).Card!.Isolation!);
    }

    private Task<HttpResponseMessage> InferAsync(string model, string value, CancellationToken? cancel = null) => service.Http.PostAsJsonAsync(
        $"v2/models/{model}/infer", JsonSerializer.Deserialize<JsonElement>($$"""{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[{{value}}]}]}"""), cancel ?? Cancel);
}
