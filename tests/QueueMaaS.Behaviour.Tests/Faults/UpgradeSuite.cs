using System.Diagnostics;
using System.Text;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;

namespace QueueMaaS.Behaviour.Tests.Faults;

/// <summary>An earlier version of the program, replaced process by process by this one under load. Run by <c>./test.sh upgrade COMMIT</c>, which builds the earlier one.</summary>
[Collection("faults")]
public sealed class UpgradeSuite
{
    private const int JobsPerStep = 200;

    [Fact(Explicit = true)]
    public async Task Old_and_new_processes_side_by_side_lose_nothing()
    {
        var old = Environment.GetEnvironmentVariable("QUEUEMAAS_UPGRADE_FROM") ?? throw new InvalidOperationException("Set QUEUEMAAS_UPGRADE_FROM to the earlier version's QueueMaaS.dll, or run ./test.sh upgrade COMMIT.");
        await using var webhooks = new WebhookReceiver();
        await webhooks.StartAsync();
        await using var cluster = await FaultCluster.StartAsync(webhooks.Secret, program: old);
        using var http = new HttpClient { BaseAddress = new Uri(cluster.Url("api-1")) };
        await new QueueMaaSClient(http).UploadModelAsync("double", new MemoryStream(TestModels.Double()), TestContext.Current.CancellationToken);
        await using var load = new FaultLoad(cluster, webhooks);
        var counting = new FaultCount(cluster, load, webhooks);
        await load.SubmitAsync(JobsPerStep);
        var stuck = await counting.WaitForCalmAsync(Stopwatch.StartNew());

        // The first one brings the database up to date, under the old ones that run.
        foreach (var name in (string[])[FaultCluster.Apis[0], FaultCluster.Workers[0], FaultCluster.Notifier, FaultCluster.Apis[1], FaultCluster.Workers[1]])
        {
            var submissions = load.SubmitAsync(JobsPerStep);
            await cluster.EndAsync(name);
            cluster.Launch(name);
            if (FaultCluster.Apis.Contains(name))
                await cluster.WaitUntilReadyAsync(name);
            var back = Stopwatch.StartNew();
            await Task.WhenAll(submissions, load.SubmitAsync(JobsPerStep));
            stuck += await counting.WaitForCalmAsync(back);
            Console.WriteLine($"{name} is new: calm after {back.Elapsed.TotalSeconds:0.0} s; {load.Accepted.Count} accepted, {stuck} stuck");
        }

        var count = await counting.CountAsync();
        var line = $"upgrade: {load.Accepted.Count} jobs, {count.Lost} lost, {count.Doubled} doubled, {stuck} stuck, {count.WebhooksMissing} webhooks missing, {load.Refused} refused honestly, {load.Dishonest.Count} otherwise";
        Console.WriteLine(line);
        (count.Lost, count.Doubled, stuck, count.WebhooksMissing).ShouldBe((0, 0, 0, 0), line);
        load.Dishonest.ShouldBeEmpty();

        // There is no way back but a backup.
        var output = new StringBuilder();
        await cluster.EndAsync(FaultCluster.Workers[1]);
        cluster.Launch(FaultCluster.Workers[1], old, output);
        (await cluster.ExitCodeAsync(FaultCluster.Workers[1])).ShouldNotBe(0);
        output.ToString().ShouldContain("newer QueueMaaS");
    }
}
