namespace QueueMaaS.JobBench;

/// <summary>The whole way of a job that does nothing: bus, table, dispatch, worker, result, event.</summary>
internal static class PipelineBench
{
    private const int Callers = 2048;

    public static async Task NoOpAsync(int jobs)
    {
        await using var service = await Service.StartAsync(NoOp.Install);
        await using var load = await BusLoad.ConnectAsync(service.RabbitMq);
        await load.RunAsync(Math.Min(jobs, 3000), Callers, NoOp.Body);
        for (var round = 0; round < 3; round++)
        {
            var processor = new ProcessorTime();
            var (seconds, latencies) = await load.RunAsync(jobs, Callers, NoOp.Body);
            Console.WriteLine($"{jobs / seconds:n0} no-op jobs/s end to end ({Callers} at a time; p50 {Turns.Percentile(latencies, 0.5):0} ms, p99 {Turns.Percentile(latencies, 0.99):0} ms; {load.Failed} failed); a job takes {processor.PerJob(jobs)}");
        }
    }

    public static async Task IdleAsync(int jobs)
    {
        await using var service = await Service.StartAsync(NoOp.Install);
        await using var load = await BusLoad.ConnectAsync(service.RabbitMq);
        await load.RunAsync(200, 1, NoOp.Body);
        var (seconds, latencies) = await load.RunAsync(jobs, 1, NoOp.Body);
        Console.WriteLine($"one caller: {jobs / seconds:0} jobs/s, submit to its end told: p50 {Turns.Percentile(latencies, 0.5):0.0} ms, p99 {Turns.Percentile(latencies, 0.99):0.0} ms");
    }
}
