using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using QueueMaaS.Serving;

namespace QueueMaaS.Configuration;

/// <summary>Holds what is configured against the catalogue.</summary>
internal static class SettingsCheck
{
    /// <summary>Says which settings cannot be read or are out of range, all at once.</summary>
    /// <exception cref="SettingsException">Some cannot be used.</exception>
    public static void Refuse(IConfiguration configuration)
    {
        var problems = Problems(configuration);
        if (problems.Count > 0)
            throw new SettingsException(string.Join(Environment.NewLine, problems));
    }

    /// <summary>One sentence for each setting that cannot be used.</summary>
    public static IReadOnlyList<string> Problems(IConfiguration configuration)
    {
        var problems = new List<string>();
        foreach (var setting in SettingsCatalog.All)
        {
            foreach (var given in Find(configuration, setting.Name))
            {
                if (Problem(setting, given) is { } problem)
                    problems.Add(problem);
            }
        }

        foreach (var (section, type) in SettingsCatalog.Sections)
            problems.AddRange(WrongKeys(configuration.GetSection(section), type));
        return problems;
    }

    /// <summary>Names in our sections that no setting has: spelled wrong, or of another version.</summary>
    public static IReadOnlyList<string> Unknown(IConfiguration configuration)
    {
        var known = SettingsCatalog.All.Select(static setting => setting.Name.Split(':')).ToArray();
        return [.. SettingsCatalog.Sections.Select(static section => section.Section).Distinct()
            .SelectMany(section => Leaves(configuration.GetSection(section))).Select(static leaf => leaf.Path)
            .Where(path => !Array.Exists(known, name => Fits(name, path.Split(':'))))];
    }

    /// <summary>The sections given under a name with placeholders.</summary>
    public static IEnumerable<IConfigurationSection> Find(IConfiguration configuration, string name)
    {
        IEnumerable<IConfigurationSection> found = [];
        foreach (var (depth, part) in name.Split(':').Index())
        {
            found = depth == 0
                ? [configuration.GetSection(part)]
                : found.SelectMany(section => part.StartsWith('{') ? section.GetChildren() : [section.GetSection(part)]).ToArray();
        }

        return found.Where(static section => section.Value is not null);
    }

    private static string? Problem(Setting setting, IConfigurationSection given)
    {
        var text = given.Value!;
        var isNullable = !setting.Type.IsValueType || Nullable.GetUnderlyingType(setting.Type) is not null;
        if (text.Length == 0 && isNullable && !setting.Rules.Any(static rule => rule is RequiredAttribute))
            return null;
        object value;
        try
        {
            value = TypeDescriptor.GetConverter(Nullable.GetUnderlyingType(setting.Type) ?? setting.Type).ConvertFromInvariantString(text)!;
        }
        catch (Exception exception) when (exception is FormatException or ArgumentException or NotSupportedException or OverflowException)
        {
            return Sentence(setting, given.Path, text, "");
        }

        var reading = value is TimeSpan time && !text.Contains(':', StringComparison.Ordinal) ? $", which is {time.TotalDays:0.###} days" : "";
        var broken = setting.Rules.FirstOrDefault(rule => !rule.IsValid(value));
        return broken is null ? null : Sentence(setting, given.Path, text, reading);
    }

    private static string Sentence(Setting setting, string path, string text, string reading)
    {
        var value = setting.IsSecret ? "a value that is not shown" : $"`{text}`";
        return $"{path} is {value}{reading}: it must be {setting.Allowed}.{(setting.Default is { } fallback ? $" Default: {SettingWords.Value(fallback)}." : "")}";
    }

    private static IEnumerable<string> WrongKeys(IConfigurationSection section, Type type)
    {
        if (SettingsCatalog.KeysOf(type) is { } keys)
        {
            return section.GetChildren().Where(child => !Enum.TryParse(keys, child.Key, ignoreCase: true, out _) || char.IsDigit(child.Key[0]))
                .Select(child => $"{child.Path}: `{child.Key}` is not one of {string.Join(", ", Enum.GetNames(keys))}.");
        }

        return SettingsCatalog.IsSimple(type) || SettingsCatalog.ElementOf(type) is not null
            ? []
            : type.GetProperties().SelectMany(property => WrongKeys(section.GetSection(property.Name), property.PropertyType));
    }

    private static IEnumerable<IConfigurationSection> Leaves(IConfigurationSection section) =>
        section.GetChildren().SelectMany(static child => child.Value is null ? Leaves(child) : [child]);

    private static bool Fits(string[] name, string[] path) =>
        name.Length == path.Length && name.Index().All(part => part.Item.StartsWith('{') || string.Equals(part.Item, path[part.Index], StringComparison.OrdinalIgnoreCase));
}
