using System.IO.Compression;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Formats;

namespace QueueMaaS.Data.Packing;

/// <summary>Makes the one zip file that the service takes out of what a user has on disk.</summary>
public static class DatasetPacker
{
    /// <summary>
    /// Packs a folder (image folder, CIFAR-10 binary or MNIST idx files), or copies a zip file as it is. Images are stored unchanged; files that belong to no format are left out.
    /// The target appears whole or not at all. Packing the same files again gives the same bytes, and so the same artifact.
    /// </summary>
    /// <param name="path">The folder or zip file.</param>
    /// <param name="zipPath">The file to write; an existing one is replaced.</param>
    /// <param name="cancellationToken">Stops between files.</param>
    /// <exception cref="ProblemException"><c>invalid_value</c> (there is no such path), <c>dataset_format_unknown</c> or <c>dataset_empty</c> (nothing to pack).</exception>
    public static async Task Pack(string path, string zipPath, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(zipPath);
        if (string.IsNullOrWhiteSpace(path) || (!Directory.Exists(path) && !File.Exists(path)))
            throw new ProblemException(ProblemCodes.InvalidValue, $"There is no folder or file '{path}'. Give the folder of the data set, or its zip file.", ("path", path));

        var partial = $"{zipPath}.{Guid.NewGuid():N}.partial";
        try
        {
            if (Directory.Exists(path))
                await PackFolder(path, partial, cancellationToken);
            else
                await CopyZip(path, partial, cancellationToken);
            File.Move(partial, zipPath, overwrite: true);
        }
        finally
        {
            File.Delete(partial);
        }
    }

    private static async Task PackFolder(string folder, string zipPath, CancellationToken cancellationToken)
    {
        var options = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.Hidden | FileAttributes.System | FileAttributes.ReparsePoint };
        var files = Directory.EnumerateFiles(folder, "*", options)
            .Select(f => (File: f, Name: Path.GetRelativePath(folder, f).Replace(Path.DirectorySeparatorChar, '/')))
            .ToList();
        var chosen = files.Where(f => Belongs(f.Name)).OrderBy(f => f.Name, StringComparer.Ordinal).ToList();
        if (chosen.Count == 0)
        {
            throw files.Count == 0
                ? new ProblemException(ProblemCodes.DatasetEmpty, $"The folder '{folder}' is empty. Give a folder with one folder of images per class.", ("path", folder))
                : new ProblemException(
                    ProblemCodes.DatasetFormatUnknown,
                    $"None of the {files.Count:N0} files in '{folder}' belongs to a data set. Known are image folders (train/<class>/*.jpg or <class>/*.jpg), CIFAR-10 binary (data_batch_1.bin …) and MNIST idx (train-images-idx3-ubyte.gz …).",
                    ("path", folder), ("files", files.Count));
        }

        await using var zip = await ZipFile.OpenAsync(zipPath, ZipArchiveMode.Create, cancellationToken);
        foreach (var (file, name) in chosen)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var packed = ImageFolderSource.IsImage(name) || name.EndsWith(".gz", StringComparison.OrdinalIgnoreCase);
            var entry = zip.CreateEntry(name, packed ? CompressionLevel.NoCompression : CompressionLevel.Fastest);
            // The time of a file is no part of its content; a fixed one keeps the archive's hash the same.
            entry.LastWriteTime = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);
            await using var target = await entry.OpenAsync(cancellationToken);
            await using var source = File.OpenRead(file);
            await source.CopyToAsync(target, cancellationToken);
        }
    }

    private static bool Belongs(string name) =>
        ImageFolderSource.IsImage(name) || CifarBinarySource.IsBatch(name) || MnistIdxSource.IsIdx(name) || name.EndsWith("batches.meta.txt", StringComparison.Ordinal);

    private static async Task CopyZip(string file, string zipPath, CancellationToken cancellationToken)
    {
        var start = new byte[4];
        await using var source = File.OpenRead(file);
        var read = await source.ReadAtLeastAsync(start, start.Length, throwOnEndOfStream: false, cancellationToken);
        // A local file header, or the end record of an empty archive.
        if (read < 4 || start[0] != 'P' || start[1] != 'K' || start[2] is not (3 or 5))
            throw new ProblemException(ProblemCodes.ArchiveInvalid, $"The file '{file}' is not a zip file. Give a zip file, or the folder of the data set.", ("path", file));
        source.Position = 0;
        await using var target = File.Create(zipPath);
        await source.CopyToAsync(target, cancellationToken);
    }
}
