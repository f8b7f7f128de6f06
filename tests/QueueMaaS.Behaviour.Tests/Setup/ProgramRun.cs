using System.Diagnostics;

namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>Runs the program as a user starts it, in a process and an empty folder of its own, without settings from the environment.</summary>
public static class ProgramRun
{
    public static async Task<(int ExitCode, string Output)> RunAsync(params string[] arguments)
    {
        var folder = Directory.CreateTempSubdirectory("queuemaas-run-");
        try
        {
            var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "QueueMaaS.dll"), .. arguments])
            {
                WorkingDirectory = folder.FullName,
            };
            foreach (var name in (string[])["Bus__RabbitMq", "Storage__PostgreSql", "Storage__Redis"])
                start.Environment.Remove(name);
            return await RunAsync(start);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Runs any other program to its end.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(ProcessStartInfo start)
    {
        (start.UseShellExecute, start.RedirectStandardOutput, start.RedirectStandardError) = (false, true, true);
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output + await errors);
    }
}
