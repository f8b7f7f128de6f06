using System.Globalization;

namespace QueueMaaS.Behaviour.Tests.Containers;

/// <summary>The images of <c>compose/Dockerfile</c>. Run by <c>./test.sh containers</c>.</summary>
public sealed class ImageSuite
{
    private const string Full = "queuemaas:local";
    internal const string Serving = "queuemaas:test-serving";

    [Fact(Explicit = true)]
    public async Task An_update_of_the_program_is_a_small_layer_of_the_image()
    {
        await Docker.BuildAsync(Full);
        var layers = await LayersAsync(Full);
        var program = layers.Single(layer => layer.Command.Contains("/app .", StringComparison.Ordinal)).Bytes;
        var libraries = layers.Single(layer => layer.Command.Contains("/native", StringComparison.Ordinal)).Bytes;
        Console.WriteLine($"{Full}: {layers.Sum(layer => layer.Bytes) / 1e6:0} MB, of these the native libraries {libraries / 1e6:0} MB, the program {program / 1e6:0} MB; user {await Docker.RunAsync("inspect", "--format", "{{.Config.User}}", Full)}");
        program.ShouldBeLessThan(80_000_000);
        libraries.ShouldBeGreaterThan(program);
    }

    [Fact(Explicit = true)]
    public async Task An_image_without_training_has_no_libtorch_and_refuses_to_train()
    {
        await Docker.BuildAsync(Serving, "--build-arg", "WITH_TRAINING=false");
        var files = await Docker.RunAsync("run", "--rm", "--entrypoint", "find", Serving, "/app", "-name", "*.so*");
        files.ShouldContain("libonnxruntime.so");
        files.ShouldNotContain("torch", Case.Insensitive);
        var layers = await LayersAsync(Serving);
        Console.WriteLine($"{Serving}: {layers.Sum(layer => layer.Bytes) / 1e6:0} MB");

        var (exitCode, refusal) = await Docker.TryAsync("run", "--rm", Serving, "serve", "--roles", "training");
        exitCode.ShouldNotBe(0);
        refusal.ShouldContain("published without libtorch");
    }

    /// <summary>What each step of the image's making has added.</summary>
    private static async Task<IReadOnlyList<(long Bytes, string Command)>> LayersAsync(string image) =>
        [.. from line in (await Docker.RunAsync("history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", image)).Split('\n')
            let words = line.Split(' ', 2)
            select (long.Parse(words[0], CultureInfo.InvariantCulture), words.Length == 2 ? words[1] : "")];
}
