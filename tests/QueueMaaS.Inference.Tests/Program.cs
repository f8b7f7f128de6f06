using QueueMaaS.Inference.Isolation;

namespace QueueMaaS.Inference.Tests;

/// <summary>The tests' own entry point: the program that runs them is also the one that isolated models run in.</summary>
internal static class Program
{
    public static async Task<int> Main(string[] args)
    {
        if (args is [ModelProcessProgram.Command])
            return ModelProcessProgram.Run();
        return args.Contains("--server") || args.Contains("--internal-msbuild-node")
            ? await Xunit.MicrosoftTestingPlatform.TestPlatformTestFramework.RunAsync(args, SelfRegisteredExtensions.AddSelfRegisteredExtensions)
            : await Xunit.Runner.InProc.SystemConsole.ConsoleRunner.Run(args);
    }
}
