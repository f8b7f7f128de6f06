using System.Diagnostics;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Testing;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>The program published without libtorch, for nodes that answer requests and infer but never train.</summary>
[Collection("faults")]
public sealed class PublishedCopyCases : ProcessCases
{
    private string Copy => Path.Combine(Folder, "app");

    private string Program => Path.Combine(Copy, "QueueMaaS.dll");

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        var (exitCode, output) = await ProgramRun.RunAsync(new ProcessStartInfo("dotnet", ["publish", "src/QueueMaaS", "--configuration", "Release", "--no-build", "--output", Copy, "-p:WithTraining=false", "-p:UseAppHost=false"]) { WorkingDirectory = Node.RepositoryRoot() });
        exitCode.ShouldBe(0, output);
    }

    [Fact]
    public async Task A_copy_without_libtorch_serves_and_leaves_training_to_others()
    {
        Directory.EnumerateFiles(Copy, "*", SearchOption.AllDirectories).ShouldAllBe(file => !Path.GetFileName(file).StartsWith("libtorch", StringComparison.OrdinalIgnoreCase) && !file.Contains("LibTorchSharp"));

        var output = new StringBuilder();
        var refused = Start("training", Program, output);
        (await refused.ExitCodeAsync()).ShouldNotBe(0);
        output.ToString().ShouldContain("published without libtorch");
        output.ToString().ShouldNotContain("   at ");

        var serving = Start("api,inference,notify", Program, output: null);
        using var http = new HttpClient { BaseAddress = new Uri(serving.Url), Timeout = TimeSpan.FromMinutes(2) };
        await serving.WaitUntilReadyAsync(http);
        var api = new QueueMaaSClient(http);
        await api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        var inferred = await api.WaitAsync((await api.SubmitAsync(Requests.Double(21, 1), cancellationToken: Cancel)).Id, Cancel);
        Requests.Values(inferred)[0].ShouldBe(42);

        // A training is taken and kept for a node that can.
        await api.UploadDatasetAsync("kept", new MemoryStream(TestImages.Shapes(trainPerClass: 20, testPerClass: 4, corrupt: 0)), Cancel);
        var training = await api.SubmitAsync(QueueMaaSClient.Training(new TrainingInput { Model = "kept", Dataset = "kept", Epochs = 1 }), cancellationToken: Cancel);
        (await http.GetFromJsonAsync<JsonElement>($"v1/jobs/{training.Id}?wait=2", Cancel)).GetProperty("state").GetString().ShouldBe("queued");
        Start("training");
        (await api.WaitAsync(training.Id, Cancel)).State.ShouldBe(JobState.Succeeded);
    }
}
