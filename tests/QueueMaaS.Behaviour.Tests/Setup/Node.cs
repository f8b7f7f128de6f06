using System.Diagnostics;

namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>Runs the scripts under <c>tests/node</c>: clients that share no code with us.</summary>
public static class Node
{
    public static Task<(int ExitCode, string Output)> RunAsync(string script, string input, params string[] arguments) => RunAsync(script, System.Text.Encoding.UTF8.GetBytes(input), arguments);

    /// <summary>The same with bytes on standard input.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(string script, byte[] input, params string[] arguments)
    {
        var folder = Path.Combine(RepositoryRoot(), "tests", "node");
        var start = new ProcessStartInfo("node", [script, .. arguments]) { WorkingDirectory = folder, UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        await process.StandardInput.BaseStream.WriteAsync(input, TestContext.Current.CancellationToken);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, (await output).Trim() + (await errors).Trim());
    }

    public static string RepositoryRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "QueueMaaS.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("The tests run outside their repository.");
        return folder.FullName;
    }
}
