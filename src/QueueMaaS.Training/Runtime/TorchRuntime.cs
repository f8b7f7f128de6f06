using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using QueueMaaS.Contracts;
using TorchSharp;

namespace QueueMaaS.Training.Runtime;

/// <summary>
/// Makes TorchSharp's native libraries loadable in this process. They are loaded by full path from beside the program (published) or from the NuGet
/// package folder (built), before TorchSharp looks for them: the loader then finds them by name, and TorchSharp has no reason to make a second copy.
/// Where the system's libstdc++ is older than GCC 13's, TorchSharp's own small library is loaded from a patched copy in the user's cache folder.
/// </summary>
public static class TorchRuntime
{
    private const string Wrapper = "libLibTorchSharp.so";

    /// <summary>What Directory.Build.targets puts beside a program that is published without libtorch.</summary>
    private const string LeftOutMark = "without-training.txt";

    /// <summary>The symbol that a libstdc++ of GCC 13 has and older ones lack.</summary>
    private const string NewStreamInitialiser = "_ZSt21ios_base_library_initv";

    // In the order of their dependencies. A process loads native libraries once; the outcome, a failure included, holds for its life.
    private const string Kernels = "libtorch_cpu.so";
    private static readonly string[] Libraries = ["libc10.so", Kernels, "libtorch.so"];
    private static readonly Lazy<bool> Loaded = new(Load);

    /// <summary>True in a copy that was published without libtorch, for nodes that never train.</summary>
    public static bool IsLeftOut => File.Exists(Path.Combine(AppContext.BaseDirectory, LeftOutMark));

    /// <summary>True where the processor's cache sizes are hidden from this virtual machine, so that libtorch is given assumed ones.</summary>
    public static bool CachesAreHidden => OneDnnCaches.AreHidden;

    /// <summary>Loads the libraries; does nothing where that is done.</summary>
    /// <exception cref="ProblemException"><c>training_runtime_unavailable</c>, with the true cause and what to do.</exception>
    public static void EnsureLoaded() => _ = Loaded.Value;

    private static bool Load()
    {
        try
        {
            if (IsLeftOut)
                throw Unavailable("this copy was published without it (WithTraining=false).", null);
            if (OperatingSystem.IsLinux())
                LoadOnLinux();
            torch.InitializeDeviceType(DeviceType.CPU);
            return true;
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException or NotSupportedException or TypeInitializationException
            or IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw Unavailable(e.InnerException?.Message ?? e.Message, e);
        }
    }

    private static void LoadOnLinux()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
            throw Unavailable($"libtorch is packaged for x64 on Linux, and this process is {RuntimeInformation.ProcessArchitecture}.", null);
        var folders = Folders().ToList();
        var torchFolder = folders.Find(f => File.Exists(Path.Combine(f, Kernels)));
        var wrapper = folders.Select(f => Path.Combine(f, Wrapper)).FirstOrDefault(File.Exists);
        if (wrapper is null)
            throw Unavailable($"'{Wrapper}' is in none of {string.Join(", ", folders)}.", null);
        if (torchFolder is not null)
        {
            foreach (var library in Libraries)
            {
                var path = Path.Combine(torchFolder, library);
                var handle = NativeLibrary.Load(path);
                if (library == Kernels && OneDnnCaches.AreHidden)
                    OneDnnCaches.Supply(handle, path);
            }
        }

        NativeLibrary.Load(HasNewStreamInitialiser() ? wrapper : PatchedCopy.Of(wrapper, PatchedCopy.CacheFolder()));
    }

    private static bool HasNewStreamInitialiser() =>
        NativeLibrary.TryLoad("libstdc++.so.6", out var handle) && NativeLibrary.TryGetExport(handle, NewStreamInitialiser, out _);

    private static IEnumerable<string> Folders()
    {
        yield return AppContext.BaseDirectory;
        yield return Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native");
        foreach (var folder in (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
            yield return folder;
        var recorded = typeof(TorchRuntime).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().FirstOrDefault(a => a.Key == "LibTorchFolder")?.Value;
        if (!string.IsNullOrEmpty(recorded))
            yield return recorded;
    }

    private static ProblemException Unavailable(string cause, Exception? inner) => new(
        Problem.Create(
            ProblemCodes.TrainingRuntimeUnavailable,
            $"The native training library cannot be loaded: {cause} "
            + "Run this worker on x64 Linux with glibc 2.34 or later (Debian 12, Ubuntu 22.04, RHEL 9 or newer) from a complete build or published folder, with a writable cache folder (XDG_CACHE_HOME)."),
        inner);
}

/// <summary>The patched copy of TorchSharp's library in a cache folder; written once, whole or not at all, by however many processes.</summary>
internal static class PatchedCopy
{
    /// <summary><c>$XDG_CACHE_HOME/queuemaas</c>, else <c>~/.cache/queuemaas</c>, else a folder of this user under the temporary one.</summary>
    public static string CacheFolder()
    {
        var cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        if (!string.IsNullOrEmpty(cache) && Path.IsPathRooted(cache))
            return Path.Combine(cache, "queuemaas");
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        return Directory.Exists(home)
            ? Path.Combine(home, ".cache", "queuemaas")
            : Path.Combine(Path.GetTempPath(), $"queuemaas-{Environment.UserName}");
    }

    /// <summary>Gives the path of the patched copy of <paramref name="library"/>, making it first where it is missing or not what it should be.</summary>
    public static string Of(string library, string cacheFolder)
    {
        var bytes = File.ReadAllBytes(library);
        var hash = Convert.ToHexStringLower(SHA256.HashData(bytes))[..16];
        var version = typeof(torch).Assembly.GetName().Version?.ToString(3);
        ElfPatch.Apply(bytes);
        try
        {
            return Write(bytes, Path.Combine(cacheFolder, $"torchsharp-{version}-{hash}"), Path.GetFileName(library));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A home folder that is read-only or absent, as in many containers.
            return Write(bytes, Path.Combine(Path.GetTempPath(), $"queuemaas-{Environment.UserName}", $"torchsharp-{version}-{hash}"), Path.GetFileName(library));
        }
    }

    private static string Write(byte[] bytes, string folder, string name)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(folder);
        else
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var path = Path.Combine(folder, name);
        if (File.Exists(path) && File.ReadAllBytes(path).AsSpan().SequenceEqual(bytes))
            return path;
        // Renaming replaces in one step: another process sees the old file, none, or the whole new one.
        var partial = $"{path}.{Environment.ProcessId}-{Guid.NewGuid():N}";
        File.WriteAllBytes(partial, bytes);
        File.Move(partial, path, overwrite: true);
        return path;
    }
}
