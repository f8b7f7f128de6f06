using System.CommandLine;
using QueueMaaS.Configuration;
using QueueMaaS.Serving;

namespace QueueMaaS.Commands;

/// <summary><c>queuemaas config</c>: says whether the settings can be used, and what holds and where it comes from. Nothing is started or connected to.</summary>
internal static class ConfigCommand
{
    public static Command Create(Func<Func<Task>, CancellationToken, Task<int>> guard) => new("config", "Check and show the settings. Settings as for `serve`.") { Check(guard), Show(guard) };

    private static Command Check(Func<Func<Task>, CancellationToken, Task<int>> guard)
    {
        var command = new Command("check", "Say what is wrong with the settings; exit code 1 where something is.") { TreatUnmatchedTokensAsErrors = false };
        command.SetAction((result, cancellationToken) => guard(() =>
        {
            var configuration = Read(result);
            var problems = SettingsCheck.Problems(configuration).Concat(SettingsCheck.Unknown(configuration).Select(static name => $"{name} is no setting of this version: spelled wrong? See docs/configuration.md.")).ToList();
            if (problems.Count == 0)
            {
                // What only shows when the parts are put together; built, never started.
                using var app = QueueMaaSHost.Build([.. result.UnmatchedTokens]);
                Console.WriteLine($"The settings can be used ({SettingsCatalog.All.Count} known, {SettingsCatalog.All.Sum(setting => SettingsCheck.Find(configuration, setting.Name).Count())} given).");
                return Task.CompletedTask;
            }

            throw new SettingsException(string.Join(Environment.NewLine, problems));
        }, cancellationToken));
        return command;
    }

    private static Command Show(Func<Func<Task>, CancellationToken, Task<int>> guard)
    {
        var given = new Option<bool>("--given") { Description = "Only what is set, without the defaults." };
        var command = new Command("show", "Show every setting, its value and where it comes from. Secrets are not shown.") { given };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((result, cancellationToken) => guard(() =>
        {
            var configuration = Read(result);
            foreach (var name in (string[])["Roles", "Urls"])
                Console.WriteLine($"{name} = {configuration[name] ?? (name == "Roles" ? "all" : QueueMaaSHost.DefaultUrl)}  ({SettingSources.Of(configuration, name) ?? "default"})");
            foreach (var setting in SettingsCatalog.All)
            {
                var sections = SettingsCheck.Find(configuration, setting.Name).ToArray();
                foreach (var section in sections)
                    Console.WriteLine($"{section.Path} = {SettingSources.Show(setting, section.Value)}  ({SettingSources.Of(configuration, section.Path) ?? "the program"})");
                if (sections.Length == 0 && !result.GetValue(given) && !setting.Name.Contains('{', StringComparison.Ordinal))
                    Console.WriteLine($"{setting.Name} = {SettingWords.Value(setting.Default)}  (default)");
            }

            return Task.CompletedTask;
        }, cancellationToken));
        return command;
    }

    private static ConfigurationManager Read(ParseResult result)
    {
        var builder = WebApplication.CreateBuilder([.. result.UnmatchedTokens]);
        SettingSources.AddSecretFiles(builder.Configuration);
        return builder.Configuration;
    }
}
