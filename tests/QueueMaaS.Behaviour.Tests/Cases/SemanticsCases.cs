using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.DeadLetters;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Retention;
using QueueMaaS.Jobs.Scheduling;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>What a job can ask for beyond being run: unique, later, within a time, in turn; and what operators do with queues and old jobs.</summary>
public abstract class SemanticsCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static DateTimeOffset Later => DateTimeOffset.UtcNow.AddHours(1);

    [Fact]
    public async Task A_job_that_was_paused_waits_for_its_time_and_for_others_as_before()
    {
        var first = await service.Api.SubmitAsync(Requests.Double(1, 2) with { DelaySeconds = 4 }, cancellationToken: Cancel);
        var timed = await service.Api.SubmitAsync(Requests.Double(1, 2) with { DelaySeconds = 3600 }, cancellationToken: Cancel);
        var after = await service.Api.SubmitAsync(Requests.Double(3, 4) with { After = [first.Id] }, cancellationToken: Cancel);
        foreach (var id in new[] { timed.Id, after.Id })
        {
            (await service.Http.PostAsync($"v1/jobs/{id}/pause", null, Cancel)).EnsureSuccessStatusCode();
            (await service.Http.PostAsync($"v1/jobs/{id}/resume", null, Cancel)).EnsureSuccessStatusCode();
        }

        Requests.Values(await service.Api.WaitAsync(after.Id, Cancel)).ShouldBe([6, 8]);
        (await service.Api.WaitAsync(first.Id, Cancel)).FinishedAt!.Value.ShouldBeLessThanOrEqualTo((await service.Api.WaitAsync(after.Id, Cancel)).StartedAt!.Value);
        (await service.Api.GetAsync(timed.Id, cancellationToken: Cancel)).State.ShouldBe(JobState.Scheduled);
        (await service.Http.PostAsync($"v1/jobs/{timed.Id}/cancel", null, Cancel)).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task Of_equal_unique_jobs_one_is_made_until_it_has_ended()
    {
        var key = Requests.NewId();
        var submission = Requests.Double(1, 2) with { Unique = new UniqueRule { Key = key }, RunAt = Later };
        var made = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => service.Api.SubmitAsync(submission, cancellationToken: Cancel)));
        made.Select(job => job.Id).Distinct().ShouldHaveSingleItem();
        await service.Api.CancelAsync(made[0].Id, Cancel);
        (await service.Api.SubmitAsync(submission, cancellationToken: Cancel)).Id.ShouldNotBe(made[0].Id, "the place is free again");
    }

    [Fact]
    public async Task A_unique_job_can_keep_others_away_after_its_end_within_its_period()
    {
        var submission = Requests.Double(3, 4) with { Unique = new UniqueRule { Key = Requests.NewId(), PeriodSeconds = 86_400, States = [JobState.Scheduled, JobState.Queued, JobState.Running, JobState.Retrying, JobState.Succeeded] } };
        var first = await service.Api.SubmitAsync(submission, cancellationToken: Cancel);
        await service.Api.WaitAsync(first.Id, Cancel);
        (await service.Api.SubmitAsync(submission, cancellationToken: Cancel)).Id.ShouldBe(first.Id);
    }

    [Fact]
    public async Task A_delayed_job_waits_for_its_time()
    {
        var job = await service.Api.SubmitAsync(Requests.Double(1, 1) with { DelaySeconds = 1 }, cancellationToken: Cancel);
        job.State.ShouldBe(JobState.Scheduled);
        var done = await service.Api.WaitAsync(job.Id, Cancel);
        (done.StartedAt!.Value - done.CreatedAt).ShouldBeGreaterThanOrEqualTo(TimeSpan.FromSeconds(1));
    }

    [Theory]
    [InlineData("""{"delaySeconds":5,"runAt":"2099-01-01T00:00:00Z"}""", "delaySeconds")]
    [InlineData("""{"timeoutSeconds":0}""", "timeoutSeconds")]
    [InlineData("""{"retry":{"baseSeconds":-1}}""", "retry.baseSeconds")]
    [InlineData("""{"unique":{"key":""}}""", "unique.key")]
    [InlineData("""{"after":["no spaces"]}""", "after")]
    [InlineData("""{"group":{"id":"g","size":0}}""", "group")]
    public async Task What_is_out_of_range_is_refused_with_its_place(string changes, string path)
    {
        var body = System.Text.Json.Nodes.JsonNode.Parse(JsonSerializer.Serialize(Requests.Double(1, 1), QueueMaaSJson.Relaxed))!.AsObject();
        foreach (var (name, value) in System.Text.Json.Nodes.JsonNode.Parse(changes)!.AsObject())
            body[name] = value!.DeepClone();
        using var response = await service.Http.PostAsync("v1/jobs", Requests.Json(body.ToJsonString()), Cancel);
        var problem = await Requests.ProblemAsync(response);
        (problem.Status, problem.Code).ShouldBe((422, ProblemCodes.InvalidValue));
        problem.Detail.ShouldContain(path);
    }

    [Fact]
    public async Task An_attempt_that_takes_too_long_is_stopped_and_tried_again_as_its_policy_says()
    {
        var store = service.Jobs;
        // No worker can end within a microsecond; the policy lets only time-outs be tried again, and there are two attempts.
        var submission = Requests.Double(1, 1) with { TimeoutSeconds = 0.000001, MaxAttempts = 2, Retry = new RetryPolicy { BaseSeconds = 0, MaxSeconds = 0, On = [FailureClass.Timeout] } };
        var job = await service.Api.SubmitAsync(submission, cancellationToken: Cancel);
        var ended = await service.Api.WaitAsync(job.Id, Cancel);
        if (ended.State == JobState.Succeeded)
            return; // It was faster than the timer: possible, and no failure.
        ended.Error!.Code.ShouldBe(ProblemCodes.AttemptTimeout);
        ended.Attempt.ShouldBe(2);
        var events = await store.EventsAsync(job.Id, 0, 100, Cancel);
        events.ShouldContain(e => e.Type == "retrying");
        // The log says why, once: the last attempt is not tried again.
        events.Where(e => e.Type == "log").ShouldHaveSingleItem().Data!.Value.GetProperty("text").GetString()!.ShouldStartWith("Attempt 1 of 2 failed: attempt_timeout: ");
    }

    [Fact]
    public async Task A_queue_can_be_stopped_and_let_go_on()
    {
        using var paused = await service.Http.PostAsync("v1/queues/inference/pause?reason=maintenance", null, Cancel);
        paused.StatusCode.ShouldBe(HttpStatusCode.OK);
        var job = await service.Api.SubmitAsync(Requests.Double(5, 6), cancellationToken: Cancel);
        try
        {
            using var wait = await service.Http.GetAsync($"v1/jobs/{job.Id}?wait=1", Cancel);
            JsonElement.Parse(await wait.Content.ReadAsStringAsync(Cancel)).GetProperty("state").GetString().ShouldBe("queued");
            (await service.Http.GetStringAsync("v1/queues", Cancel)).ShouldContain("maintenance");
        }
        finally
        {
            await service.Http.PostAsync("v1/queues/inference/resume", null, CancellationToken.None);
        }

        Requests.Values(await service.Api.WaitAsync(job.Id, Cancel)).ShouldBe([10, 12]);
    }

    [Fact]
    public async Task A_tenant_beyond_its_quota_or_rate_is_told_when_to_come_again_and_others_are_not_touched()
    {
        await service.ShareModelAsync("quota");
        await service.ShareModelAsync("rate");
        var statuses = new List<int>();
        for (var i = 0; i < 4; i++)
        {
            using var response = await PostAsync("quota", Requests.Double(i, i) with { RunAt = Later });
            statuses.Add((int)response.StatusCode);
            if ((int)response.StatusCode == 429)
                response.Headers.RetryAfter.ShouldNotBeNull();
        }

        statuses.ShouldBe([202, 202, 429, 429]);
        using var first = await PostAsync("rate", Requests.Double(1, 1));
        using var second = await PostAsync("rate", Requests.Double(1, 1));
        ((int)first.StatusCode, (int)second.StatusCode).ShouldBe((202, 429));
        (await Requests.ProblemAsync(second)).Code.ShouldBe(ProblemCodes.RateLimited);
        second.Headers.RetryAfter!.Delta!.Value.ShouldBe(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(1));
        (await service.Api.SubmitAsync(Requests.Double(1, 1), cancellationToken: Cancel)).ShouldNotBeNull();
    }

    [Fact]
    public async Task Tenants_do_not_see_each_others_jobs()
    {
        await service.ShareModelAsync("other");
        using var response = await PostAsync("other", Requests.Double(1, 2));
        var id = JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel)).GetProperty("id").GetString()!;
        (await Should.ThrowAsync<ProblemException>(service.Api.GetAsync(id, Cancel))).Problem.Code.ShouldBe(ProblemCodes.JobNotFound);
    }

    [Fact]
    public async Task Jobs_are_found_by_time_and_deleted_with_their_history()
    {
        var tag = Requests.NewId();
        var before = DateTimeOffset.UtcNow;
        var job = await service.Api.SubmitAsync(Requests.Double(1, 2) with { Tags = [tag] }, cancellationToken: Cancel);
        await service.Api.WaitAsync(job.Id, Cancel);
        (await CountAsync($"tag={tag}&from={Uri.EscapeDataString(before.AddSeconds(-5).ToString("O"))}")).ShouldBe(1);
        (await CountAsync($"tag={tag}&until={Uri.EscapeDataString(before.AddSeconds(-5).ToString("O"))}")).ShouldBe(0);

        using var deleted = await service.Http.DeleteAsync($"v1/jobs/{job.Id}", Cancel);
        deleted.StatusCode.ShouldBe(HttpStatusCode.NoContent);
        (await Should.ThrowAsync<ProblemException>(service.Api.GetAsync(job.Id, Cancel))).Problem.Code.ShouldBe(ProblemCodes.JobNotFound);
        (await service.Jobs.EventsAsync(job.Id, 0, 10, Cancel)).ShouldBeEmpty();

        var waiting = await service.Api.SubmitAsync(Requests.Double(1, 2) with { RunAt = Later }, cancellationToken: Cancel);
        using var refused = await service.Http.DeleteAsync($"v1/jobs/{waiting.Id}", Cancel);
        (await Requests.ProblemAsync(refused)).Code.ShouldBe(ProblemCodes.JobStateConflict);
    }

    [Fact]
    public async Task Ended_jobs_are_deleted_after_their_time_of_keeping_and_others_stay()
    {
        var job = await service.Api.SubmitAsync(Requests.Double(1, 2), cancellationToken: Cancel);
        await service.Api.WaitAsync(job.Id, Cancel);
        var waiting = await service.Api.SubmitAsync(Requests.Double(1, 2) with { RunAt = Later }, cancellationToken: Cancel);
        while (await service.Jobs.DeleteOldAsync(JobState.Succeeded, DateTimeOffset.UtcNow.AddMinutes(1), 1000, Cancel) > 0)
            Cancel.ThrowIfCancellationRequested();
        (await service.Jobs.FindAsync("default", job.Id, Cancel)).ShouldBeNull();
        (await service.Jobs.FindAsync("default", waiting.Id, Cancel)).ShouldNotBeNull();
    }

    [Fact]
    public async Task An_artifact_that_nothing_names_goes_after_its_time_and_others_stay()
    {
        var cleaner = service.Services.GetRequiredService<ArtifactCleaner>();
        var lines = Enumerable.Range(0, 3).Select(_ => $$"""{"id":"{{Requests.NewId()}}","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}""").ToArray();
        var input = await UploadAsync(string.Join('\n', lines));
        var never = await UploadAsync(Requests.NewId());
        var fresh = await UploadAsync(Requests.NewId());
        var job = await service.Api.WaitAsync((await service.Api.SubmitAsync(QueueMaaSClient.Batch(new BatchInput { Model = "double", Artifact = input }), cancellationToken: Cancel)).Id, Cancel);
        var output = Requests.Output<BatchOutput>(job).OutputArtifact!;
        foreach (var artifact in (string[])[input, never, output])
            await AgeAsync(artifact);

        (await cleaner.CleanAsync(Cancel)).ShouldBeGreaterThan(0);

        (await Should.ThrowAsync<ProblemException>(PathAsync(never))).Problem.Code.ShouldBe(ProblemCodes.ArtifactNotFound);
        foreach (var artifact in (string[])[input, output, fresh])
            File.Exists(await PathAsync(artifact)).ShouldBeTrue();

        // With the job its files lose their last user.
        (await service.Http.DeleteAsync($"v1/jobs/{job.Id}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NoContent);
        foreach (var artifact in (string[])[input, output])
            await AgeAsync(artifact);
        await cleaner.CleanAsync(Cancel);
        foreach (var artifact in (string[])[input, output])
            (await Should.ThrowAsync<ProblemException>(PathAsync(artifact))).Problem.Code.ShouldBe(ProblemCodes.ArtifactNotFound);
        // Models and their files are named, however old they are.
        Requests.Values(await service.Api.WaitAsync((await service.Api.SubmitAsync(Requests.Double(1, 1), cancellationToken: Cancel)).Id, Cancel)).ShouldBe([2, 2]);
    }

    [Fact]
    public async Task An_artifact_that_a_refused_message_names_stays_for_its_replay()
    {
        var artifact = await UploadAsync(Requests.NewId());
        var unprocessable = service.Services.GetRequiredService<IUnprocessableStore>();
        await unprocessable.AddAsync(new UnprocessableMessage(Requests.NewId(), "default", DateTimeOffset.UtcNow, "invalid_json", "broken", Encoding.UTF8.GetBytes($"{{\"artifact\":\"{artifact}\"")), Cancel);
        await AgeAsync(artifact);
        await service.Services.GetRequiredService<ArtifactCleaner>().CleanAsync(Cancel);
        File.Exists(await PathAsync(artifact)).ShouldBeTrue();
    }

    private async Task<string> UploadAsync(string content) => (await service.Api.UploadArtifactAsync(new MemoryStream(Encoding.UTF8.GetBytes(content)), Cancel)).Id;

    private async Task<string> PathAsync(string artifact) => await service.Services.GetRequiredService<IArtifactStore>().GetFileAsync(artifact, Cancel);

    private async Task AgeAsync(string artifact) => File.SetLastWriteTimeUtc(await PathAsync(artifact), DateTime.UtcNow.AddDays(-8));

    [Fact]
    public async Task A_schedule_makes_jobs_at_its_times_and_stops_when_it_is_deleted()
    {
        var name = $"s{Guid.NewGuid():n}"[..20];
        var definition = new { cron = "* * * * * *", timeZone = "Europe/Berlin", job = Requests.Double(2, 2) with { Tags = [name] } };
        using var made = await service.Http.PutAsync($"v1/schedules/{name}", Requests.Json(JsonSerializer.Serialize(definition, QueueMaaSJson.Relaxed)), Cancel);
        made.StatusCode.ShouldBe(HttpStatusCode.Created);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        Schedule schedule;
        do
            schedule = JsonSerializer.Deserialize<Schedule>(await service.Http.GetStringAsync($"v1/schedules/{name}", limit.Token), QueueMaaSJson.Relaxed)!;
        while (schedule.LastJobId is null);
        var job = await service.Api.WaitAsync(schedule.LastJobId, Cancel);
        job.State.ShouldBe(JobState.Succeeded);
        job.Schedule.ShouldBe(name);
        (await service.Http.DeleteAsync($"v1/schedules/{name}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NoContent);
        (await service.Http.GetAsync($"v1/schedules/{name}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    [Theory]
    [InlineData("""{"cron":"every day","job":{"kind":"inference","input":{}}}""", "cron")]
    [InlineData("""{"cron":"0 0 30 2 *","job":{"kind":"inference","input":{}}}""", "cron")]
    [InlineData("""{"cron":"* * * * *","timeZone":"Mars/Olympus","job":{"kind":"inference","input":{}}}""", "timeZone")]
    [InlineData("""{"cron":"* * * * *","job":{"id":"x","kind":"inference","input":{}}}""", "job")]
    [InlineData("""{"cron":"* * * * *","job":{"kind":"inference","input":{},"priority":99}}""", "priority")]
    [InlineData("""{"cron":"* * * * *","job":{"kind":"chunk","input":{}}}""", "kind")]
    public async Task A_schedule_that_cannot_work_is_refused(string definition, string path)
    {
        using var response = await service.Http.PutAsync("v1/schedules/bad", Requests.Json(definition), Cancel);
        var problem = await Requests.ProblemAsync(response);
        problem.Code.ShouldBe(ProblemCodes.InvalidValue);
        problem.Detail.ShouldContain(path);
    }

    [Fact]
    public async Task A_schedule_does_not_show_the_secret_of_its_webhook_and_signs_with_it()
    {
        var (name, path, secret) = (Requests.NewId(), Requests.NewId(), WebhookSignature.NewSecret());
        var definition = new { cron = "* * * * * *", job = Requests.Double(1, 2) with { Webhook = new WebhookTarget { Url = service.Webhooks.Url(path), Secret = secret, Events = [WebhookEvent.Completed] } } };
        using var made = await service.Http.PutAsync($"v1/schedules/{name}", Requests.Json(JsonSerializer.Serialize(definition, QueueMaaSJson.Relaxed)), Cancel);
        made.StatusCode.ShouldBe(HttpStatusCode.Created);
        foreach (var shown in (string[])[await made.Content.ReadAsStringAsync(Cancel), await service.Http.GetStringAsync($"v1/schedules/{name}", Cancel), await service.Http.GetStringAsync("v1/schedules", Cancel)])
        {
            shown.ShouldContain(path);
            shown.ShouldNotContain(secret);
        }

        var told = await service.Webhooks.NextAsync(path);
        (await Node.RunAsync("verify.mjs", JsonSerializer.Serialize(new { secret, headers = told.Headers, body = told.Body }))).Output.ShouldBe("valid");
        await service.Http.DeleteAsync($"v1/schedules/{name}", Cancel);
    }

    [Fact]
    public void Of_missed_times_skip_makes_up_for_none_and_never_makes_more_than_once()
    {
        var now = new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
        var schedule = new Schedule { Name = "s", Cron = "* * * * * *", TimeZone = "UTC", Missed = MissedRuns.Skip, Paused = false, Job = Requests.Double(1, 2), CreatedAt = now, NextAt = now.AddSeconds(-40) };
        CronTimes.Due(schedule, now).Runs.ShouldBe([now]);
        CronTimes.Due(schedule with { Cron = "0 * * * *", NextAt = now.AddHours(-2) }, now.AddMinutes(30)).Runs.ShouldBeEmpty();
        CronTimes.Due(schedule with { Missed = MissedRuns.All }, now).Runs.Count.ShouldBe(41);
    }

    [Theory]
    [InlineData("v1/jobs?limit=abc", "`limit` cannot be `abc`: it must be a whole number.")]
    [InlineData("v1/dead-letters?from=yesterday", "`from` cannot be `yesterday`: it must be a time")]
    public async Task A_parameter_that_cannot_be_read_is_told_in_the_words_of_the_api(string address, string detail)
    {
        using var response = await service.Http.GetAsync(address, Cancel);
        var problem = await Requests.ProblemAsync(response);
        problem.Status.ShouldBe(422);
        problem.Detail.ShouldStartWith(detail);
    }

    private async Task<int> CountAsync(string query) => JsonElement.Parse(await service.Http.GetStringAsync($"v1/jobs?{query}", Cancel)).GetProperty("items").GetArrayLength();

    private async Task<HttpResponseMessage> PostAsync(string tenant, JobSubmission submission)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/jobs") { Content = Requests.Json(JsonSerializer.Serialize(submission, QueueMaaSJson.Relaxed)) };
        request.Headers.Add(BusNames.TenantHeader, tenant);
        return await service.Http.SendAsync(request, Cancel);
    }
}
