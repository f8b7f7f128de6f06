using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>The life of jobs over HTTP.</summary>
public abstract class JobCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_posted_job_is_accepted_computed_and_kept()
    {
        var job = await service.Api.SubmitAsync(Requests.Double(1.5f, -2), cancellationToken: Cancel);
        var done = await service.Api.WaitAsync(job.Id, Cancel);
        Requests.Values(done).ShouldBe([3, -4]);
        done.Attempt.ShouldBe(1);
        Requests.Output<InferenceOutput>(await service.Api.GetAsync(job.Id, Cancel)).Batch.Size.ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task A_tensor_may_be_given_as_base64_of_its_bytes()
    {
        var row = Tensor.OfBytes("x", Datatypes.Fp32, [1, 2], MemoryMarshal.AsBytes<float>([1.5f, -2]));
        var job = await service.Api.SubmitAsync(QueueMaaSClient.Inference(new InferenceInput { Model = "double", Inputs = [row] }), cancellationToken: Cancel);
        Requests.Values(await service.Api.WaitAsync(job.Id, Cancel)).ShouldBe([3, -4]);
    }

    [Fact]
    public async Task Prefer_wait_answers_with_the_result()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/jobs") { Content = Requests.Json(JsonSerializer.Serialize(Requests.Double(4, 5), QueueMaaSJson.Relaxed)) };
        request.Headers.Add("Prefer", "respond-async, wait=20");
        using var response = await service.Http.SendAsync(request, Cancel);
        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        response.Headers.GetValues("Preference-Applied").ShouldBe(["wait=20"]);
        Requests.Values(JsonSerializer.Deserialize<Job>(await response.Content.ReadAsStringAsync(Cancel), QueueMaaSJson.Relaxed)!).ShouldBe([8, 10]);
    }

    [Fact]
    public async Task Many_jobs_at_once_each_get_their_own_result()
    {
        var results = await Task.WhenAll(Enumerable.Range(0, 200).Select(async i =>
        {
            var job = await service.Api.SubmitAsync(Requests.Double(i, -i), cancellationToken: Cancel);
            return (i, Values: Requests.Values(await service.Api.WaitAsync(job.Id, Cancel)));
        }));
        results.ShouldAllBe(result => result.Values[0] == 2 * result.i && result.Values[1] == -2 * result.i);
    }

    [Fact]
    public async Task The_same_idempotency_key_gives_the_same_job_and_another_body_is_refused()
    {
        var key = Requests.NewId();
        var first = await service.Api.SubmitAsync(Requests.Double(1, 1), key, Cancel);
        (await service.Api.SubmitAsync(Requests.Double(1, 1), key, Cancel)).Id.ShouldBe(first.Id);
        var problem = (await Should.ThrowAsync<ProblemException>(service.Api.SubmitAsync(Requests.Double(2, 2), key, Cancel))).Problem;
        problem.Code.ShouldBe(ProblemCodes.IdempotencyConflict);
    }

    [Fact]
    public async Task Twenty_simultaneous_submissions_of_one_id_are_one_job()
    {
        var submission = Requests.Double(3, 3) with { Id = Requests.NewId() };
        var jobs = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => service.Api.SubmitAsync(submission, cancellationToken: Cancel)));
        jobs.ShouldAllBe(job => job.Id == submission.Id);
        await service.Api.WaitAsync(submission.Id, Cancel);
        var history = await HistoryAsync(submission.Id);
        history.Count(e => e.Type == "running").ShouldBe(1);
        history.Count(e => e.Type == "succeeded").ShouldBe(1);
    }

    [Fact]
    public async Task Events_are_streamed_in_order_to_the_end_and_resume_after_an_event()
    {
        var job = await service.Api.SubmitAsync(Requests.Double(1, 2), cancellationToken: Cancel);
        var events = new List<JobEvent>();
        await foreach (var e in service.Api.EventsAsync(job.Id, cancellationToken: Cancel))
            events.Add(e);
        events.Select(e => e.Type).ShouldBe(["queued", "running", "succeeded"]);
        events.Select(e => e.Sequence).ShouldBe([1, 2, 3]);
        var rest = new List<JobEvent>();
        await foreach (var e in service.Api.EventsAsync(job.Id, after: 2, Cancel))
            rest.Add(e);
        rest.Select(e => e.Type).ShouldBe(["succeeded"]);
    }

    [Fact]
    public async Task A_scheduled_job_waits_for_its_time_and_can_be_cancelled_before()
    {
        var soon = await service.Api.SubmitAsync(Requests.Double(1, 1) with { RunAt = DateTimeOffset.UtcNow.AddSeconds(1) }, cancellationToken: Cancel);
        soon.State.ShouldBe(JobState.Scheduled);
        var later = await service.Api.SubmitAsync(Requests.Double(1, 1) with { RunAt = DateTimeOffset.UtcNow.AddHours(1) }, cancellationToken: Cancel);
        (await service.Api.CancelAsync(later.Id, Cancel)).State.ShouldBe(JobState.Cancelled);
        var done = await service.Api.WaitAsync(soon.Id, Cancel);
        done.State.ShouldBe(JobState.Succeeded);
        done.StartedAt!.Value.ShouldBeGreaterThanOrEqualTo(soon.RunAt!.Value);
        (await Should.ThrowAsync<ProblemException>(service.Api.CancelAsync(soon.Id, Cancel))).Problem.Code.ShouldBe(ProblemCodes.JobStateConflict);
    }

    [Fact]
    public async Task A_job_whose_deadline_passes_before_it_runs_expires()
    {
        var job = await service.Api.SubmitAsync(Requests.Double(1, 1) with { Deadline = DateTimeOffset.UtcNow.AddSeconds(-1) }, cancellationToken: Cancel);
        var ended = await service.Api.WaitAsync(job.Id, Cancel);
        ended.State.ShouldBe(JobState.Expired);
        ended.Error!.Code.ShouldBe(ProblemCodes.DeadlineExceeded);
    }

    [Fact]
    public async Task Lists_are_paged_newest_first_and_filtered()
    {
        var tag = Requests.NewId();
        var ids = new List<string>();
        for (var i = 0; i < 5; i++)
            ids.Add((await service.Api.SubmitAsync(Requests.Double(i, i) with { Tags = [tag] }, cancellationToken: Cancel)).Id);
        var seen = new List<string>();
        string? cursor = null;
        do
        {
            var page = JsonSerializer.Deserialize<Page<Job>>(await service.Http.GetStringAsync($"v1/jobs?kind=inference&tag={tag}&limit=2&cursor={cursor}".Replace("&cursor=", cursor is null ? "" : "&cursor=", StringComparison.Ordinal), Cancel), QueueMaaSJson.Relaxed)!;
            seen.AddRange(page.Items.Select(job => job.Id));
            cursor = page.NextCursor;
        }
        while (cursor is not null);
        ids.Reverse();
        seen.ShouldBe(ids);
    }

    [Fact]
    public async Task An_image_is_decoded_and_computed_inline_and_by_reference()
    {
        await service.Http.PutAsync("v1/models/pictures", TestImages.ModelWithPipeline(), Cancel);
        // One grey pixel of 51 of 255, so 0.2; the model doubles it.
        var png = Convert.FromBase64String("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGMwBgAANQA0yrSZ7QAAAABJRU5ErkJggg==");
        var artifact = await service.Api.UploadArtifactAsync(new MemoryStream(png), Cancel);

        foreach (var image in (ImageSource[])[new() { Base64 = Convert.ToBase64String(png) }, new() { Artifact = artifact.Id }])
        {
            var job = await service.Api.SubmitAsync(QueueMaaSClient.Inference(new InferenceInput { Model = "pictures", Image = image, Outputs = ["y"] }), cancellationToken: Cancel);
            Requests.Values(await service.Api.WaitAsync(job.Id, Cancel)).ShouldHaveSingleItem().ShouldBe(0.4f, 1e-5f);
        }
    }

    [Fact]
    public async Task An_image_that_was_never_uploaded_is_refused_at_submission()
    {
        await service.Http.PutAsync("v1/models/pictures", TestImages.ModelWithPipeline(), Cancel);
        foreach (var id in (string[])[$"sha256:{new string('0', 64)}", "../../../etc/passwd"])
        {
            var submission = QueueMaaSClient.Inference(new InferenceInput { Model = "pictures", Image = new ImageSource { Artifact = id } });
            (await Should.ThrowAsync<ProblemException>(service.Api.SubmitAsync(submission, cancellationToken: Cancel))).Problem.Code.ShouldBe(ProblemCodes.ArtifactNotFound);
        }
    }

    [Theory]
    [InlineData("PUT", "v1/jobs", null, 405, ProblemCodes.MethodNotAllowed)]
    [InlineData("POST", "v1/jobs", "text/plain", 415, ProblemCodes.UnsupportedMediaType)]
    [InlineData("GET", "v1/nothing", null, 404, ProblemCodes.NotFound)]
    [InlineData("GET", "v1/jobs?limit=abc", null, 422, ProblemCodes.InvalidValue)]
    public async Task What_the_framework_refuses_has_a_code_and_a_sentence_too(string method, string path, string? contentType, int status, string code)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = contentType is null ? null : new StringContent("{}", Encoding.UTF8, contentType) };
        using var response = await service.Http.SendAsync(request, Cancel);

        var problem = await Requests.ProblemAsync(response);
        (problem.Status, problem.Code).ShouldBe((status, code));
        problem.Detail.ShouldNotBeEmpty();
    }

    [Theory]
    [InlineData("--X\r\n", "Y")]
    [InlineData("--X\r\ncontent-disposition: form-data; name=\"model\"; filename=\"m.onnx\"\r\n\r\nabc", "X")]
    public async Task A_form_that_is_cut_short_or_names_another_boundary_is_told_to_be_damaged(string body, string boundary)
    {
        using var content = new ByteArrayContent(Encoding.ASCII.GetBytes(body));
        content.Headers.TryAddWithoutValidation("Content-Type", $"multipart/form-data; boundary={boundary}");
        using var response = await service.Http.PutAsync($"v1/models/{Requests.NewId()}", content, Cancel);
        var (status, code, detail) = await Requests.ProblemAsync(response);
        (status, code).ShouldBe((400, ProblemCodes.InvalidRequest));
        detail.ShouldContain("is damaged");
    }

    [Fact]
    public async Task A_failed_job_is_in_the_dead_letter_list_and_can_be_requeued()
    {
        // The image is valid base64, but not an image: that shows only when it runs.
        await service.Http.PutAsync("v1/models/pictures", TestImages.ModelWithPipeline(), Cancel);
        var job = await service.Api.SubmitAsync(
            new JobSubmission { Kind = JobKind.Inference, Input = JsonElement.Parse("""{"model":"pictures","image":{"base64":"bm90IGFuIGltYWdl"}}""") }, cancellationToken: Cancel);
        var failed = await service.Api.WaitAsync(job.Id, Cancel);
        failed.State.ShouldBe(JobState.Failed);
        failed.Error!.Code.ShouldBe(ProblemCodes.ImageUnreadable);
        failed.Attempt.ShouldBe(1, "trying again cannot help");
        (await service.Http.GetStringAsync("v1/jobs?state=failed&limit=200", Cancel)).ShouldContain(job.Id);
        using var response = await service.Http.PostAsync($"v1/jobs/{job.Id}/requeue", null, Cancel);
        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        (await service.Api.WaitAsync(job.Id, Cancel)).Sequence.ShouldBeGreaterThan(failed.Sequence);
    }

    [Fact]
    public async Task Health_metrics_and_the_api_description_are_served()
    {
        (await service.Http.GetStringAsync("health/live", Cancel)).ShouldContain("healthy");
        (await service.Http.GetStringAsync("health/ready", Cancel)).ShouldContain("database");
        (await service.Http.GetStringAsync("metrics", Cancel)).ShouldContain("queuemaas_");
        (await service.Http.GetStringAsync("docs/", Cancel)).ShouldContain("<html");
    }

    [Fact]
    public async Task The_api_description_says_what_each_kind_of_job_takes_and_its_examples_are_valid()
    {
        var text = await service.Http.GetStringAsync("openapi/v1.json", Cancel);
        var document = JsonElement.Parse(text);
        document.GetProperty("openapi").GetString()!.ShouldStartWith("3.1");
        var schemas = document.GetProperty("components").GetProperty("schemas");
        foreach (System.Text.RegularExpressions.Match reference in System.Text.RegularExpressions.Regex.Matches(text, "\"#/components/schemas/(?<name>[^\"]+)\"", System.Text.RegularExpressions.RegexOptions.ExplicitCapture, TimeSpan.FromSeconds(5)))
            schemas.TryGetProperty(reference.Groups["name"].Value, out _).ShouldBeTrue($"{reference.Value} leads nowhere");
        schemas.GetProperty("JobSubmission").GetProperty("properties").GetProperty("input").GetProperty("anyOf").GetArrayLength().ShouldBe(7);
        schemas.GetProperty("TrainingInput").GetProperty("properties").GetProperty("epochs").GetProperty("description").GetString().ShouldNotBeNullOrEmpty();

        var submit = document.GetProperty("paths").GetProperty("/v1/jobs").GetProperty("post");
        submit.GetProperty("parameters").EnumerateArray().Select(parameter => parameter.GetProperty("name").GetString()).ShouldBe(["Idempotency-Key", "Prefer"]);
        submit.GetProperty("responses").GetProperty("default").GetProperty("content").TryGetProperty("application/problem+json", out _).ShouldBeTrue();
        var examples = submit.GetProperty("requestBody").GetProperty("content").GetProperty("application/json").GetProperty("examples").EnumerateObject().ToArray();
        examples.Select(example => example.Name).ShouldBe(["tensor", "image", "training", "batch", "sweep", "evaluation", "promotion", "baseline"]);
        foreach (var example in examples)
        {
            var submission = example.Value.GetProperty("value").Deserialize<JobSubmission>(QueueMaaSJson.Strict)!;
            Type input = submission.Kind switch { JobKind.Training => typeof(TrainingInput), JobKind.Batch => typeof(BatchInput), JobKind.Sweep => typeof(SweepInput), JobKind.Evaluation => typeof(EvaluationInput), JobKind.Promotion => typeof(PromotionInput), JobKind.Baseline => typeof(BaselineInput), _ => typeof(InferenceInput) };
            submission.Input.Deserialize(input, QueueMaaSJson.Strict).ShouldNotBeNull();
        }
    }

    private async Task<IReadOnlyList<JobEvent>> HistoryAsync(string id) =>
        JsonSerializer.Deserialize<IReadOnlyList<JobEvent>>(await service.Http.GetStringAsync($"v1/jobs/{id}/history", Cancel), QueueMaaSJson.Relaxed)!;
}
