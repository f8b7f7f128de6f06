using MassTransit;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>A program that knows nothing of QueueMaaS but its exchange and its JSON, and uses MassTransit as it comes.</summary>
[Collection("servers")]
public sealed class MassTransitClientCases(ServersService service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_request_gets_the_reply_and_the_job_runs(bool isRawJson)
    {
        await using var client = await ConnectAsync(isRawJson);
        var reply = await client.AskAsync(new RunModel("inference", new { model = "double", inputs = new object[] { new { name = "x", datatype = "FP32", shape = new[] { 1, 2 }, data = new[] { 3, 4 } } } }));
        reply.Accepted.ShouldBeTrue(reply.Problem?.Message);
        reply.Duplicate.ShouldBeFalse();
        Requests.Values(await service.WaitForBusJobAsync(reply.JobId!)).ShouldBe([6, 8]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_request_that_cannot_become_a_job_is_told_why(bool isRawJson)
    {
        await using var client = await ConnectAsync(isRawJson);
        var reply = await client.AskAsync(new RunModel("inference", new { model = "no-such-model", inputs = Array.Empty<object>() }));
        reply.Accepted.ShouldBeFalse();
        reply.Problem!.Code.ShouldBe(ProblemCodes.ModelNotFound);
    }

    private async Task<Client> ConnectAsync(bool isRawJson)
    {
        var bus = MassTransit.Bus.Factory.CreateUsingRabbitMq(rabbit =>
        {
            rabbit.Host(new Uri(service.RabbitMq!));
            if (isRawJson)
                rabbit.UseRawJsonSerializer(RawSerializerOptions.AddTransportHeaders | RawSerializerOptions.CopyHeaders, isDefault: true);
            rabbit.ConfigureJsonSerializerOptions(json =>
            {
                QueueMaaSJson.Apply(json);
                return json;
            });
        });
        await bus.StartAsync(Cancel);
        return new Client(bus);
    }

    /// <summary>The producer's own name for it.</summary>
    public sealed record RunModel(string Kind, object Input);

    private sealed class Client(IBusControl bus) : IAsyncDisposable
    {
        public async Task<SubmissionReply> AskAsync(RunModel message)
        {
            var requests = bus.CreateRequestClient<RunModel>(new Uri($"exchange:{BusNames.SubmitExchange}"), RequestTimeout.After(s: 30));
            return (await requests.GetResponse<SubmissionReply>(message, Cancel)).Message;
        }

        public async ValueTask DisposeAsync() => await bus.StopAsync();
    }
}
