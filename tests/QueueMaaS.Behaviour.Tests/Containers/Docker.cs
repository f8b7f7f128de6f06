using System.Diagnostics;
using QueueMaaS.Behaviour.Tests.Setup;

namespace QueueMaaS.Behaviour.Tests.Containers;

/// <summary>Docker's command line, as the documentation tells people to use it.</summary>
internal static class Docker
{
    /// <summary>Runs <c>docker</c> in the repository's root and gives what it says; throws where it fails.</summary>
    public static async Task<string> RunAsync(IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        var (exitCode, output) = await TryAsync(environment, arguments);
        return exitCode == 0 ? output.Trim() : throw new InvalidOperationException($"docker {string.Join(' ', arguments)} ended with {exitCode}: {output}");
    }

    public static Task<string> RunAsync(params string[] arguments) => RunAsync(new Dictionary<string, string>(), arguments);

    public static Task<(int ExitCode, string Output)> TryAsync(params string[] arguments) => TryAsync(new Dictionary<string, string>(), arguments);

    public static Task BuildAsync(string image, params string[] options) => RunAsync(["build", "--quiet", "--file", "compose/Dockerfile", "--tag", image, .. options, "."]);

    private static async Task<(int ExitCode, string Output)> TryAsync(IReadOnlyDictionary<string, string> environment, string[] arguments)
    {
        var start = new ProcessStartInfo("docker", arguments) { WorkingDirectory = Node.RepositoryRoot() };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return await ProgramRun.RunAsync(start);
    }
}
