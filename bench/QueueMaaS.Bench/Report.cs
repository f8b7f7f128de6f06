using System.Globalization;

namespace QueueMaaS.Bench;

/// <summary>Prints a table row by row.</summary>
internal static class Report
{
    public static void Head(string title)
    {
        Console.WriteLine();
        Console.WriteLine(title);
        Console.WriteLine($"{"what",-46} {"requests/s",12} {"mean batch",11} {"p50 ms",9} {"p99 ms",9} {"bytes/req",10}");
    }

    public static void Row(string what, Measured m) => Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture, $"{what,-46} {m.PerSecond,12:N0} {m.MeanBatch,11:N1} {m.P50,9:N3} {m.P99,9:N3} {m.BytesPerRequest,10:N0}"));

    public static void Ratio(string what, double ratio, string? target = null) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-46} {ratio,12:N2}{(target is null ? "" : $"   must reach {target}")}"));
}
