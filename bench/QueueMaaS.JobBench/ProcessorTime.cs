using System.Diagnostics;

namespace QueueMaaS.JobBench;

/// <summary>Processor time by part: this process, others that it started, and the servers by the names of their processes.</summary>
internal sealed class ProcessorTime
{
    private static readonly string[] Servers = ["beam.smp", "postgres", "redis-server"];
    private readonly (string Name, int Id)[] _started;
    private readonly Dictionary<string, double> _before;

    public ProcessorTime(params (string Name, int Id)[] started)
    {
        _started = started;
        _before = Read();
    }

    /// <summary>Microseconds a job since the start, by part.</summary>
    public string PerJob(int jobs) => string.Join(", ", Microseconds(jobs).Select(part => $"{part.Name} {part.Microseconds:0} µs"));

    /// <summary>The same as figures.</summary>
    public IReadOnlyList<(string Name, double Microseconds)> Microseconds(int jobs) =>
        [.. Read().Select(part => (part.Key, (part.Value - _before.GetValueOrDefault(part.Key)) * 1000 / jobs))];

    private Dictionary<string, double> Read()
    {
        var times = new Dictionary<string, double>(StringComparer.Ordinal)
        {
            [_started.Length == 0 ? "service and load" : "load"] = Process.GetCurrentProcess().TotalProcessorTime.TotalMilliseconds,
        };
        foreach (var (name, id) in _started)
            times[name] = times.GetValueOrDefault(name) + (Stat($"/proc/{id}")?.Ticks ?? 0) * 10;
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
