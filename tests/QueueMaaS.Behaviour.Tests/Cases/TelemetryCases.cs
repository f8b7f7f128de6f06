using System.Diagnostics;
using System.Net.Http.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>What processes send to a collector: as operators run them, each a process of its own.</summary>
public abstract class TelemetryCases(bool servers)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("grpc")]
    [InlineData("http/protobuf")]
    public async Task One_trace_leads_from_the_producer_over_bus_and_worker_to_the_webhook(string protocol)
    {
        await using var collector = new OtlpCollector();
        await collector.StartAsync();
        await using var webhooks = new WebhookReceiver();
        await webhooks.StartAsync();
        await using var space = servers ? await ServerSpace.CreateAsync() : null;
        var folder = Directory.CreateTempSubdirectory("queuemaas-telemetry-");
        var settings = new Dictionary<string, string>(space?.Settings ?? new Dictionary<string, string> { ["Bus:RabbitMq"] = "", ["Storage:PostgreSql"] = "", ["Storage:Redis"] = "" })
        {
            ["Telemetry:OtlpEndpoint"] = protocol == "grpc" ? collector.GrpcAddress : collector.HttpAddress,
            ["Telemetry:OtlpProtocol"] = protocol,
            ["Telemetry:OtlpHeaders"] = "x-collector-key=only-for-tests",
            ["Telemetry:MetricsEvery"] = "00:00:01",
            ["Webhooks:Secret"] = webhooks.Secret,
            ["Logging:LogLevel:Default"] = "Information",
        };
        var processes = (servers ? new[] { "api,notify", "inference" } : ["all"]).Select(roles => new WorkerProcess(roles, folder.FullName, settings)).ToArray();
        try
        {
            using var http = new HttpClient { BaseAddress = new Uri(processes[0].Url) };
            await processes[0].WaitUntilReadyAsync(http);
            var api = new QueueMaaSClient(http);
            await api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);

            var (producer, path) = (new ActivityContext(ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded), Requests.NewId());
            var submission = Requests.Double(1, 2) with { Id = Requests.NewId(), Webhook = new WebhookTarget { Url = webhooks.Url(path), Events = [WebhookEvent.Completed] } };
            await SubmitAsync(http, space, submission, $"00-{producer.TraceId}-{producer.SpanId}-01");
            var told = await webhooks.NextAsync(path);

            var trace = producer.TraceId.ToHexString();
            // Over the bus the submission has a span of ours; over HTTP it is the web server's.
            var submit = await collector.SpanAsync(trace, servers ? "submit" : "POST /v1/jobs/");
            submit.Parent.ShouldBe(producer.SpanId.ToHexString());
            var run = await collector.SpanAsync(trace, "run Inference");
            run.Parent.ShouldBe(submit.Id);
            run.Tags["queuemaas.job_id"].ShouldBe(submission.Id);
            run.Tags["queuemaas.outcome"].ShouldBe("succeeded");
            var send = await collector.SpanAsync(trace, "send webhook");
            ActivityContext.Parse(told.Headers["traceparent"], null).SpanId.ToHexString().ShouldBe(send.Id);
            run.Process.ShouldBe(processes[^1].Id);
            send.Process.ShouldBe(processes[0].Id);

            while (!collector.Metrics.ContainsKey("queuemaas_attempts_ended") || collector.Logs.IsEmpty)
                await Task.Delay(50, Cancel);
            collector.Logs.ShouldContain(line => line.Text.StartsWith("QueueMaaS runs as"));
            collector.Spans.ShouldNotContain(span => span.Tags.Values.Any(value => value.Contains("/health/")), "probes make no spans");
            collector.Keys.Keys.ShouldBe(["only-for-tests"]);
        }
        finally
        {
            foreach (var process in processes)
                process.KillHard();
            folder.Delete(recursive: true);
        }
    }

    private static async Task SubmitAsync(HttpClient http, ServerSpace? space, JobSubmission submission, string traceParent)
    {
        if (space is not null)
        {
            // A producer that knows nothing of us but the message.
            var factory = new RabbitMQ.Client.ConnectionFactory { Uri = new Uri(space.Servers.RabbitMq) };
            await using var connection = await factory.CreateConnectionAsync(Cancel);
            await using var channel = await connection.CreateChannelAsync(cancellationToken: Cancel);
            var properties = new RabbitMQ.Client.BasicProperties { ContentType = "application/json", Headers = new Dictionary<string, object?> { ["traceparent"] = traceParent } };
            await channel.BasicPublishAsync(BusNames.SubmitExchange, "", mandatory: true, properties, System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(submission, QueueMaaSJson.Relaxed), Cancel);
            return;
        }

        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/jobs") { Content = JsonContent.Create(submission, options: QueueMaaSJson.Relaxed) };
        request.Headers.Add("traceparent", traceParent);
        (await http.SendAsync(request, Cancel)).EnsureSuccessStatusCode();
    }
}

public sealed class Embedded_telemetry() : TelemetryCases(servers: false);

public sealed class Servers_telemetry() : TelemetryCases(servers: true);
