using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Dispatch;
using RabbitMQ.Client;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>A deployment whose API is up before its first worker, on a broker that has not seen one.</summary>
[Collection("faults")]
public sealed class FirstWorkerCases : ProcessCases
{
    private const int Jobs = 50;
    private const string Queue = "queuemaas.work.inference.normal";

    [Theory]
    [InlineData("quorum")]
    [InlineData("classic")]
    public async Task Jobs_that_came_before_any_worker_wait_in_the_broker_and_run_when_one_comes(string queueType)
    {
        await using var connection = await new ConnectionFactory { Uri = new Uri(Servers.RabbitMq) }.CreateConnectionAsync(Cancel);
        await using var channel = await connection.CreateChannelAsync(cancellationToken: Cancel);
        await DeleteQueuesAsync(channel);
        // The sweeper would send pointers again; here none is to be sent twice.
        (string, string)[] settings = [("Bus:QueueType", queueType), ("Jobs:RedispatchAfter", "01:00:00")];
        try
        {
            using var http = new HttpClient();
            var (client, jobs) = await SubmitBeforeAnyWorkerAsync(http, channel, settings);
            Start("inference", settings);
            await ShouldAllEndAsync(client, jobs);
        }
        finally
        {
            // The tests that follow want them in another form.
            await DeleteQueuesAsync(channel);
        }
    }

    [Fact]
    public async Task Pointers_that_the_broker_lost_are_sent_again_though_no_more_may_lie_there()
    {
        await using var connection = await new ConnectionFactory { Uri = new Uri(Servers.RabbitMq) }.CreateConnectionAsync(Cancel);
        await using var channel = await connection.CreateChannelAsync(cancellationToken: Cancel);
        await DeleteQueuesAsync(channel);
        // Only the process that dispatched them can notice so early.
        (string, string)[] settings = [("Jobs:DispatchWindow", "5"), ("Jobs:RedispatchAfter", "01:00:00")];
        using var http = new HttpClient();
        var (client, jobs) = await SubmitBeforeAnyWorkerAsync(http, channel, settings);

        await channel.QueueDeleteAsync(Queue, cancellationToken: Cancel);

        Start("inference", settings);
        await ShouldAllEndAsync(client, jobs);
    }

    /// <summary>Starts an API alone and submits; returns once the first pointers lie in the broker.</summary>
    private async Task<(QueueMaaSClient Client, List<string> Jobs)> SubmitBeforeAnyWorkerAsync(HttpClient http, IChannel channel, (string, string)[] settings)
    {
        var api = Start("api,notify", settings);
        http.BaseAddress = new Uri(api.Url);
        await api.WaitUntilReadyAsync(http);
        var client = new QueueMaaSClient(http);
        await client.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        var jobs = new List<string>();
        for (var i = 0; i < Jobs; i++)
            jobs.Add((await client.SubmitAsync(Requests.Double(i, 1), cancellationToken: Cancel)).Id);
        while (await channel.MessageCountAsync(Queue, Cancel) == 0)
            await Task.Delay(50, Cancel);
        return (client, jobs);
    }

    private static async Task ShouldAllEndAsync(QueueMaaSClient client, List<string> jobs)
    {
        foreach (var (i, id) in jobs.Index())
            Requests.Values(await client.WaitAsync(id, Cancel))[0].ShouldBe(2 * i);
    }

    private static async Task DeleteQueuesAsync(IChannel channel)
    {
        foreach (var queue in Enum.GetNames<JobKind>().SelectMany(kind => Enum.GetNames<PriorityClass>().Select(priority => $"queuemaas.work.{kind}.{priority}".ToLowerInvariant())).Concat([BusNames.SubmitExchange, BusNames.UnprocessableQueue]))
            await channel.QueueDeleteAsync(queue, cancellationToken: CancellationToken.None);
    }
}
