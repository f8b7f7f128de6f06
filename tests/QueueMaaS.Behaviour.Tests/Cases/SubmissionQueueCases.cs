using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>The queue of submissions is taken away from a service that runs.</summary>
[Collection("faults")]
public sealed class SubmissionQueueCases : ProcessCases
{
    // What never comes is told as a failure, at the line that waits for it.
    private readonly CancellationTokenSource _limit = CancellationTokenSource.CreateLinkedTokenSource(ProcessCases.Cancel);

    private new CancellationToken Cancel => _limit.Token;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        _limit.CancelAfter(TimeSpan.FromMinutes(3));
    }

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

    [Fact]
    public async Task A_wrong_password_is_not_told_as_a_broker_that_does_not_answer()
    {
        var service = Start("api", ("Bus:RabbitMq", new UriBuilder(Servers.RabbitMq) { UserName = "guest", Password = "wrong" }.ToString()));
        using var http = new HttpClient { BaseAddress = new Uri(service.Url) };
        string health;
        do
            health = await AskAsync();
        while (!health.Contains("`Bus:RabbitMq`", StringComparison.Ordinal));
        health.ShouldContain("refuses the user name or the password");
        health.ShouldNotContain("wrong");

        async Task<string> AskAsync()
        {
            try
            {
                await Task.Delay(100, Cancel);
                using var response = await http.GetAsync("health/ready", Cancel);
                return await response.Content.ReadAsStringAsync(Cancel);
            }
            catch (HttpRequestException)
            {
                return "";
            }
        }
    }

    [Fact]
    public async Task A_message_sent_twice_is_one_job_whatever_its_id_looks_like()
    {
        var service = Start("api,inference");
        using var http = new HttpClient { BaseAddress = new Uri(service.Url) };
        await service.WaitUntilReadyAsync(http);
        await new QueueMaaSClient(http).UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        await using var connection = await new ConnectionFactory { Uri = new Uri(Servers.RabbitMq) }.CreateConnectionAsync(Cancel);
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(true, true), Cancel);
        var replies = await channel.QueueDeclareAsync(cancellationToken: Cancel);
        var body = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(Requests.Double(5, 6), QueueMaaSJson.Relaxed));
        foreach (var messageId in (string[])["order-4711", "order/4711 (again)", new('x', 200)])
        {
            var (first, second) = (await SendAsync(messageId), await SendAsync(messageId));
            first.GetProperty("accepted").GetBoolean().ShouldBeTrue();
            second.GetProperty("duplicate").GetBoolean().ShouldBeTrue();
            second.GetProperty("jobId").GetString().ShouldBe(first.GetProperty("jobId").GetString());
        }

        async Task<JsonElement> SendAsync(string messageId)
        {
            await channel.BasicPublishAsync(BusNames.SubmitExchange, "", mandatory: false, new BasicProperties { MessageId = messageId, ReplyTo = replies.QueueName }, body, Cancel);
            return JsonElement.Parse((await TakeAsync(connection, replies.QueueName)).Body.Span);
        }
    }

    [Fact]
    public async Task Small_and_large_submissions_are_all_taken_while_the_number_held_at_a_time_follows_their_size()
    {
        var service = Start("api,inference");
        using var http = new HttpClient { BaseAddress = new Uri(service.Url) };
        await service.WaitUntilReadyAsync(http);
        var client = new QueueMaaSClient(http);
        await client.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        await using var connection = await new ConnectionFactory { Uri = new Uri(Servers.RabbitMq) }.CreateConnectionAsync(Cancel);
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(true, true), Cancel);
        // White space counts for the bus and for nothing else.
        const int Large = 2 * 1024 * 1024;
        int[] sizes = [.. Enumerable.Repeat(0, 400), .. Enumerable.Repeat(Large, 100), .. Enumerable.Repeat(0, 400)];
        var ids = sizes.Select(_ => Requests.NewId()).ToArray();
        var group = Requests.NewId();

        foreach (var sent in ids.Zip(sizes).Chunk(100))
            await Task.WhenAll(sent.Select(one => SendAsync(one.First, one.Second)));

        JsonElement state;
        do
        {
            await Task.Delay(100, Cancel);
            using var answer = await http.GetAsync($"v1/groups/{group}", Cancel);
            state = JsonElement.Parse(await answer.Content.ReadAsStringAsync(Cancel));
        }
        while (!state.TryGetProperty("completedAt", out _));
        state.GetProperty("counts").GetProperty("succeeded").GetInt32().ShouldBe(ids.Length);
        await service.EndAsync();
        (await channel.MessageCountAsync(BusNames.SubmitExchange, Cancel)).ShouldBe(0u);

        async Task SendAsync(string id, int padding)
        {
            var submission = Requests.Double(5, 6) with { Id = id, Group = new GroupMembership(group, ids.Length) };
            var body = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(submission, QueueMaaSJson.Relaxed) + new string(' ', padding));
            await channel.BasicPublishAsync(BusNames.SubmitExchange, "", mandatory: false, new BasicProperties { ContentType = "application/json" }, body, Cancel);
        }
    }

    [Fact]
    public async Task What_the_queue_of_unprocessable_messages_refuses_is_a_dead_letter_once_and_comes_no_more()
    {
        await using var connection = await new ConnectionFactory { Uri = new Uri(Servers.RabbitMq) }.CreateConnectionAsync(Cancel);
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(true, true), Cancel);
        await channel.QueueDeleteAsync(BusNames.UnprocessableQueue, cancellationToken: Cancel);
        await channel.QueueDeclareAsync(
            BusNames.UnprocessableQueue, durable: true, exclusive: false, autoDelete: false, new Dictionary<string, object?> { ["x-max-length"] = 1, ["x-overflow"] = "reject-publish" }, cancellationToken: Cancel);
        try
        {
            var service = Start("api,inference");
            using var http = new HttpClient { BaseAddress = new Uri(service.Url) };
            await service.WaitUntilReadyAsync(http);
            foreach (var number in Enumerable.Range(0, 4))
                await channel.BasicPublishAsync(BusNames.SubmitExchange, "", mandatory: false, new BasicProperties(), Encoding.UTF8.GetBytes($"no job {number}"), Cancel);
            string[] expected = ["no job 0", "no job 1", "no job 2", "no job 3"];
            while ((await BodiesAsync(http)).Length < expected.Length)
                await Task.Delay(50, Cancel);
            await service.EndAsync();

            // Nothing waits to come again, and nothing came twice.
            (await channel.MessageCountAsync(BusNames.SubmitExchange, Cancel)).ShouldBe(0u);
            var again = Start("api");
            using var later = new HttpClient { BaseAddress = new Uri(again.Url) };
            await again.WaitUntilReadyAsync(later);
            (await BodiesAsync(later)).Order(StringComparer.Ordinal).ShouldBe(expected);
        }
        finally
        {
            await channel.QueueDeleteAsync(BusNames.UnprocessableQueue, cancellationToken: CancellationToken.None);
        }
    }

    [Fact]
    public async Task A_message_whose_headers_leave_no_room_for_the_reason_is_put_aside_without_some()
    {
        await using var connection = await new ConnectionFactory { Uri = new Uri(Servers.RabbitMq) }.CreateConnectionAsync(Cancel);
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(true, true), Cancel);
        await channel.QueueDeleteAsync(BusNames.UnprocessableQueue, cancellationToken: Cancel);
        var service = Start("api,inference");
        using var http = new HttpClient { BaseAddress = new Uri(service.Url) };
        await service.WaitUntilReadyAsync(http);

        var large = new string('x', 130_000);
        await channel.BasicPublishAsync(BusNames.SubmitExchange, "", mandatory: false, new BasicProperties { Headers = new Dictionary<string, object?> { ["large"] = large, ["small"] = "stays" } }, "no job"u8.ToArray(), Cancel);

        var headers = (await TakeAsync(connection, BusNames.UnprocessableQueue)).BasicProperties.Headers!;
        headers.ShouldNotContainKey("large");
        ((byte[])headers["small"]!).ShouldBe("stays"u8.ToArray());
        headers.ShouldContainKey(BusNames.ReasonHeader);
        headers[BusNames.HeadersLeftOutHeader].ShouldBe(1);
        var id = (await http.GetFromJsonAsync<JsonElement>("v1/dead-letters?type=unprocessable", Cancel)).GetProperty("items").EnumerateArray().Single().GetProperty("id").GetString();
        (await http.GetFromJsonAsync<JsonElement>($"v1/dead-letters/{id}", Cancel)).GetProperty("headers").GetProperty("large").GetString().ShouldBe(large);
    }

    [Fact]
    public async Task Messages_that_no_table_can_hold_are_put_aside_and_hold_up_nobody()
    {
        await using var connection = await new ConnectionFactory { Uri = new Uri(Servers.RabbitMq) }.CreateConnectionAsync(Cancel);
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(true, true), Cancel);
        await channel.QueueDeleteAsync(BusNames.UnprocessableQueue, cancellationToken: Cancel);
        var service = Start("api,inference");
        using var http = new HttpClient { BaseAddress = new Uri(service.Url) };
        await service.WaitUntilReadyAsync(http);
        var client = new QueueMaaSClient(http);
        await client.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        var good = Requests.Double(5, 6) with { Id = Requests.NewId() };
        var body = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(good, QueueMaaSJson.Relaxed));
        var nul = Encoding.UTF8.GetBytes("""{"kind":"inference","input":{"model":"double\u0000","inputs":[]},"tags":["a\u0000b"]}""");
        var refused = new[] { Sent(body, (BusNames.TenantHeader, "a\0b")), Sent(body, (BusNames.TenantHeader, "BAD NAME")), Sent(nul, ("z", new Dictionary<string, object?> { ["a"] = 1 })), Sent("junk"u8.ToArray(), ("x-death", new List<object?> { new Dictionary<string, object?> { ["count"] = 1L } })) };
        foreach (var (sent, headers) in refused)
            await channel.BasicPublishAsync(BusNames.SubmitExchange, "", mandatory: false, new BasicProperties { Headers = headers }, sent, Cancel);
        // A trace context that is none is left out.
        await channel.BasicPublishAsync(BusNames.SubmitExchange, "", mandatory: false, new BasicProperties { Headers = new Dictionary<string, object?> { ["traceparent"] = "\0" } }, body, Cancel);

        for (var i = 0; i < refused.Length; i++)
            ((byte[])(await TakeAsync(connection, BusNames.UnprocessableQueue)).BasicProperties.Headers![BusNames.CodeHeader]!).ShouldNotBeEmpty();
        while ((await http.GetAsync($"v1/jobs/{good.Id}", Cancel)).StatusCode == System.Net.HttpStatusCode.NotFound)
            await Task.Delay(50, Cancel);
        Requests.Values(await client.WaitAsync(good.Id!, Cancel)).ShouldBe([10, 12]);
        (await BodiesAsync(http)).Length.ShouldBe(refused.Length);
        (await http.GetAsync("v1/jobs?tag=a%00b", Cancel)).StatusCode.ShouldBe(System.Net.HttpStatusCode.UnprocessableEntity);

        static (byte[] Body, Dictionary<string, object?> Headers) Sent(byte[] body, (string Name, object? Value) header) => (body, new() { [header.Name] = header.Value });
    }

    private async Task<string[]> BodiesAsync(HttpClient http)
    {
        var page = await http.GetFromJsonAsync<JsonElement>("v1/dead-letters?type=unprocessable", Cancel);
        var bodies = new List<string>();
        foreach (var letter in page.GetProperty("items").EnumerateArray())
            bodies.Add((await http.GetFromJsonAsync<JsonElement>($"v1/dead-letters/{letter.GetProperty("id").GetString()}", Cancel)).GetProperty("body").GetString()!);
        return [.. bodies];
    }

    private async Task<BasicGetResult> TakeAsync(IConnection connection, string queue)
    {
        while (true)
        {
            await using var channel = await connection.CreateChannelAsync(cancellationToken: Cancel);
            try
            {
                if (await channel.BasicGetAsync(queue, autoAck: true, Cancel) is { } message)
                    return message;
            }
            catch (OperationInterruptedException exception) when (exception.ShutdownReason?.ReplyCode == Constants.NotFound)
            {
                // It is made with the first message in it.
            }

            await Task.Delay(50, Cancel);
        }
    }
}
