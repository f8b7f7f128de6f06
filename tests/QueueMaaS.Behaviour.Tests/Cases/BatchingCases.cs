using System.Net;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>The batching settings of a model version, as its users meet them.</summary>
public abstract class BatchingCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_answer_that_is_not_finite_fails_its_job_alone_where_the_version_says_so()
    {
        await UploadAsync("finite", """{ "rejectNonFinite": true }""");

        var jobs = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => RunAsync("finite", i == 17 ? 3e38f : i)));

        jobs[17].State.ShouldBe(JobState.Failed);
        jobs[17].Error!.Code.ShouldBe(ProblemCodes.ModelExecutionFailed);
        jobs[17].Error!.Message.ShouldContain("not finite");
        jobs.Where((_, i) => i != 17).ShouldAllBe(job => job.State == JobState.Succeeded);
    }

    [Fact]
    public async Task An_identical_request_gets_the_kept_answer_with_a_receipt_that_says_so()
    {
        await UploadAsync("kept", """{ "cacheSeconds": 600, "shareIdentical": true }""");

        var first = Requests.Output<InferenceOutput>(await RunAsync("kept", 1));
        var again = Requests.Output<InferenceOutput>(await RunAsync("kept", 1));
        var other = Requests.Output<InferenceOutput>(await RunAsync("kept", 2));

        first.Batch.Cached.ShouldBeFalse();
        again.Batch.Cached.ShouldBeTrue();
        again.Outputs![0].Data.GetRawText().ShouldBe(first.Outputs![0].Data.GetRawText());
        other.Batch.Cached.ShouldBeFalse();
        using var protocol = await service.Http.PostAsync("v2/models/kept/infer", new StringContent("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,0]}]}"""), Cancel);
        var receipt = JsonElement.Parse(await protocol.Content.ReadAsStringAsync(Cancel)).GetProperty("parameters");
        receipt.GetProperty("cached").GetBoolean().ShouldBeTrue();
        receipt.GetProperty("shared").GetBoolean().ShouldBeFalse();
        receipt.GetProperty("model_hash").GetString().ShouldBe(first.Artifact);
    }

    [Fact]
    public async Task A_request_that_would_miss_its_deadline_by_waiting_for_others_does_not_wait()
    {
        await UploadAsync("patient", """{ "maxQueueDelayMs": 5000 }""");
        for (var i = 0; i < 5; i++)
        {
            using var response = await service.Http.PostAsync(
                "v2/models/patient/infer", new StringContent("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}],"parameters":{"timeout":1000000}}"""), Cancel);
            response.StatusCode.ShouldBe(HttpStatusCode.OK, await response.Content.ReadAsStringAsync(Cancel));
        }
    }

    [Fact]
    public async Task Every_result_carries_its_receipt()
    {
        var job = await RunAsync("double", 1);
        var output = Requests.Output<InferenceOutput>(job);

        output.Artifact.ShouldNotBeNull().ShouldStartWith("sha256:");
        output.Worker.ShouldNotBeNullOrEmpty();
        output.Attempt.ShouldBe(1);
        output.Batch.Size.ShouldBeGreaterThan(0);
        output.Batch.ClosedBecause.ShouldBeOneOf("idle", "full");
        output.Batch.ComputeMs.ShouldBeGreaterThanOrEqualTo(0);
    }

    [Fact]
    public async Task A_job_is_told_when_to_expect_its_answer_once_its_model_has_been_measured()
    {
        await UploadAsync("measured", """{ "maxBatchSize": 4 }""");

        // The worker tells how busy it is once a second; each turn of this loop takes as long as a job.
        for (var i = 0; i < 5000; i++)
        {
            var accepted = await service.Api.SubmitAsync(Submission("measured", i), cancellationToken: Cancel);
            await service.Api.WaitAsync(accepted.Id, Cancel);
            if (accepted.ExpectedFinish is { } finish)
            {
                finish.ShouldBeGreaterThan(accepted.CreatedAt.AddSeconds(-5));
                (accepted.ExpectedStart ?? finish).ShouldBeLessThanOrEqualTo(finish);
                return;
            }
        }

        throw new InvalidOperationException("No job was ever told when to expect its answer.");
    }

    [Theory]
    [InlineData("""{ "maxBatchSize": 0 }""", "batching.maxBatchSize")]
    [InlineData("""{ "maxBatchSize": 8, "preferredBatchSizes": [16] }""", "batching.preferredBatchSizes")]
    [InlineData("""{ "latencyTargetMs": 0 }""", "batching.latencyTargetMs")]
    [InlineData("""{ "cacheSeconds": -1 }""", "batching.cacheSeconds")]
    [InlineData("""{ "ragged": { "inputs": [{ "name": "x" }], "lengths": [8] } }""", "batching.ragged.inputs")]
    public async Task Settings_that_make_no_sense_are_refused_at_upload(string batching, string path)
    {
        using var response = await PutAsync("nonsense", batching);

        var (status, code, detail) = await Requests.ProblemAsync(response);
        (status, code).ShouldBe((422, ProblemCodes.InvalidValue));
        detail.ShouldContain(path);
    }

    [Fact]
    public async Task A_timeout_outside_its_range_is_refused()
    {
        var submission = QueueMaaSClient.Inference(new InferenceInput { Model = "double", Inputs = [Requests.Row(1, 2)], TimeoutMs = 0 });

        (await Should.ThrowAsync<ProblemException>(service.Api.SubmitAsync(submission, cancellationToken: Cancel))).Problem.Code.ShouldBe(ProblemCodes.InvalidValue);
    }

    private static JobSubmission Submission(string model, float value) => QueueMaaSClient.Inference(new InferenceInput { Model = model, Inputs = [Requests.Row(value, 0)] });

    private async Task<Job> RunAsync(string model, float value)
    {
        var job = await service.Api.SubmitAsync(Submission(model, value), cancellationToken: Cancel);
        return await service.Api.WaitAsync(job.Id, Cancel);
    }

    private async Task UploadAsync(string name, string batching)
    {
        using var response = await PutAsync(name, batching);
        response.StatusCode.ShouldBe(HttpStatusCode.Created, await response.Content.ReadAsStringAsync(Cancel));
    }

    private async Task<HttpResponseMessage> PutAsync(string name, string batching)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(TestModels.Double()), "model", "model.onnx" }, { new StringContent(batching), "batching" } };
        return await service.Http.PutAsync($"v1/models/{name}", form, Cancel);
    }
}
