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
public sealed class PublishedCopyCases : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-published-").FullName;
    private readonly List<WorkerProcess> _processes = [];
    private ServerSpace? _space;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Program => Path.Combine(_folder, "app", "QueueMaaS.dll");

    public async ValueTask InitializeAsync()
    {
        _space = await ServerSpace.CreateAsync();
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(root.FullName, "QueueMaaS.sln")))
            root = root.Parent!;
        await RunAsync(root.FullName, "publish", "src/QueueMaaS", "--configuration", "Release", "--no-build", "--output", Path.Combine(_folder, "app"), "-p:WithTraining=false", "-p:UseAppHost=false");
    }

    public async ValueTask DisposeAsync()
    {
        _processes.ForEach(process => process.KillHard());
        await _space!.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_copy_without_libtorch_serves_and_leaves_training_to_others()
    {
        Directory.EnumerateFiles(Path.Combine(_folder, "app"), "*", SearchOption.AllDirectories).ShouldAllBe(file => !Path.GetFileName(file).StartsWith("libtorch", StringComparison.OrdinalIgnoreCase) && !file.Contains("LibTorchSharp"));

        var output = new StringBuilder();
        var refused = new WorkerProcess("training", _folder, _space!.Settings, output: output, program: Program);
        (await refused.ExitCodeAsync()).ShouldNotBe(0);
        output.ToString().ShouldContain("published without libtorch");
        output.ToString().ShouldNotContain("   at ");

        var serving = new WorkerProcess("api,inference,notify", _folder, _space.Settings, program: Program);
        _processes.Add(serving);
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
        _processes.Add(new WorkerProcess("training", _folder, _space.Settings));
        (await api.WaitAsync(training.Id, Cancel)).State.ShouldBe(JobState.Succeeded);
    }

    private static async Task RunAsync(string folder, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("dotnet", arguments) { WorkingDirectory = folder, UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = process.StandardOutput.ReadToEndAsync(Cancel);
        var errors = process.StandardError.ReadToEndAsync(Cancel);
        await process.WaitForExitAsync(Cancel);
        process.ExitCode.ShouldBe(0, await output + await errors);
    }
}
