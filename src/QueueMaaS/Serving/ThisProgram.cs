using QueueMaaS.Inference.Isolation;

namespace QueueMaaS.Serving;

/// <summary>How this program is started once more, for what runs in a process of its own.</summary>
internal static class ThisProgram
{
    /// <summary>For one model.</summary>
    public static ModelProcessStart ForModel()
    {
        var (host, assembly) = (Environment.ProcessPath!, typeof(ThisProgram).Assembly.Location);
        // A program of its own, whether a single file or beside its libraries, is its own host; else it was started by `dotnet`, or its parts by another program (a test).
        var isOwnHost = assembly.Length == 0 || Path.GetFileNameWithoutExtension(host) == Path.GetFileNameWithoutExtension(assembly);
        if (isOwnHost)
            return new(host, [ModelProcessProgram.Command]);
        return new(Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet", [assembly, ModelProcessProgram.Command]);
    }
}
