using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Data.Tables;

/// <summary>Reads JSON Lines: an object on each line. Lists of texts (several labels) are joined with bars.</summary>
internal static class JsonLinesTable
{
    private const int MaxDepth = 8;

    public static (string[] Names, List<string?>[] Columns) Read(TextReader text, string name)
    {
        var columns = new Dictionary<string, List<string?>>(StringComparer.Ordinal);
        var row = 0;
        for (var line = 1; text.ReadLine() is { } json; line++)
        {
            if (string.IsNullOrWhiteSpace(json))
                continue;
            ReadRow(json, columns, row, name, line);
            row++;
            foreach (var column in columns.Values.Where(c => c.Count < row))
                column.Add(null);
            if ((row & 0xFFF) == 0)
                TableLimits.Check(row, columns.Count);
        }

        return ([.. columns.Keys], [.. columns.Values]);
    }

    private static void ReadRow(string json, Dictionary<string, List<string?>> columns, int row, string name, int line)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new() { MaxDepth = MaxDepth });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw Bad(name, line, "it is no object");
            foreach (var member in document.RootElement.EnumerateObject())
            {
                if (!columns.TryGetValue(member.Name, out var column))
                    columns[member.Name] = column = [.. Enumerable.Repeat<string?>(null, row)];
                if (column.Count > row)
                    throw Bad(name, line, $"it has '{member.Name}' twice");
                column.Add(Text(member, name, line));
            }
        }
        catch (JsonException e)
        {
            throw Bad(name, line, "it is not valid JSON", e);
        }
    }

    private static string? Text(JsonProperty member, string name, int line) => member.Value.ValueKind switch
    {
        JsonValueKind.String => member.Value.GetString(),
        JsonValueKind.Number => member.Value.GetRawText(),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        JsonValueKind.Null => null,
        JsonValueKind.Array when member.Value.EnumerateArray().All(v => v.ValueKind == JsonValueKind.String) => string.Join('|', member.Value.EnumerateArray().Select(v => v.GetString())),
        _ => throw Bad(name, line, $"'{member.Name}' is neither a text, a number, true or false nor a list of texts"),
    };

    private static ProblemException Bad(string name, int line, string reason, Exception? inner = null) => new(
        Problem.Create(ProblemCodes.ArchiveInvalid, $"Line {line} of '{name}' cannot be read: {reason}. Every line is an object such as {{\"text\":\"…\",\"label\":\"…\"}}.", ("entry", name), ("line", line)), inner);
}
