namespace QueueMaaS.Training.Optimisation;

/// <summary>Names with <c>*</c> for any letters.</summary>
internal static class NamePattern
{
    public static bool Matches(string pattern, string name)
    {
        var parts = pattern.Split('*');
        if (parts.Length == 1)
            return pattern == name;
        if (!name.StartsWith(parts[0], StringComparison.Ordinal) || !name.AsSpan(parts[0].Length).EndsWith(parts[^1], StringComparison.Ordinal))
            return false;
        var at = parts[0].Length;
        var end = name.Length - parts[^1].Length;
        foreach (var part in parts[1..^1])
        {
            var found = name.IndexOf(part, at, end - at, StringComparison.Ordinal);
            if (found < 0)
                return false;
            at = found + part.Length;
        }

        return at <= end;
    }
}
