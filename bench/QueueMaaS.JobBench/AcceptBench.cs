using System.Text;
using Npgsql;
using RabbitMQ.Client;

namespace QueueMaaS.JobBench;

/// <summary>Jobs accepted by HTTP beside what a service without groups would do at least: a row and a confirmed message for each job.</summary>
internal static class AcceptBench
{
    private const int Turn = 5;
    private const int Channels = 8;

    public static async Task RunAsync(int jobs)
    {
        await using var service = await Service.StartAsync(NoOp.Install, Service.ApiAlone);
        using var http = new HttpClient { BaseAddress = new Uri(service.Url) };
        await using var database = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(service.PostgreSql) { MaxPoolSize = 64 });
        await using (var create = database.CreateCommand("create table bare_jobs (id text primary key, state text not null, created_at timestamptz not null, input text not null)"))
            await create.ExecuteNonQueryAsync();
        await using var connection = await new ConnectionFactory { Uri = new Uri(service.RabbitMq) }.CreateConnectionAsync();
        var channels = await Task.WhenAll(Enumerable.Range(0, Channels).Select(_ => connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true))));
        var queue = $"bare-{Guid.NewGuid():n}";
        await channels[0].QueueDeclareAsync(queue, durable: true, exclusive: false, autoDelete: false, new Dictionary<string, object?> { ["x-queue-type"] = "quorum" });
        Console.WriteLine("| callers | accepted by HTTP, jobs/s | bare Npgsql insert and RabbitMQ confirm, jobs/s | ratio |\n| --- | --- | --- | --- |");
        foreach (var callers in (int[])[16, 64, 256])
        {
            var processor = new ProcessorTime();
            var (ours, bare) = await Turns.MediansAsync(
                Turn,
                () => Turns.RateAsync(jobs, callers, async _ =>
                {
                    using var response = await HttpJobs.PostAsync(http, NoOp.Body);
                }),
                () => Turns.RateAsync(jobs, callers, async turn =>
                {
                    var id = Guid.CreateVersion7().ToString();
                    await using (var insert = database.CreateCommand("insert into bare_jobs values ($1, 'Queued', now(), $2)"))
                    {
                        insert.Parameters.Add(new NpgsqlParameter<string> { TypedValue = id });
                        insert.Parameters.Add(new NpgsqlParameter<string> { TypedValue = NoOp.Body });
                        await insert.ExecuteNonQueryAsync();
                    }

                    await channels[turn % Channels].BasicPublishAsync("", queue, mandatory: false, new BasicProperties { DeliveryMode = DeliveryModes.Persistent }, Encoding.UTF8.GetBytes(id));
                }));
            Console.Error.WriteLine($"of both: a job takes {processor.PerJob(2 * (Turn + 1) * jobs)}");
            Console.WriteLine($"| {callers} | {ours:n0} | {bare:n0} | {ours / bare:0.00} |");
        }

        await channels[0].QueueDeleteAsync(queue);
    }
}
