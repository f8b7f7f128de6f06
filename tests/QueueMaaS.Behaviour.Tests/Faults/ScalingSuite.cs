using System.Diagnostics;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Faults;

/// <summary>Processes of every kind that join and leave a deployment under load, as an autoscaler has it.</summary>
[Collection("faults")]
public sealed class ScalingSuite
{
    private const int JobsPerStep = 40;
    private const int Trainings = 2;

    [Fact]
    public async Task Nodes_of_every_kind_join_and_leave_under_load_and_nothing_is_lost()
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var webhooks = new WebhookReceiver();
        await webhooks.StartAsync();
        await using var cluster = await FaultCluster.StartAsync(webhooks.Secret);
        // Of an API process that stays.
        using var http = new HttpClient { BaseAddress = new Uri(cluster.Url("api-2")), Timeout = TimeSpan.FromMinutes(3) };
        var api = new QueueMaaSClient(http);
        await api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), cancel);
        await api.UploadDatasetAsync("shapes", new MemoryStream(TestImages.Shapes(trainPerClass: 40, testPerClass: 4, corrupt: 0)), cancel);
        var trainings = new List<Job>();
        for (var i = 0; i < Trainings; i++)
            trainings.Add(await api.SubmitAsync(QueueMaaSClient.Training(new TrainingInput { Model = $"shapes-{i}", Dataset = "shapes", Epochs = 3 }), cancellationToken: cancel));
        await using var load = new FaultLoad(cluster, webhooks);
        var counting = new FaultCount(cluster, load, webhooks);

        var submissions = new List<Task> { load.SubmitAsync(JobsPerStep) };
        string[] joining = ["trainer-1", "api-3", "worker-3", "trainer-2", "notifier-2"];
        foreach (var name in joining)
        {
            cluster.Launch(name);
            submissions.Add(load.SubmitAsync(JobsPerStep));
        }

        await Task.WhenAll(joining.Select(cluster.WaitUntilReadyAsync));

        foreach (var name in (string[])["api-1", "worker-1", "trainer-1", FaultCluster.Notifier, "worker-2"])
        {
            submissions.Add(load.SubmitAsync(JobsPerStep));
            await cluster.LeaveAsync(name);
        }

        cluster.Launch("trainer-3");
        var since = Stopwatch.StartNew();
        await Task.WhenAll(submissions).WaitAsync(FaultCount.Longest, cancel);
        var stuck = await counting.WaitForCalmAsync(since);
        var count = await counting.CountAsync();
        (count.Lost, count.Doubled, stuck, count.WebhooksMissing).ShouldBe((0, 0, 0, 0), $"{load.Accepted.Count} jobs");
        load.Dishonest.ShouldBeEmpty();
        foreach (var training in trainings)
            (await api.WaitAsync(training.Id, cancel)).State.ShouldBe(JobState.Succeeded);
    }
}
