using QueueMaaS.Contracts;
using QueueMaaS.Data.Archives;

namespace QueueMaaS.Inference.Models;

/// <summary>
/// A model whose weights lie in files beside it comes as a zip: one <c>.onnx</c> file and what it refers to. It is unpacked once, beside the zip, under the zip's own name, which is the hash of its
/// content: so every process that shares the folder finds the same files.
/// </summary>
public static class ModelPackage
{
    private const string Suffix = ".unpacked";

    /// <summary>Weights are near to noise and hardly shrink; they may be larger than any data set's entry.</summary>
    private static readonly DatasetLimits Limits = new() { MaxEntries = 10_000, MaxUnpackedBytes = 256L << 30, MaxRatio = 1000, RatioFreeBytes = 16L << 20 };

    /// <summary>The ONNX file to load: <paramref name="path"/> itself, or, where it is a zip, the model in it, unpacked.</summary>
    /// <exception cref="ProblemException"><c>archive_invalid</c>, <c>archive_path_escape</c>, <c>archive_too_large</c>, or <c>not_an_onnx_model</c> where the zip holds no model or several.</exception>
    public static string Open(string path)
    {
        if (!IsZip(path))
            return path;
        var folder = $"{path}{Suffix}";
        if (!Directory.Exists(folder))
            Unpack(path, folder);
        return Find(Directory.EnumerateFiles(folder, "*.onnx", SearchOption.AllDirectories));
    }

    /// <summary>True for the ONNX file of an unpacked package.</summary>
    internal static bool IsUnpacked(string path) => path.Split(Path.DirectorySeparatorChar).Any(static part => part.EndsWith(Suffix, StringComparison.Ordinal));

    /// <summary>What a model at <paramref name="path"/> weighs, with the files of its package, in bytes; 0 where there is none.</summary>
    internal static long Size(string path)
    {
        if (!File.Exists(path))
            return 0;
        return IsUnpacked(path)
            ? new DirectoryInfo(Path.GetDirectoryName(path)!).EnumerateFiles("*", SearchOption.AllDirectories).Sum(static file => file.Length)
            : new FileInfo(path).Length;
    }

    private static bool IsZip(string path)
    {
        using var file = File.OpenRead(path);
        Span<byte> head = stackalloc byte[4];
        return file.ReadAtLeast(head, 4, throwOnEndOfStream: false) == 4 && head.SequenceEqual("PK\x03\x04"u8);
    }

    private static void Unpack(string path, string folder)
    {
        var incoming = $"{folder}.{Guid.NewGuid():n}";
        try
        {
            using (var zip = GuardedZip.Open(path, Limits))
            {
                _ = Find(zip.Files.Select(static entry => entry.FullName).Where(static name => name.EndsWith(".onnx", StringComparison.OrdinalIgnoreCase)));
                foreach (var entry in zip.Files)
                {
                    var target = Path.Combine(incoming, entry.FullName);
                    Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                    using var content = GuardedZip.Read(entry);
                    using var file = File.Create(target);
                    content.CopyTo(file);
                }
            }

            Directory.Move(incoming, folder);
        }
        catch (InvalidDataException e)
        {
            throw new ProblemException(Problem.Create(ProblemCodes.ArchiveInvalid, "The zip with the model is damaged. Pack and upload it again."), e);
        }
        catch (IOException) when (Directory.Exists(folder))
        {
            // Another process has unpacked the same zip in the meantime.
        }
        finally
        {
            if (Directory.Exists(incoming))
                Directory.Delete(incoming, recursive: true);
        }
    }

    private static string Find(IEnumerable<string> models) => models.Order(StringComparer.Ordinal).Take(2).ToArray() is [var only]
        ? only
        : throw new ProblemException(ProblemCodes.NotAnOnnxModel, "The zip must hold exactly one .onnx file, with the files that it refers to beside it.");
}
