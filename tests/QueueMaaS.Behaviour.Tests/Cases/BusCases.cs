using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Submission over the bus.</summary>
public abstract class BusCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_published_job_is_accepted_and_computed()
    {
        var id = await service.Bus.SubmitAsync(Requests.Double(7, 8) with { Id = Requests.NewId() }, Cancel);
        Requests.Values(await service.WaitForBusJobAsync(id)).ShouldBe([14, 16]);
    }

    [Fact]
    public async Task A_refused_job_is_not_tried_again_and_does_not_block_the_next()
    {
        var refused = await service.Bus.SubmitAsync(Requests.Double(1, 2, 3) with { Id = Requests.NewId() }, Cancel);
        var accepted = await service.Bus.SubmitAsync(Requests.Double(1, 2) with { Id = Requests.NewId() }, Cancel);
        Requests.Values(await service.WaitForBusJobAsync(accepted)).ShouldBe([2, 4]);
        (await Should.ThrowAsync<ProblemException>(service.Api.GetAsync(refused, Cancel))).Problem.Code.ShouldBe(ProblemCodes.JobNotFound);
    }

    [Fact]
    public async Task Webhooks_tell_start_and_end_are_signed_and_tried_again()
    {
        var path = Requests.NewId();
        service.Webhooks.Failures[path] = 1;
        var id = await service.Bus.SubmitAsync(Requests.Double(1, 2) with { Id = Requests.NewId(), Webhook = new WebhookTarget { Url = service.Webhooks.Url(path) } }, Cancel);
        var failed = await service.Webhooks.NextAsync(path);
        var started = await service.Webhooks.NextAsync(path);
        var completed = await service.Webhooks.NextAsync(path);
        started.Headers["webhook-id"].ShouldBe(failed.Headers["webhook-id"], "a receiver tells repeats by the id");
        Payload(started).Type.ShouldBe("job.started");
        Payload(completed).Type.ShouldBe("job.completed");
        Payload(completed).Data.State.ShouldBe(JobState.Succeeded);
        Payload(completed).Data.JobId.ShouldBe(id);

        // The verifier is Standard Webhooks' own, from npm.
        var input = JsonSerializer.Serialize(new { secret = service.Webhooks.Secret, headers = completed.Headers, body = completed.Body });
        (await Node.RunAsync("verify.mjs", input)).Output.ShouldBe("valid");
        var forged = JsonSerializer.Serialize(new { secret = service.Webhooks.Secret, headers = completed.Headers, body = completed.Body + " " });
        (await Node.RunAsync("verify.mjs", forged)).Output.ShouldStartWith("invalid");

        string log;
        do
            log = await service.Http.GetStringAsync($"v1/jobs/{id}/webhooks", Cancel);
        while (log.Contains("\"pending\"", StringComparison.Ordinal));
        log.ShouldContain("\"status\":500");
        log.ShouldContain("\"delivered\"");
    }

    [Fact]
    public async Task Producer_worker_and_webhook_are_one_trace()
    {
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is "producer" or JobTelemetry.Name,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        using var source = new ActivitySource("producer");
        var path = Requests.NewId();
        string trace;
        using (var order = source.StartActivity("order", ActivityKind.Producer, parentContext: default))
        {
            trace = order!.TraceId.ToHexString();
            await service.Bus.SubmitAsync(Requests.Double(1, 2) with { Id = Requests.NewId(), Webhook = new WebhookTarget { Url = service.Webhooks.Url(path), Events = [WebhookEvent.Completed] } }, Cancel);
        }

        var told = await service.Webhooks.NextAsync(path);
        var parent = ActivityContext.Parse(told.Headers["traceparent"], null);
        parent.TraceId.ToHexString().ShouldBe(trace);
        // The receiver's own span would hang below the one that sent it, and that ends a moment after the receiver has answered.
        Activity? sent;
        while ((sent = spans.FirstOrDefault(span => span.SpanId == parent.SpanId)) is null)
            await Task.Delay(20, Cancel);
        sent.OperationName.ShouldBe("send webhook");
        spans.ShouldContain(span => span.OperationName == "run Inference" && span.TraceId.ToHexString() == trace);
    }

    private static WebhookPayload Payload(ReceivedWebhook webhook) => JsonSerializer.Deserialize<WebhookPayload>(webhook.Body, QueueMaaSJson.Relaxed)!;
}

/// <summary>What only a real broker can show: producers in other languages, and the unprocessable queue.</summary>
[Collection("servers")]
public sealed class RabbitMqCases(ServersService service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_node_producer_submits_plain_json_and_gets_a_reply()
    {
        var submission = Requests.Double(20, 21) with { Id = Requests.NewId() };
        var (exitCode, output) = await Node.RunAsync("produce.mjs", JsonSerializer.Serialize(submission, QueueMaaSJson.Relaxed), service.RabbitMq!);
        exitCode.ShouldBe(0, output);
        output.ShouldContain("\"accepted\":true");
        Requests.Values(await service.WaitForBusJobAsync(submission.Id!)).ShouldBe([40, 42]);
    }

    [Fact]
    public async Task The_description_of_the_bus_is_valid_AsyncAPI()
    {
        var (exitCode, output) = await Node.RunAsync("asyncapi.mjs", "", Path.Combine(Node.RepositoryRoot(), "docs", "asyncapi.yaml"));
        exitCode.ShouldBe(0, output);
        output.ShouldBe("valid");
    }

    [Fact]
    public async Task A_node_producer_is_told_why_its_job_is_refused()
    {
        var (exitCode, output) = await Node.RunAsync("produce.mjs", """{"kind":"inference","input":{"model":"no-such-model","inputs":[]}}""", service.RabbitMq!);
        exitCode.ShouldBe(3, output);
        output.ShouldContain(ProblemCodes.ModelNotFound);
    }

    [Theory]
    [InlineData("this is not JSON", ProblemCodes.InvalidRequest)]
    [InlineData("""{"kind":"inference","input":{},"colour":"red"}""", ProblemCodes.UnknownField)]
    [InlineData("", ProblemCodes.InvalidRequest)]
    [InlineData("[]", ProblemCodes.InvalidRequest)]
    [InlineData("{\"messageType\":[\"urn:message:Foo\"],\"message\":{}}", ProblemCodes.InvalidRequest, "application/vnd.masstransit+json")]
    [InlineData("""{"kind":"inference","input":{"model":"\ud800","inputs":[]}}""", ProblemCodes.InvalidRequest)]
    public async Task A_malformed_message_ends_in_the_unprocessable_queue_with_its_reason_and_its_producer_is_told(string body, string code, string contentType = "application/json")
    {
        var factory = new RabbitMQ.Client.ConnectionFactory { Uri = new Uri(service.RabbitMq!) };
        await using var connection = await factory.CreateConnectionAsync(Cancel);
        await using var channel = await connection.CreateChannelAsync(new RabbitMQ.Client.CreateChannelOptions(true, true), Cancel);
        var marker = Requests.NewId();
        var replyTo = await channel.QueueDeclareAsync("", durable: false, exclusive: true, autoDelete: true, cancellationToken: Cancel);
        var properties = new RabbitMQ.Client.BasicProperties { ContentType = contentType, ReplyTo = replyTo.QueueName, Headers = new Dictionary<string, object?> { ["marker"] = marker } };
        await channel.BasicPublishAsync(BusNames.SubmitExchange, "", mandatory: false, properties, Encoding.UTF8.GetBytes(body), Cancel);

        var (reason, found, kept) = await FindUnprocessableAsync(factory, marker);
        found.ShouldBe(code);
        reason.ShouldNotBeEmpty();
        reason.ShouldNotContain(" at QueueMaaS", customMessage: "no stack trace");
        kept.ShouldBe(body, "the message is kept as it came");
        (await ReadAsync(channel, replyTo.QueueName)).ShouldContain($"\"{code}\"");
        await Should.ThrowAsync<RabbitMQ.Client.Exceptions.OperationInterruptedException>(
            channel.QueueDeclarePassiveAsync($"{BusNames.SubmitExchange}_skipped", Cancel), "nothing is kept in a queue that nobody looks at");
    }

    private static async Task<string> ReadAsync(RabbitMQ.Client.IChannel channel, string queue)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        while (true)
        {
            limit.Token.ThrowIfCancellationRequested();
            if (await channel.BasicGetAsync(queue, autoAck: true, limit.Token) is { } message)
                return Encoding.UTF8.GetString(message.Body.Span);
        }
    }

    private static async Task<(string Reason, string Code, string Body)> FindUnprocessableAsync(RabbitMQ.Client.ConnectionFactory factory, string marker)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        while (true)
        {
            limit.Token.ThrowIfCancellationRequested();
            // The broker's 541 ends the whole connection.
            await using var connection = await factory.CreateConnectionAsync(limit.Token);
            await using var channel = await connection.CreateChannelAsync(cancellationToken: limit.Token);
            try
            {
                while (await channel.BasicGetAsync(BusNames.UnprocessableQueue, autoAck: true, limit.Token) is { } message)
                {
                    if (message.BasicProperties.Headers is { } headers && Text(headers, "marker") == marker)
                        return (Text(headers, BusNames.ReasonHeader), Text(headers, BusNames.CodeHeader), Encoding.UTF8.GetString(message.Body.Span));
                }
            }
            catch (RabbitMQ.Client.Exceptions.OperationInterruptedException exception) when (exception.ShutdownReason?.ReplyCode is 404 or 541)
            {
                // The queue is made with the first message in it; the broker answers a look before that, or while its members start, by closing the channel.
                continue;
            }
        }
    }

    private static string Text(IDictionary<string, object?> headers, string name) => headers.TryGetValue(name, out var value) && value is byte[] bytes ? Encoding.UTF8.GetString(bytes) : "";
}
