using System.Diagnostics;

namespace QueueMaaS.JobBench;

/// <summary>Processor time by part: this process, and the servers by the names of their processes.</summary>
internal sealed class ProcessorTime
{
    private static readonly string[] Servers = ["beam.smp", "postgres", "redis-server"];
    private readonly Dictionary<string, double> _before = Read();

    /// <summary>Microseconds a job since the start, by part.</summary>
    public string PerJob(int jobs)
    {
        var now = Read();
        return string.Join(", ", now.Select(part => $"{part.Key} {(part.Value - _before.GetValueOrDefault(part.Key)) * 1000 / jobs:0} µs"));
    }

    private static Dictionary<string, double> Read()
    {
        var times = new Dictionary<string, double>(StringComparer.Ordinal) { ["service and load"] = Process.GetCurrentProcess().TotalProcessorTime.TotalMilliseconds };
        foreach (var folder in Directory.EnumerateDirectories("/proc").Where(folder => char.IsAsciiDigit(Path.GetFileName(folder)[0])))
        {
            if (Stat(folder) is var (name, ticks) && Servers.Contains(name))
                times[name] = times.GetValueOrDefault(name) + (ticks * 10);
        }

        return times;
    }

    /// <summary>The process's name and its time in hundredths of a second, that of its ended children included.</summary>
    private static (string Name, long Ticks)? Stat(string folder)
    {
        try
        {
            var text = File.ReadAllText(Path.Combine(folder, "stat"));
            var close = text.LastIndexOf(')');
            var fields = text[(close + 2)..].Split(' ');
            return (text[(text.IndexOf('(') + 1)..close], fields[11..15].Sum(long.Parse));
        }
        catch (IOException)
        {
            // It has ended.
            return null;
        }
    }
}
