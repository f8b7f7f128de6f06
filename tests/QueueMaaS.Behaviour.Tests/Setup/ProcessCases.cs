using System.Text;
using QueueMaaS.Testing;

namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>Cases that start processes of their own on the real servers, with a database and a data folder of their own, and end what is left of them.</summary>
public abstract class ProcessCases : IAsyncLifetime
{
    private readonly List<WorkerProcess> _processes = [];
    private ServerSpace? _space;

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    protected TestServers Servers => _space!.Servers;

    /// <summary>Deleted at the end.</summary>
    protected string Folder { get; } = Directory.CreateTempSubdirectory("queuemaas-processes-").FullName;

    public virtual async ValueTask InitializeAsync() => _space = await ServerSpace.CreateAsync();

    public async ValueTask DisposeAsync()
    {
        _processes.ForEach(process => process.KillHard());
        await _space!.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Starts a process with these roles and settings.</summary>
    protected WorkerProcess Start(string roles, params (string Name, string Value)[] settings) => Start(roles, null, null, settings);

    /// <summary>Starts a process of another copy of the program, or one whose output is read.</summary>
    protected WorkerProcess Start(string roles, string? program, StringBuilder? output, params (string Name, string Value)[] settings)
    {
        var all = new Dictionary<string, string>(_space!.Settings);
        foreach (var (name, value) in settings)
            all[name] = value;
        _processes.Add(new WorkerProcess(roles, Folder, all, output: output, program: program));
        return _processes[^1];
    }
}
