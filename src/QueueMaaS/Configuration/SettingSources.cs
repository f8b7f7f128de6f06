using System.Text.RegularExpressions;
using Microsoft.Extensions.Configuration.CommandLine;
using Microsoft.Extensions.Configuration.EnvironmentVariables;
using Microsoft.Extensions.Configuration.Json;
using Microsoft.Extensions.Configuration.KeyPerFile;

namespace QueueMaaS.Configuration;

/// <summary>Where settings come from, and how they are shown.</summary>
internal static partial class SettingSources
{
    /// <summary>Docker and Kubernetes put secrets there, one file each.</summary>
    private const string UsualSecrets = "/run/secrets";

    /// <summary>
    /// Reads the files of the folder <c>SecretsFolder</c> (default <c>/run/secrets</c> where there is one): a file's name is the setting's, with two underscores for a colon, its content the value.
    /// They win over appsettings.json and environment variables, and lose against the command line.
    /// </summary>
    public static void AddSecretFiles(ConfigurationManager configuration)
    {
        var folder = configuration["SecretsFolder"] ?? UsualSecrets;
        if (!Directory.Exists(folder))
        {
            if (configuration["SecretsFolder"] is not null)
                throw new Serving.SettingsException($"SecretsFolder is `{folder}`: there is no such folder.");
            return;
        }

        var files = new KeyPerFileConfigurationSource { FileProvider = new Microsoft.Extensions.FileProviders.PhysicalFileProvider(Path.GetFullPath(folder)), Optional = true, ReloadOnChange = true };
        IList<IConfigurationSource> sources = configuration.Sources;
        var commandLine = sources.FirstOrDefault(static source => source is CommandLineConfigurationSource);
        sources.Insert(commandLine is null ? sources.Count : sources.IndexOf(commandLine), files);
    }

    /// <summary>Which source a value comes from; null where none gives it.</summary>
    public static string? Of(IConfiguration configuration, string path)
    {
        foreach (var provider in ((IConfigurationRoot)configuration).Providers.Reverse())
        {
            if (!provider.TryGet(path, out _))
                continue;
            return provider switch
            {
                EnvironmentVariablesConfigurationProvider => $"environment variable {path.Replace(":", "__", StringComparison.Ordinal)}",
                CommandLineConfigurationProvider => "command line",
                JsonConfigurationProvider json => json.Source.Path ?? "a JSON file",
                KeyPerFileConfigurationProvider => $"file {path.Replace(":", "__", StringComparison.Ordinal)} in SecretsFolder",
                _ => "the program",
            };
        }

        return null;
    }

    /// <summary>A value as it may be shown: of secrets nothing, of addresses and connection strings all but the password.</summary>
    public static string Show(Setting setting, string? value)
    {
        if (string.IsNullOrEmpty(value))
            return "none";
        if (!setting.IsSecret)
            return value;
        var hidden = Password().Replace(value, "${name}***");
        return hidden != value || setting.Name is "Storage:PostgreSql" or "Storage:Redis" or "Bus:RabbitMq" ? hidden : "***";
    }

    // In `Password=…;`, in Redis' `password=…,`, and in `scheme://user:…@host`.
    [GeneratedRegex(@"(?<name>\b(?:password|pwd|passfile|sslpassword)\s*=\s*)(?:""[^""]*""|'[^']*'|[^;,]*)|(?<name>://[^:/@]*:)[^@]*(?=@)", RegexOptions.IgnoreCase, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Password();
}
