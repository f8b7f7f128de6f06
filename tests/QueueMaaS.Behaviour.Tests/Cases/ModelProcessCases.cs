using System.Diagnostics;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>The processes of isolated models, as the operating system sees them.</summary>
[Collection("faults")]
public sealed class ModelProcessCases : ProcessCases
{
    [Fact]
    public async Task Jobs_go_on_when_the_process_of_their_model_is_killed_and_it_ends_with_its_worker()
    {
        var worker = Start("api,inference,notify", ("Inference:Isolation", "all"));
        using var http = new HttpClient { BaseAddress = new Uri(worker.Url), Timeout = TimeSpan.FromMinutes(2) };
        await worker.WaitUntilReadyAsync(http);
        var api = new QueueMaaSClient(http);
        await api.UploadModelAsync("killed", new MemoryStream(TestModels.Double()), Cancel);
        var input = new InferenceInput { Model = "killed", Inputs = [new Tensor { Name = "x", Datatype = "FP32", Shape = [1, 2], Data = System.Text.Json.JsonElement.Parse("[1,2]") }] };
        for (var life = 0; life < 3; life++)
        {
            var jobs = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => SubmitAsync()));
            KillModels(worker);
            foreach (var job in jobs)
                (await api.WaitAsync(job.Id, Cancel)).ShouldSatisfyAllConditions(ended => ended.State.ShouldBe(JobState.Succeeded, ended.Error?.Message));
        }

        (await api.WaitAsync((await SubmitAsync()).Id, Cancel)).State.ShouldBe(JobState.Succeeded);
        var last = Models(worker).ShouldHaveSingleItem();
        var folder = new DirectoryInfo(File.ResolveLinkTarget($"/proc/{last.Id}/cwd", returnFinalTarget: false)!.FullName);
        folder.Exists.ShouldBeTrue();
        worker.KillHard();
        await last.WaitForExitAsync(new CancellationTokenSource(TimeSpan.FromSeconds(10)).Token);
        folder.Refresh();
        folder.Exists.ShouldBeFalse("what it left would fill the disk, one kill after another");

        Task<Job> SubmitAsync() => api.SubmitAsync(QueueMaaSClient.Inference(input), cancellationToken: Cancel);
    }

    private static void KillModels(WorkerProcess worker)
    {
        foreach (var model in Models(worker))
            model.Kill();
    }

    /// <summary>The worker's children: it starts nothing else.</summary>
    private static Process[] Models(WorkerProcess worker) => [.. Process.GetProcesses().Where(process => ParentOf(process.Id) == worker.Id)];

    private static int? ParentOf(int id)
    {
        try
        {
            // Fields after the name, which is in parentheses and may hold anything: state, parent …
            var stat = File.ReadAllText($"/proc/{id}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            // It has ended meanwhile.
            return null;
        }
    }
}
