using System.Globalization;
using QueueMaaS.Behaviour.Tests.Cases;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;

namespace QueueMaaS.Behaviour.Tests.Containers;

/// <summary>The images of <c>compose/Dockerfile</c>. Run by <c>./test.sh containers</c>.</summary>
public sealed class ImageSuite
{
    private const string Full = "queuemaas:local";
    private const string Serving = "queuemaas:test-serving";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact(Explicit = true)]
    public async Task An_update_of_the_program_is_a_small_layer_of_the_image()
    {
        await BuildAsync(Full);
        var layers = await LayersAsync(Full);
        var program = layers.Single(layer => layer.Command.Contains("/app .", StringComparison.Ordinal)).Bytes;
        var libraries = layers.Single(layer => layer.Command.Contains("/native", StringComparison.Ordinal)).Bytes;
        Console.WriteLine($"{Full}: {layers.Sum(layer => layer.Bytes) / 1e6:0} MB, of these the native libraries {libraries / 1e6:0} MB, the program {program / 1e6:0} MB; user {await Docker.RunAsync("inspect", "--format", "{{.Config.User}}", Full)}");
        program.ShouldBeLessThan(80_000_000);
        libraries.ShouldBeGreaterThan(program);
    }

    [Fact(Explicit = true)]
    public async Task An_image_without_training_has_no_libtorch_serves_and_refuses_to_train()
    {
        await BuildAsync(Serving, "--build-arg", "WITH_TRAINING=false");
        var files = await Docker.RunAsync("run", "--rm", "--entrypoint", "find", Serving, "/app", "-name", "*.so*");
        files.ShouldContain("libonnxruntime.so");
        files.ShouldNotContain("torch", Case.Insensitive);
        var layers = await LayersAsync(Serving);
        Console.WriteLine($"{Serving}: {layers.Sum(layer => layer.Bytes) / 1e6:0} MB");

        var (exitCode, refusal) = await Docker.TryAsync("run", "--rm", Serving, "serve", "--roles", "training");
        exitCode.ShouldNotBe(0);
        refusal.ShouldContain("without");

        var port = ComposeDeployment.FreePort();
        var container = await Docker.RunAsync(
            "run", "--detach", "--read-only", "--volume", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--publish", $"127.0.0.1:{port}:8080", Serving, "serve", "--roles", "api,inference,notify");
        try
        {
            // By the image's own health check.
            for (var seconds = 0; await Docker.RunAsync("inspect", "--format", "{{.State.Health.Status}}", container) != "healthy"; seconds++)
            {
                if (seconds == 120)
                    Assert.Fail("Not healthy within two minutes: " + await Docker.RunAsync("logs", "--tail", "30", container));
                await Task.Delay(1000, Cancel);
            }

            using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}/") };
            var api = new QueueMaaSClient(http);
            await api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
            var job = await api.SubmitAsync(Requests.Double(1.5f, -2), cancellationToken: Cancel);
            Requests.Values(await api.WaitAsync(job.Id, Cancel)).ShouldBe([3, -4]);
        }
        finally
        {
            await Docker.RunAsync("rm", "--force", "--volumes", container);
        }
    }

    private static Task BuildAsync(string name, params string[] options) => Docker.RunAsync(["build", "--quiet", "--file", "compose/Dockerfile", "--tag", name, .. options, "."]);

    /// <summary>What each step of the image's making has added.</summary>
    private static async Task<IReadOnlyList<(long Bytes, string Command)>> LayersAsync(string image) =>
        [.. from line in (await Docker.RunAsync("history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", image)).Split('\n')
            let cut = line.IndexOf(' ', StringComparison.Ordinal)
            select (long.Parse(line[..cut], CultureInfo.InvariantCulture), line[(cut + 1)..])];
}
