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
