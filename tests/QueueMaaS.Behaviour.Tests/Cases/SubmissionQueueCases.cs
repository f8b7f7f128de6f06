using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using RabbitMQ.Client;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>The queue of submissions is taken away from a service that runs.</summary>
[Collection("faults")]
public sealed class SubmissionQueueCases : ProcessCases
{
    [Fact]
    public async Task Submissions_are_taken_again_after_their_queue_was_deleted()
    {
        var service = Start("api,inference");
        using var http = new HttpClient { BaseAddress = new Uri(service.Url) };
        await service.WaitUntilReadyAsync(http);
        var client = new QueueMaaSClient(http);
        await client.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        await using var connection = await new ConnectionFactory { Uri = new Uri(Servers.RabbitMq) }.CreateConnectionAsync(Cancel);
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(true, true), Cancel);

        await channel.QueueDeleteAsync(BusNames.SubmitExchange, cancellationToken: Cancel);

        // What is published before the queue is back goes nowhere, as with any exchange without a queue.
        var submission = Requests.Double(5, 6) with { Id = Requests.NewId() };
        var body = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(submission, QueueMaaSJson.Relaxed));
        while ((await http.GetAsync($"v1/jobs/{submission.Id}", Cancel)).StatusCode == System.Net.HttpStatusCode.NotFound)
        {
            await channel.BasicPublishAsync(BusNames.SubmitExchange, "", mandatory: false, new BasicProperties { ContentType = "application/json" }, body, Cancel);
            await Task.Delay(50, Cancel);
        }

        Requests.Values(await client.WaitAsync(submission.Id!, Cancel)).ShouldBe([10, 12]);
        var health = await http.GetFromJsonAsync<JsonElement>("health/ready", Cancel);
        health.GetProperty("checks").GetProperty("submissions").GetProperty("status").GetString().ShouldBe("healthy");
    }
}
