namespace QueueMaaS.Testing;

/// <summary>Where this machine keeps the servers' programs.</summary>
/// <param name="Missing">The names of the servers that were not found.</param>
internal sealed record LocalBinaries(string RabbitMq, string Epmd, string PostgreSqlFolder, string Redis, IReadOnlyList<Server> Missing)
{
    public static LocalBinaries Find()
    {
        // Debian's /usr/sbin/rabbitmq-server is a wrapper that changes to the rabbitmq user and to system folders;
        // the script behind it is upstream's and obeys its environment.
        var rabbitMq = FindFile("rabbitmq-server", ["/usr/lib/rabbitmq/bin", .. Search.Value]);
        // RabbitMQ would start this daemon itself, and leave it behind.
        var epmd = FindFile("epmd", [.. Search.Value, .. Folders("/usr/lib/erlang", "erts-*/bin"), .. Folders("/usr/lib64/erlang", "erts-*/bin")]);
        var redis = FindFile("redis-server", Search.Value) ?? FindFile("valkey-server", Search.Value);
        // Both programs of one version: a Debian machine has initdb in the version's folder only.
        var postgreSql = Folders("/usr/lib/postgresql", "*/bin").Concat(Search.Value)
            .FirstOrDefault(folder => File.Exists(Path.Combine(folder, "initdb")) && File.Exists(Path.Combine(folder, "postgres")));

        var missing = new List<Server>();
        if (rabbitMq is null || epmd is null) missing.Add(Server.RabbitMq);
        if (postgreSql is null) missing.Add(Server.PostgreSql);
        if (redis is null) missing.Add(Server.Redis);
        return new LocalBinaries(rabbitMq ?? "", epmd ?? "", postgreSql ?? "", redis ?? "", missing);
    }

    /// <summary>The programs, those that are missing installed first where that can be done.</summary>
    public static async Task<LocalBinaries> FindOrInstallAsync(Action<string> say, CancellationToken cancellationToken)
    {
        var binaries = Find();
        if (binaries.Missing.Count == 0 || !DebianPackages.CanInstall)
            return binaries;
        await DebianPackages.InstallAsync(binaries.Missing, say, cancellationToken);
        return Find();
    }

    public static string? FindOnPath(string name) => FindFile(name, Search.Value);

    private static Lazy<string[]> Search { get; } = new(static () =>
    [
        .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries),
        // Where servers live, and what a plain user's PATH lacks.
        "/usr/sbin", "/usr/local/sbin", "/usr/bin", "/opt/homebrew/bin", "/opt/homebrew/sbin",
    ]);

    private static string? FindFile(string name, IEnumerable<string> folders) =>
        folders.Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    // The pattern is one wildcard folder and one fixed folder; the highest version first.
    private static IEnumerable<string> Folders(string root, string pattern)
    {
        if (!Directory.Exists(root)) return [];
        var parts = pattern.Split('/');
        return Directory.GetDirectories(root, parts[0])
            .OrderByDescending(static folder => folder.Length)
            .ThenByDescending(static folder => folder, StringComparer.Ordinal)
            .Select(folder => Path.Combine(folder, parts[1]))
            .Where(Directory.Exists);
    }
}
