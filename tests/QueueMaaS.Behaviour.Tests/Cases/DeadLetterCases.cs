using System.Net;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Dead letters of both kinds: looked at, corrected, run again.</summary>
public abstract class DeadLetterCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_failed_job_can_be_run_again_with_another_input_and_stays_as_it_was()
    {
        var failed = await FailAsync(Requests.NewId());
        var letter = await GetAsync(failed.Id);
        letter.Type.ShouldBe(DeadLetterType.Failed);
        letter.Code.ShouldBe(ProblemCodes.ImageUnreadable);
        letter.Input!.Value.GetRawText().ShouldContain("bm90IGFuIGltYWdl");

        var corrected = JsonSerializer.Serialize(new { input = Requests.Double(4, 5).Input }, QueueMaaSJson.Relaxed);
        using var response = await service.Http.PostAsync($"v1/dead-letters/{failed.Id}/replay", Requests.Json(corrected), Cancel);
        response.StatusCode.ShouldBe(HttpStatusCode.OK, await response.Content.ReadAsStringAsync(Cancel));
        var made = JsonSerializer.Deserialize<Job>(await response.Content.ReadAsStringAsync(Cancel), QueueMaaSJson.Relaxed)!;
        made.ReplayOf.ShouldBe(failed.Id);
        Requests.Values(await service.Api.WaitAsync(made.Id, Cancel)).ShouldBe([8, 10]);
        (await GetAsync(failed.Id)).Input!.Value.GetRawText().ShouldContain("bm90IGFuIGltYWdl");
    }

    [Fact]
    public async Task All_failed_jobs_that_fit_a_filter_are_run_again()
    {
        var tag = Requests.NewId();
        var failed = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => FailAsync(tag)));
        using var response = await service.Http.PostAsync("v1/dead-letters/replay", Requests.Json(JsonSerializer.Serialize(new { tag, code = ProblemCodes.ImageUnreadable })), Cancel);
        var result = JsonSerializer.Deserialize<ReplayResult>(await response.Content.ReadAsStringAsync(Cancel), QueueMaaSJson.Relaxed)!;
        result.Replayed.Order().ShouldBe(failed.Select(job => job.Id).Order());
        result.Refused.ShouldBeEmpty();
        foreach (var job in failed)
            (await service.Api.WaitAsync(job.Id, Cancel)).Sequence.ShouldBeGreaterThan(job.Sequence);
    }

    [Fact]
    public async Task A_message_that_could_not_become_a_job_is_kept_and_becomes_one_when_corrected()
    {
        var secret = WebhookSignature.NewSecret();
        var id = await service.Bus.SubmitAsync(Requests.Double(1, 2, 3) with { Id = Requests.NewId(), Webhook = new WebhookTarget { Url = service.Webhooks.Url("x"), Secret = secret } }, Cancel);
        var letter = await FindMessageAsync(id);
        letter.Code.ShouldBe(ProblemCodes.TensorShapeMismatch);
        var body = (await GetAsync(letter.Id)).Body!;
        body.ShouldContain(id);
        body.ShouldContain("whsec_***", customMessage: "who may read may not sign");
        body.ShouldNotContain(secret);

        using var asItWas = await service.Http.PostAsync($"v1/dead-letters/{letter.Id}/replay", null, Cancel);
        (await Requests.ProblemAsync(asItWas)).Code.ShouldBe(ProblemCodes.TensorShapeMismatch);
        var corrected = JsonSerializer.Serialize(new { submission = Requests.Double(7, 8) with { Id = id } }, QueueMaaSJson.Relaxed);
        using var response = await service.Http.PostAsync($"v1/dead-letters/{letter.Id}/replay", Requests.Json(corrected), Cancel);
        response.StatusCode.ShouldBe(HttpStatusCode.OK, await response.Content.ReadAsStringAsync(Cancel));
        Requests.Values(await service.Api.WaitAsync(id, Cancel)).ShouldBe([14, 16]);
        (await GetAsync(letter.Id)).ReplayedAs.ShouldBe(id);
        (await service.Http.DeleteAsync($"v1/dead-letters/{letter.Id}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NoContent);
        (await service.Http.GetAsync($"v1/dead-letters/{letter.Id}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    private async Task<Job> FailAsync(string tag)
    {
        await service.Http.PutAsync("v1/models/pictures", TestImages.ModelWithPipeline(), Cancel);
        // Valid base64, but no image: that shows only when it runs.
        var submission = new JobSubmission { Kind = JobKind.Inference, Input = JsonElement.Parse("""{"model":"pictures","image":{"base64":"bm90IGFuIGltYWdl"}}"""), Tags = [tag] };
        return await service.Api.WaitAsync((await service.Api.SubmitAsync(submission, cancellationToken: Cancel)).Id, Cancel);
    }

    private async Task<DeadLetter> GetAsync(string id) => JsonSerializer.Deserialize<DeadLetter>(await service.Http.GetStringAsync($"v1/dead-letters/{id}", Cancel), QueueMaaSJson.Relaxed)!;

    private async Task<DeadLetter> FindMessageAsync(string jobId)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        while (true)
        {
            var page = JsonSerializer.Deserialize<Page<DeadLetter>>(await service.Http.GetStringAsync("v1/dead-letters?type=unprocessable&limit=200", limit.Token), QueueMaaSJson.Relaxed)!;
            foreach (var letter in page.Items)
            {
                if ((await GetAsync(letter.Id)).Body?.Contains(jobId, StringComparison.Ordinal) == true)
                    return letter;
            }
        }
    }
}
