using System.ComponentModel.DataAnnotations;
using QueueMaaS.Jobs.Settings;

namespace QueueMaaS.Configuration;

/// <summary>Says in words what a setting takes and holds.</summary>
internal static class SettingWords
{
    public static string Allowed(Setting setting)
    {
        var type = Nullable.GetUnderlyingType(setting.Type) ?? setting.Type;
        foreach (var rule in setting.Rules)
        {
            switch (rule)
            {
                case RangeAttribute range when type == typeof(TimeSpan):
                    return $"a time from {range.Minimum} to {range.Maximum} (hours:minutes:seconds, days before them with a dot)";
                // Beyond what anybody has: the end of the type is no limit of ours.
                case RangeAttribute { Maximum: >= (double)long.MaxValue } range:
                    return $"a whole number of at least {Number(range.Minimum)}";
                case RangeAttribute { Maximum: int.MaxValue } range:
                    return $"a whole number of at least {Number(range.Minimum)}";
                case RangeAttribute range:
                    return $"a {(type == typeof(double) ? "number" : "whole number")} from {Number(range.Minimum)} to {Number(range.Maximum)}";
                case AllowedValuesAttribute allowed:
                    return string.Join(" or ", allowed.Values);
                case RegularExpressionAttribute words:
                    return words.Pattern.Replace("|", " or ", StringComparison.Ordinal);
                case SettingRuleAttribute worded:
                    return worded.Allowed;
                case StringLengthAttribute length when length.MinimumLength > 0:
                    return $"a text of {length.MinimumLength} to {length.MaximumLength} characters";
                case StringLengthAttribute length:
                    return $"a text of at most {length.MaximumLength} characters";
                case UrlAttribute:
                    return "an address such as https://example.org";
            }
        }

        return type switch
        {
            _ when type == typeof(bool) => "true or false",
            _ when type == typeof(TimeSpan) => "a time such as 00:00:30 (hours:minutes:seconds, days before them with a dot)",
            _ when type.IsEnum => string.Join(" or ", Enum.GetNames(type)),
            _ when type == typeof(double) => "a number",
            _ when type.IsPrimitive => "a whole number",
            _ => setting.Rules.Any(static rule => rule is RequiredAttribute) ? "a text that is not empty" : "a text",
        };
    }

    public static string Value(object? value) => value switch
    {
        null => "none",
        bool flag => flag ? "true" : "false",
        long or int => Number(value),
        _ => value.ToString()!,
    };

    private static string Number(object value) => value switch
    {
        double whole when double.IsInteger(whole) => $"{whole:N0}",
        long or int => $"{value:N0}",
        _ => value.ToString()!,
    };
}
