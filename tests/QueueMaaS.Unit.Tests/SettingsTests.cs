using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Microsoft.Extensions.Configuration;
using QueueMaaS.Configuration;
using QueueMaaS.Serving;

namespace QueueMaaS.Unit.Tests;

/// <summary>Every setting of the program, one after the other.</summary>
public sealed partial class SettingsTests
{
    private const string Mark = "<!-- settings -->\n";

    public static TheoryData<string> Names => [.. SettingsCatalog.All.Select(setting => setting.Name)];

    [Fact]
    public void Every_options_class_is_in_the_catalogue()
    {
        var classes = SettingsCatalog.Sections.Select(section => section.Options.Assembly).Distinct().SelectMany(assembly => assembly.GetTypes())
            .Where(type => type.GetField("Section")?.IsLiteral == true);
        classes.Except(SettingsCatalog.Sections.Select(section => section.Options)).ShouldBeEmpty();
        SettingsCatalog.All.Count.ShouldBeGreaterThan(60);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_wrong_type_or_value_is_refused_with_name_value_and_range(string name)
    {
        var setting = SettingsCatalog.All.Single(entry => entry.Name == name);
        var path = Path(name);
        var wrong = Wrong(setting).ToArray();
        // A free text has no wrong value; everything else has.
        (wrong.Length > 0 || setting.Type == typeof(string)).ShouldBeTrue();
        foreach (var value in wrong)
        {
            var problem = Should.Throw<SettingsException>(() => SettingsCheck.Refuse(With(path, value)), $"{path}={value}").Message;
            problem.ShouldContain(path);
            problem.ShouldContain(setting.Allowed);
            if (setting.IsSecret)
                problem.ShouldNotContain(value);
            else
                problem.ShouldContain($"`{value}`");
            // The same sentence where the program is built, so before anything is connected to.
            Should.Throw<SettingsException>(() => QueueMaaSHost.Build([$"--{path}={value}"])).Message.ShouldBe(problem);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_default_and_the_ends_of_the_range_are_taken(string name)
    {
        var setting = SettingsCatalog.All.Single(entry => entry.Name == name);
        foreach (var value in Right(setting))
            SettingsCheck.Problems(With(Path(name), value)).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("Jobs:Leese", "00:00:10")]
    [InlineData("Jobs:Kinds:Training:MaxTries", "3")]
    [InlineData("Telemetry:Trace:Share", "1")]
    public void A_name_that_is_no_setting_is_found(string path, string value) => SettingsCheck.Unknown(With(path, value)).ShouldBe([path]);

    [Fact]
    public void A_key_that_is_no_kind_is_refused() => SettingsCheck.Problems(With("Jobs:Kinds:Infer:Timeout", "00:00:05")).ShouldHaveSingleItem().ShouldContain("`Infer` is not one of Inference, Training");

    [Theory]
    [InlineData("Storage:PostgreSql", "Host=h;Username=u;Password=p4ss;Database=d", "Host=h;Username=u;Password=***;Database=d")]
    [InlineData("Storage:PostgreSql", "Host=h;pwd = \"p4;ss\";Database=d", "Host=h;pwd = ***;Database=d")]
    [InlineData("Storage:Redis", "h:6379,password=p4ss,ssl=true", "h:6379,password=***,ssl=true")]
    [InlineData("Bus:RabbitMq", "amqps://u:p4ss@h:5671/v", "amqps://u:***@h:5671/v")]
    [InlineData("Telemetry:OtlpHeaders", "x-key=p4ss", "***")]
    [InlineData("Api:KeyPepper", "p4ss", "***")]
    public void Secrets_are_not_shown(string name, string value, string shown) => SettingSources.Show(SettingsCatalog.All.Single(setting => setting.Name == name), value).ShouldBe(shown);

    /// <summary>To write the page anew: QUEUEMAAS_WRITE_DOCS=1.</summary>
    [Fact]
    public void The_documentation_has_every_setting_with_its_default_and_range()
    {
        var file = System.IO.Path.Combine(Repository.Root, "docs", "configuration.md");
        var text = File.ReadAllText(file);
        var head = text[..(text.IndexOf(Mark, StringComparison.Ordinal) + Mark.Length)];
        var expected = head + Document();
        if (Environment.GetEnvironmentVariable("QUEUEMAAS_WRITE_DOCS") == "1")
            File.WriteAllText(file, expected);
        else
            text.ShouldBe(expected, "run this test with QUEUEMAAS_WRITE_DOCS=1 to write the page anew");
    }

    private static string Path(string name) => name.Replace("{n}", "0", StringComparison.Ordinal).Replace("{kind}", "Training", StringComparison.Ordinal).Replace("{state}", "Succeeded", StringComparison.Ordinal).Replace("{name}", "shop", StringComparison.Ordinal);

    private static IConfiguration With(string path, string value) => new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { [path] = value }).Build();

    private static IEnumerable<string> Wrong(Setting setting)
    {
        var type = Nullable.GetUnderlyingType(setting.Type) ?? setting.Type;
        if (type != typeof(string))
            yield return "perhaps";
        foreach (var rule in setting.Rules)
        {
            switch (rule)
            {
                case RangeAttribute range when type == typeof(TimeSpan):
                    yield return TimeSpan.Parse((string)range.Maximum, CultureInfo.InvariantCulture).Add(TimeSpan.FromSeconds(1)).ToString();
                    if (TimeSpan.Parse((string)range.Minimum, CultureInfo.InvariantCulture) is var least)
                        yield return least.Subtract(TimeSpan.FromMilliseconds(1)).ToString();
                    break;
                case RangeAttribute range:
                    yield return (Convert.ToDecimal(range.Minimum, CultureInfo.InvariantCulture) - 1).ToString(CultureInfo.InvariantCulture);
                    if (range.Maximum is not >= (double)long.MaxValue)
                        yield return (Convert.ToDecimal(range.Maximum, CultureInfo.InvariantCulture) + 1).ToString(CultureInfo.InvariantCulture);
                    break;
                case StringLengthAttribute length:
                    yield return new string('x', length.MaximumLength + 1);
                    if (length.MinimumLength > 0)
                        yield return new string('x', length.MinimumLength - 1);
                    break;
                case RequiredAttribute:
                    yield return "";
                    break;
                default:
                    yield return "no://";
                    break;
            }
        }
    }

    private static IEnumerable<string> Right(Setting setting)
    {
        if (setting.Default is { } value)
            yield return Convert.ToString(value, CultureInfo.InvariantCulture)!;
        foreach (var item in setting.DefaultItems?.Cast<object>() ?? [])
        {
            if (SettingsCatalog.IsSimple(item.GetType()))
                yield return Convert.ToString(item, CultureInfo.InvariantCulture)!;
        }

        foreach (var range in setting.Rules.OfType<RangeAttribute>())
        {
            yield return Convert.ToString(range.Minimum, CultureInfo.InvariantCulture)!;
            yield return range.Maximum is >= (double)long.MaxValue ? $"{long.MaxValue}" : Convert.ToString(range.Maximum, CultureInfo.InvariantCulture)!;
        }
    }

    private static string Document()
    {
        var page = new StringBuilder();
        foreach (var sections in SettingsCatalog.Sections.GroupBy(section => section.Section))
        {
            page.Append($"\n## {sections.Key}\n\n{string.Join(' ', sections.Select(section => Summary($"T:{section.Options.FullName}", section.Options)))}\n\n| setting | default | takes | |\n| --- | --- | --- | --- |\n");
            foreach (var setting in SettingsCatalog.All.Where(setting => setting.Name.StartsWith(sections.Key + ":", StringComparison.Ordinal)))
            {
                var about = setting.Property is { } property ? Summary($"P:{property.DeclaringType!.FullName}.{property.Name}", property.DeclaringType) : "";
                page.Append($"| `{setting.Name}` | {Default(setting)} | {setting.Allowed} | {about} |\n");
            }
        }

        return page.ToString();
    }

    private static string Default(Setting setting) => setting.DefaultItems is { } items && items.Cast<object>().Any(item => SettingsCatalog.IsSimple(item.GetType()))
        ? string.Join(", ", items.Cast<object>().Select(item => $"`{item}`"))
        : setting.Default switch { null => "none", long and >= 1L << 20 and var bytes => $"{SettingWords.Value(bytes)} ({Size(bytes)})", int and >= 1 << 20 and var bytes => $"{SettingWords.Value(bytes)} ({Size(bytes)})", var value => $"`{SettingWords.Value(value)}`" };

    private static string Size(long bytes) => bytes % (1L << 30) == 0 ? $"{bytes >> 30} GiB" : $"{bytes >> 20} MiB";

    private static string Summary(string member, Type type)
    {
        var comments = XDocument.Load(System.IO.Path.ChangeExtension(type.Assembly.Location, ".xml"), LoadOptions.PreserveWhitespace);
        var summary = comments.Descendants("member").Single(element => element.Attribute("name")!.Value == member.Replace('+', '.')).Element("summary")!;
        foreach (var code in summary.Elements("c").ToArray())
            code.ReplaceWith($"`{code.Value}`");
        foreach (var see in summary.Elements("see").ToArray())
            see.ReplaceWith($"`{see.Attribute("cref")!.Value.Split('.')[^1]}`");
        return Spaces().Replace(summary.Value, " ").Trim().Replace("|", "\\|", StringComparison.Ordinal);
    }

    [GeneratedRegex(@"\s+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Spaces();
}
