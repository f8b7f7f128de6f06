using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Webhook endpoints of a tenant: what they get, and what becomes of those that do not answer.</summary>
public abstract class WebhookEndpointCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_endpoint_gets_the_events_it_chose_with_small_outputs_and_signed_by_old_and_new_secrets()
    {
        var (tenant, path) = await NewAsync();
        var endpoint = await MakeAsync(tenant, new { url = service.Webhooks.Url(path), events = (string[])["job.completed"], kinds = (string[])["inference"], includeOutput = true });
        var rotated = JsonSerializer.Deserialize<WebhookEndpointView>(await PostAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}/rotate", new { }), QueueMaaSJson.Relaxed)!;
        var job = await SubmitAsync(tenant, Requests.Double(3, 4));
        var told = await service.Webhooks.NextAsync(path);
        var payload = JsonSerializer.Deserialize<WebhookPayload>(told.Body, QueueMaaSJson.Relaxed)!;
        (payload.Type, payload.Data.JobId).ShouldBe(("job.completed", job));
        payload.Data.Output!.Value.GetRawText().ShouldContain("[6");
        foreach (var secret in (string[])[endpoint.Secret!, rotated.Secret!])
            WebhookSignature.Verify(secret, told.Headers["webhook-id"], told.Headers["webhook-timestamp"], told.Headers["webhook-signature"], told.Body, DateTimeOffset.UtcNow).ShouldBeTrue();
        service.Webhooks.Waiting(path).ShouldBe(0, "it did not ask for starts");
    }

    [Fact]
    public async Task An_endpoint_signed_by_ed25519_shows_its_public_keys_and_is_verified_by_another_implementation_through_rotations()
    {
        var (tenant, path) = await NewAsync();
        var endpoint = await MakeAsync(tenant, new { url = service.Webhooks.Url(path), signature = "ed25519" });
        (endpoint.Signature, endpoint.Secret).ShouldBe((WebhookSignatureKind.Ed25519, null), "the private key stays where it signs");
        var first = endpoint.PublicKeys!.ShouldHaveSingleItem();
        first.Key.ShouldStartWith("whpk_");
        first.Until.ShouldBeNull();
        var told = await TestedAsync(tenant, endpoint.Id, path);
        told.Headers["webhook-signature"].ShouldStartWith("v1a,");
        (await VerifiedAsync(first.Key, told)).ShouldBe((0, "valid"));
        (await VerifiedAsync(first.Key, told with { Body = told.Body + " " })).ShouldBe((1, "invalid"));

        // While a key is replaced, either verifies; the API says until when.
        var rotated = JsonSerializer.Deserialize<WebhookEndpointView>(await PostAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}/rotate", new { keepOldHours = 1 }), QueueMaaSJson.Relaxed)!;
        rotated.PublicKeys!.Select(k => k.Until is null).ShouldBe([true, false]);
        rotated.PublicKeys![1].Key.ShouldBe(first.Key);
        var shown = await GetAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}");
        JsonSerializer.Deserialize<WebhookEndpointView>(shown, QueueMaaSJson.Relaxed)!.PublicKeys!.Select(k => k.Key).ShouldBe(rotated.PublicKeys!.Select(k => k.Key));
        shown.ShouldNotContain("whsk_");
        told = await TestedAsync(tenant, endpoint.Id, path);
        told.Headers["webhook-signature"].Split(' ').Length.ShouldBe(2);
        foreach (var key in rotated.PublicKeys!)
            (await VerifiedAsync(key.Key, told)).ShouldBe((0, "valid"));

        // To HMAC and at once: the keys are gone, the secret is shown.
        var hmac = JsonSerializer.Deserialize<WebhookEndpointView>(await PostAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}/rotate", new { signature = "hmac", keepOldHours = 0 }), QueueMaaSJson.Relaxed)!;
        (hmac.Signature, hmac.PublicKeys).ShouldBe((WebhookSignatureKind.Hmac, null));
        told = await TestedAsync(tenant, endpoint.Id, path);
        (await VerifiedAsync(rotated.PublicKeys![0].Key, told)).ShouldBe((1, "invalid"));
        WebhookSignature.Verify(hmac.Secret!, told.Headers["webhook-id"], told.Headers["webhook-timestamp"], told.Headers["webhook-signature"], told.Body, DateTimeOffset.UtcNow).ShouldBeTrue();

        // And back, both for a while: a receiver that knows only one of them is content.
        var mixed = JsonSerializer.Deserialize<WebhookEndpointView>(await PostAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}/rotate", new { signature = "ed25519" }), QueueMaaSJson.Relaxed)!;
        told = await TestedAsync(tenant, endpoint.Id, path);
        (await VerifiedAsync(mixed.PublicKeys!.Single().Key, told)).ShouldBe((0, "valid"));
        WebhookSignature.Verify(hmac.Secret!, told.Headers["webhook-id"], told.Headers["webhook-timestamp"], told.Headers["webhook-signature"], told.Body, DateTimeOffset.UtcNow).ShouldBeTrue();
        foreach (var (method, route, body) in new (HttpMethod, string, object)[]
        {
            (HttpMethod.Post, "v1/webhook-endpoints", new { url = service.Webhooks.Url(path), signature = "ed25519", secret = WebhookSignature.NewSecret() }),
            (HttpMethod.Post, "v1/webhook-endpoints", new { url = service.Webhooks.Url(path), signature = "hmac", secret = "whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" }),
            (HttpMethod.Post, "v1/webhook-endpoints", new { url = service.Webhooks.Url(path), secret = "whsk_c2hvcnQ=" }),
            (HttpMethod.Post, $"v1/webhook-endpoints/{endpoint.Id}/rotate", new { secret = "whsk_c2hvcnQ=" }),
            (HttpMethod.Put, $"v1/webhook-endpoints/{endpoint.Id}", new { url = service.Webhooks.Url(path), signature = "hmac" }),
        })
        {
            using var response = await SendAsync(tenant, method, route, body);
            var problem = await Requests.ProblemAsync(response);
            (problem.Status, problem.Code).ShouldBe((422, ProblemCodes.InvalidValue), $"{method} {route} {JsonSerializer.Serialize(body)}");
        }
    }

    [Fact]
    public async Task A_test_request_can_be_sent_and_the_log_shows_request_and_response_and_replays_it()
    {
        var (tenant, path) = await NewAsync();
        var endpoint = await MakeAsync(tenant, new { url = service.Webhooks.Url(path) });
        service.Webhooks.Answers[path] = _ => Task.FromResult(Results.Text("thank you"));
        await PostAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}/test", new { });
        var sent = await service.Webhooks.NextAsync(path);
        sent.Body.ShouldContain("endpoint.test");
        string log;
        do
            log = await GetAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}/deliveries");
        while (!log.Contains("\"delivered\"", StringComparison.Ordinal));
        log.ShouldContain("thank you");
        log.ShouldContain("webhook-id");
        log.ShouldNotContain("v1,", customMessage: "the log must not help to forge a request");
        await PostAsync(tenant, $"v1/webhook-deliveries/{sent.Headers["webhook-id"]}/replay", new { });
        (await service.Webhooks.NextAsync(path)).Headers["webhook-id"].ShouldBe(sent.Headers["webhook-id"]);
        JsonElement.Parse(await PostUntilAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}/replay", new { since = DateTimeOffset.UtcNow.AddMinutes(-5) })).GetProperty("replayed").GetInt32().ShouldBe(1);
        (await service.Webhooks.NextAsync(path)).Headers["webhook-id"].ShouldBe(sent.Headers["webhook-id"]);
    }

    [Fact]
    public async Task A_receiver_that_is_gone_or_fails_for_long_is_disabled_and_can_be_let_go_on()
    {
        foreach (var status in (int[])[410, 500])
        {
            var (tenant, path) = await NewAsync();
            var endpoint = await MakeAsync(tenant, new { url = service.Webhooks.Url(path) });
            service.Webhooks.Answers[path] = _ => Task.FromResult(Results.StatusCode(status));
            WebhookEndpointView shown;
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
            limit.CancelAfter(TimeSpan.FromSeconds(30));
            do
            {
                limit.Token.ThrowIfCancellationRequested();
                await PostAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}/test", new { });
                await service.Webhooks.NextAsync(path);
                shown = JsonSerializer.Deserialize<WebhookEndpointView>(await GetAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}"), QueueMaaSJson.Relaxed)!;
            }
            while (shown.DisabledAt is null && limit.Token.CanBeCanceled && await WaitForAsync(tenant, endpoint.Id, status));
            shown = JsonSerializer.Deserialize<WebhookEndpointView>(await GetAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}"), QueueMaaSJson.Relaxed)!;
            shown.DisabledReason.ShouldNotBeNullOrEmpty();
            (await service.Jobs.EventsAsync($"endpoint:{endpoint.Id}", 0, 10, Cancel)).ShouldContain(e => e.Type == "endpoint.disabled");

            service.Webhooks.Answers.TryRemove(path, out _);
            using var again = await SendAsync(tenant, HttpMethod.Put, $"v1/webhook-endpoints/{endpoint.Id}", new { url = service.Webhooks.Url(path), disabled = false });
            again.StatusCode.ShouldBe(HttpStatusCode.OK);
        }
    }

    [Fact]
    public async Task A_receiver_that_asks_to_be_left_alone_is()
    {
        var (tenant, path) = await NewAsync();
        var other = new WebhookReceiver();
        await using var disposed = other;
        await other.StartAsync();
        var endpoint = await MakeAsync(tenant, new { url = other.Url(path) });
        var asked = Stopwatch.StartNew();
        other.Answers[path] = context =>
        {
            context.Response.Headers.RetryAfter = "2";
            other.Answers.TryRemove(path, out _);
            return Task.FromResult(Results.StatusCode(429));
        };
        await PostAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}/test", new { });
        await other.NextAsync(path);
        asked.Restart();
        await other.NextAsync(path);
        asked.Elapsed.ShouldBeGreaterThan(TimeSpan.FromSeconds(1.8));
    }

    [Fact]
    public async Task What_one_receiver_asks_for_holds_for_no_other_on_its_host()
    {
        var (tenant, path) = await NewAsync();
        var busy = await MakeAsync(tenant, new { url = service.Webhooks.Url(path) });
        service.Webhooks.Answers[path] = context =>
        {
            context.Response.Headers.RetryAfter = "3600";
            return Task.FromResult(Results.StatusCode(429));
        };
        await TestedAsync(tenant, busy.Id, path);
        while (await NextTryAsync() < DateTimeOffset.UtcNow.AddMinutes(50))
            await Task.Delay(50, Cancel);

        // What comes now is put off, and says until when; another's endpoint on the same host gets its own at once.
        await PostAsync(tenant, $"v1/webhook-endpoints/{busy.Id}/test", new { });
        while (await NextTryAsync() < DateTimeOffset.UtcNow.AddMinutes(50))
            await Task.Delay(50, Cancel);
        var (other, otherPath) = await NewAsync();
        await TestedAsync(other, (await MakeAsync(other, new { url = service.Webhooks.Url(otherPath) })).Id, otherPath);
        service.Webhooks.Waiting(path).ShouldBe(0);

        async Task<DateTimeOffset> NextTryAsync() => JsonElement.Parse(await GetAsync(tenant, $"v1/webhook-endpoints/{busy.Id}/deliveries")).EnumerateArray().Min(delivery => delivery.TryGetProperty("nextTryAt", out var at) && at.ValueKind == JsonValueKind.String ? at.GetDateTimeOffset() : DateTimeOffset.MinValue);
    }

    [Fact]
    public async Task A_receiver_that_never_ends_its_answer_counts_as_one_that_does_not_answer()
    {
        var (tenant, path) = await NewAsync();
        var endpoint = await MakeAsync(tenant, new { url = service.Webhooks.Url(path) });
        service.Webhooks.Answers[path] = async context =>
        {
            while (!context.RequestAborted.IsCancellationRequested)
            {
                await context.Response.WriteAsync(".");
                await Task.Delay(100);
            }

            return Results.Empty;
        };
        await TestedAsync(tenant, endpoint.Id, path);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(20));
        while (!(await GetAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}/deliveries")).Contains("did not answer within 2 s", StringComparison.Ordinal))
            await Task.Delay(50, limit.Token);
        service.Webhooks.Answers.TryRemove(path, out _);
    }

    [Fact]
    public async Task The_backlog_of_an_endpoint_that_takes_one_request_at_a_time_stands_in_nobodys_way()
    {
        // More than a notifier looks at together.
        const int Backlog = 1100;
        var (tenant, path) = await NewAsync();
        var endpoint = await MakeAsync(tenant, new { url = service.Webhooks.Url(path), maxInFlight = 1 });
        var hang = new TaskCompletionSource();
        service.Webhooks.Answers[path] = async _ =>
        {
            await hang.Task;
            return Results.StatusCode(410);
        };
        await Parallel.ForEachAsync(Enumerable.Range(0, Backlog), Cancel, async (_, _) => await PostAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}/test", new { }));
        await service.Webhooks.NextAsync(path);

        var (other, otherPath) = await NewAsync();
        await TestedAsync(other, (await MakeAsync(other, new { url = service.Webhooks.Url(otherPath) })).Id, otherPath);
        hang.SetResult();
    }

    [Fact]
    public async Task An_endpoint_that_wants_one_request_at_a_time_gets_one_at_a_time()
    {
        var (tenant, path) = await NewAsync();
        var endpoint = await MakeAsync(tenant, new { url = service.Webhooks.Url(path), maxInFlight = 1 });
        var (now, most) = (0, 0);
        service.Webhooks.Answers[path] = async _ =>
        {
            InterlockedMax(ref most, Interlocked.Increment(ref now));
            await Task.Delay(20);
            Interlocked.Decrement(ref now);
            return Results.Ok();
        };
        for (var i = 0; i < 8; i++)
            await PostAsync(tenant, $"v1/webhook-endpoints/{endpoint.Id}/test", new { });
        for (var i = 0; i < 8; i++)
            await service.Webhooks.NextAsync(path);
        most.ShouldBe(1);
    }

    [Fact]
    public async Task Of_many_receivers_one_that_hangs_slows_no_other()
    {
        // All on one host, as where many share a gateway.
        const int Endpoints = 200;
        var (tenant, path) = await NewAsync();
        var receiver = new WebhookReceiver();
        await using var disposed = receiver;
        await receiver.StartAsync();
        var hang = new TaskCompletionSource();
        receiver.Answers[$"{path}-0"] = async _ =>
        {
            await hang.Task;
            return Results.Ok();
        };
        var hanging = await MakeAsync(tenant, new { url = receiver.Url($"{path}-0") });
        for (var i = 1; i < Endpoints; i++)
            await MakeAsync(tenant, new { url = receiver.Url($"{path}-{i}") });
        // More than the one that hangs may be sent at a time.
        for (var round = 0; round < 40; round++)
            await PostAsync(tenant, $"v1/webhook-endpoints/{hanging.Id}/test", new { });
        for (var round = 0; round < 3; round++)
        {
            var started = Stopwatch.StartNew();
            await SubmitAsync(tenant, Requests.Double(round, round));
            for (var i = 1; i < Endpoints; i++)
                await receiver.NextAsync($"{path}-{i}");
            started.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(20));
        }

        receiver.Waiting($"{path}-0").ShouldBeGreaterThan(0, "the one that hangs was tried");
        hang.SetResult();
    }

    [Theory]
    [InlineData("""{"url":"ftp://example.org/"}""", "url")]
    [InlineData("""{"url":"https://example.org/","events":["job.exploded"]}""", "events")]
    [InlineData("""{"url":"https://example.org/","secret":"short"}""", "secret")]
    [InlineData("""{"url":"https://example.org/","maxInFlight":0}""", "maxInFlight")]
    public async Task An_endpoint_that_cannot_work_is_refused(string definition, string path)
    {
        using var response = await service.Http.PostAsync("v1/webhook-endpoints", Requests.Json(definition), Cancel);
        var problem = await Requests.ProblemAsync(response);
        problem.Code.ShouldBe(ProblemCodes.InvalidValue);
        problem.Detail.ShouldContain(path);
    }

    [Fact]
    public async Task One_trace_leads_from_the_producer_to_the_webhook()
    {
        var path = Requests.NewId();
        var trace = Convert.ToHexStringLower(Guid.NewGuid().ToByteArray());
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/jobs") { Content = Requests.Json(JsonSerializer.Serialize(Requests.Double(1, 2) with { Webhook = new WebhookTarget { Url = service.Webhooks.Url(path) } }, QueueMaaSJson.Relaxed)) };
        request.Headers.Add("traceparent", $"00-{trace}-00f067aa0ba902b7-01");
        using var accepted = await service.Http.SendAsync(request, Cancel);
        accepted.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        (await service.Webhooks.NextAsync(path)).Headers["traceparent"].ShouldContain(trace);
    }

    private async Task<(string Tenant, string Path)> NewAsync()
    {
        var tenant = $"t{Guid.NewGuid():n}";
        await service.ShareModelAsync(tenant);
        return (tenant, Requests.NewId());
    }

    /// <summary>Waits until the latest try is written; true to go on asking.</summary>
    private async Task<bool> WaitForAsync(string tenant, string endpoint, int status)
    {
        while (!(await GetAsync(tenant, $"v1/webhook-endpoints/{endpoint}/deliveries")).Contains($"\"status\":{status}", StringComparison.Ordinal))
            Cancel.ThrowIfCancellationRequested();
        return JsonSerializer.Deserialize<WebhookEndpointView>(await GetAsync(tenant, $"v1/webhook-endpoints/{endpoint}"), QueueMaaSJson.Relaxed)!.DisabledAt is null;
    }

    /// <summary>Has a test request sent, and waits for it.</summary>
    private async Task<ReceivedWebhook> TestedAsync(string tenant, string endpoint, string path)
    {
        await PostAsync(tenant, $"v1/webhook-endpoints/{endpoint}/test", new { });
        return await service.Webhooks.NextAsync(path);
    }

    private static Task<(int ExitCode, string Output)> VerifiedAsync(string publicKey, ReceivedWebhook told) => Node.RunAsync("verify-ed25519.mjs", JsonSerializer.Serialize(new { publicKey, headers = told.Headers, body = told.Body }));

    private async Task<WebhookEndpointView> MakeAsync(string tenant, object definition) => JsonSerializer.Deserialize<WebhookEndpointView>(await PostAsync(tenant, "v1/webhook-endpoints", definition), QueueMaaSJson.Relaxed)!;

    private async Task<string> SubmitAsync(string tenant, JobSubmission submission) => JsonElement.Parse(await PostAsync(tenant, "v1/jobs", submission)).GetProperty("id").GetString()!;

    private async Task<string> PostUntilAsync(string tenant, string path, object body)
    {
        while (true)
        {
            var answer = await PostAsync(tenant, path, body);
            // The delivery before may still be under way.
            if (JsonElement.Parse(answer).GetProperty("replayed").GetInt32() > 0)
                return answer;
        }
    }

    private async Task<string> PostAsync(string tenant, string path, object body)
    {
        using var response = await SendAsync(tenant, HttpMethod.Post, path, body);
        var text = await response.Content.ReadAsStringAsync(Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(text);
        return text;
    }

    private async Task<string> GetAsync(string tenant, string path)
    {
        using var response = await SendAsync(tenant, HttpMethod.Get, path, body: null);
        return await response.Content.ReadAsStringAsync(Cancel);
    }

    private async Task<HttpResponseMessage> SendAsync(string tenant, HttpMethod method, string path, object? body)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : Requests.Json(JsonSerializer.Serialize(body, QueueMaaSJson.Relaxed)) };
        request.Headers.Add(BusNames.TenantHeader, tenant);
        return await service.Http.SendAsync(request, Cancel);
    }

    private static void InterlockedMax(ref int most, int value)
    {
        int seen;
        while ((seen = Volatile.Read(ref most)) < value && Interlocked.CompareExchange(ref most, value, seen) != seen)
            Thread.SpinWait(1);
    }
}
