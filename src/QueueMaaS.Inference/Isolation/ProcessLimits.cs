using System.Globalization;
using System.Runtime.InteropServices;

namespace QueueMaaS.Inference.Isolation;

/// <summary>What the operating system lets a model's process have. Linux only; elsewhere nothing is limited.</summary>
internal static partial class ProcessLimits
{
    // From <sys/resource.h> on Linux. Since Linux 4.7 the data limit counts every private writable page, which is what models allocate; the address space as a whole would also count what .NET only reserves.
    private const int Data = 2;
    private const int CoreFile = 4;

    /// <summary>Limits this process to what it has now and <paramref name="bytes"/> more: whatever asks for more is refused, and fails by itself.</summary>
    public static void LimitMemory(long bytes)
    {
        if (!OperatingSystem.IsLinux() || bytes <= 0)
            return;
        var most = (nuint)(Status("self", "VmData:") + bytes);
        _ = SetLimit(Data, new(most, most));
    }

    /// <summary>Where the machine's memory ends all the same, this process goes before the worker; and what it held does not lie about on a disk afterwards.</summary>
    public static void GoFirst()
    {
        if (!OperatingSystem.IsLinux())
            return;
        _ = SetLimit(CoreFile, new(0, 0));
        try
        {
            File.WriteAllText("/proc/self/oom_score_adj", "1000");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Some containers do not let it. The limit above stands.
        }
    }

    /// <summary>Ends this process at once, whatever its other threads are in.</summary>
    public static void End()
    {
        if (OperatingSystem.IsWindows())
            System.Diagnostics.Process.GetCurrentProcess().Kill();
        else
            Exit(0);
    }

    /// <summary>Forgets how much a process has held at most; gives what it holds now, or null where that cannot be had.</summary>
    public static long? ResetPeak(int processId) => Read(processId, "VmRSS:", reset: true);

    /// <summary>The most that a process has held since it was reset, in bytes; null where that cannot be had.</summary>
    public static long? Peak(int processId) => Read(processId, "VmHWM:", reset: false);

    private static long? Read(int processId, string field, bool reset)
    {
        if (!OperatingSystem.IsLinux())
            return null;
        try
        {
            var process = processId.ToString(CultureInfo.InvariantCulture);
            if (reset)
                File.WriteAllText($"/proc/{process}/clear_refs", "5");
            return Status(process, field);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static long Status(string process, string field)
    {
        foreach (var line in File.ReadLines($"/proc/{process}/status"))
        {
            if (line.StartsWith(field, StringComparison.Ordinal))
                return long.Parse(line.AsSpan(field.Length).Trim(" \tkB"), CultureInfo.InvariantCulture) * 1024;
        }

        throw new IOException($"/proc/{process}/status has no {field}");
    }

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static partial int SetLimit(int resource, in ResourceLimit limit);

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void Exit(int code);

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct ResourceLimit(nuint Soft, nuint Hard);
}
