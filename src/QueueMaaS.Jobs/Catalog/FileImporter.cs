using System.IO.Compression;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Jobs.Catalog;

/// <summary>Brings a file into the artifact store from where it lies: an address, or a folder of the service's own machine.</summary>
public sealed class FileImporter : IDisposable
{
    private const int MaxRedirects = 5;
    private readonly IArtifactStore _artifacts;
    private readonly ImportOptions _options;
    private readonly HttpClient _http;

    public FileImporter(IArtifactStore artifacts, IOptions<ImportOptions> options)
    {
        _artifacts = artifacts;
        _options = options.Value;
        // Every connection, that after a redirect included, goes to an address that was judged.
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = (context, token) => PublicAddresses.ConnectAsync(context, _options.AllowPrivate, token),
            MaxAutomaticRedirections = MaxRedirects,
            ConnectTimeout = TimeSpan.FromSeconds(15),
        };
        _http = new HttpClient(handler) { Timeout = _options.Timeout };
        _http.DefaultRequestHeaders.UserAgent.ParseAdd("QueueMaaS-Import/1.0");
    }

    /// <summary>Fetches the file that an import names, and compares its checksum.</summary>
    /// <exception cref="ProblemException"><c>invalid_request</c>, <c>invalid_value</c>, <c>import_refused</c>, <c>import_failed</c>, <c>artifact_not_found</c>, <c>checksum_mismatch</c> or <c>too_large</c>.</exception>
    public async Task<Artifact> FetchAsync(ModelImport import, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(import);
        if (import.Sha256 is { } sha && (sha.Length != 64 || !sha.All(char.IsAsciiHexDigit)))
            throw new ProblemException(ProblemCodes.InvalidValue, "`sha256` must be 64 hexadecimal digits.", ("path", "sha256"));
        var artifact = import switch
        {
            { Artifact: { } id, Url: null, Path: null } => await _artifacts.DescribeAsync(id, cancellationToken),
            { Artifact: null, Url: { } url, Path: null } => await DownloadAsync(url, cancellationToken),
            { Artifact: null, Url: null, Path: { } path } => await ReadAsync(path, cancellationToken),
            _ => throw new ProblemException(ProblemCodes.InvalidRequest, "Give exactly one of `artifact`, `url` and `path`: where the model's file is."),
        };
        if (import.Sha256 is { } expected && !artifact.Id.EndsWith(expected, StringComparison.OrdinalIgnoreCase))
            throw new ProblemException(ProblemCodes.ChecksumMismatch, $"The file has the checksum {artifact.Id}, not sha256:{expected.ToLowerInvariant()}. It was changed or damaged on its way; no version was made.", ("expected", expected), ("actual", artifact.Id));
        return artifact;
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    /// <summary>Fetches a file from an address.</summary>
    /// <exception cref="ProblemException"><c>invalid_value</c>, <c>import_refused</c>, <c>import_failed</c> or <c>too_large</c>.</exception>
    public async Task<Artifact> DownloadAsync(string url, CancellationToken cancellationToken)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https") || url.Length > 2048)
            throw new ProblemException(ProblemCodes.InvalidValue, "`url` must be an absolute http or https address of at most 2,048 characters.", ("path", "url"));
        try
        {
            using var response = await _http.GetAsync(address, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (!response.IsSuccessStatusCode)
                throw new ProblemException(ProblemCodes.ImportFailed, $"`{address.Host}` answered {(int)response.StatusCode} to the request for the file. Check the address, and that it needs no sign-in.", ("status", (int)response.StatusCode));
            await using var content = await response.Content.ReadAsStreamAsync(cancellationToken);
            return await _artifacts.PutAsync(content, _options.MaxBytes, cancellationToken);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or UriFormatException or TaskCanceledException && !cancellationToken.IsCancellationRequested)
        {
            if (exception.GetBaseException() is ProblemException)
                throw new ProblemException(ProblemCodes.ImportRefused, $"`{address.Host}` is a private, loopback or link-local address. Upload the file, or have the operator set Imports__AllowPrivate=true.", ("host", address.Host));
            throw new ProblemException(Problem.Create(ProblemCodes.ImportFailed, $"The file could not be fetched from `{address.Host}`: {Reason(exception)}. Try again, or upload it.", ("host", address.Host)), exception);
        }
    }

    /// <summary>Reads a file of the import folder; a folder in it becomes a zip of its files, the same one for the same files.</summary>
    /// <exception cref="ProblemException"><c>import_refused</c>, <c>import_failed</c> or <c>too_large</c>.</exception>
    public async Task<Artifact> ReadAsync(string path, CancellationToken cancellationToken)
    {
        if (_options.Folder is not { } folder)
            throw new ProblemException(ProblemCodes.ImportRefused, "This service imports from no folder. Upload the file, give its `url`, or have the operator set Imports__Folder.", ("path", "path"));
        if (string.IsNullOrWhiteSpace(path) || path.Contains('\0', StringComparison.Ordinal))
            throw new ProblemException(ProblemCodes.InvalidValue, "`path` must be the name of a file or folder in the service's import folder.", ("path", "path"));
        var root = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)) + Path.DirectorySeparatorChar;
        var file = new FileInfo(Path.Combine(root, path));
        if (Path.IsPathRooted(path) || !file.FullName.StartsWith(root, StringComparison.Ordinal))
            throw Outside();
        if (new DirectoryInfo(file.FullName) is { Exists: true } directory)
            return directory.LinkTarget is null ? await PackAsync(directory, cancellationToken) : throw Outside();
        if (!file.Exists)
            throw new ProblemException(ProblemCodes.ImportFailed, $"There is no file `{path}` in the service's import folder.", ("path", "path"));
        // A link is followed to its end, and that must lie in the folder too.
        if (file.ResolveLinkTarget(returnFinalTarget: true) is { } target && !target.FullName.StartsWith(root, StringComparison.Ordinal))
            throw Outside();
        await using var content = file.OpenRead();
        return await _artifacts.PutAsync(content, _options.MaxBytes, cancellationToken);
    }

    private async Task<Artifact> PackAsync(DirectoryInfo directory, CancellationToken cancellationToken)
    {
        var packed = Path.GetTempFileName();
        try
        {
            await using (var file = File.Create(packed))
            await using (var zip = new ZipArchive(file, ZipArchiveMode.Create))
            {
                // Links are left out: they may lead anywhere.
                var all = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint | FileAttributes.Hidden };
                foreach (var source in directory.EnumerateFiles("*", all).OrderBy(static source => source.FullName, StringComparer.Ordinal))
                {
                    // Images are compressed already, and the same files have to give the same bytes.
                    var entry = zip.CreateEntry(Path.GetRelativePath(directory.FullName, source.FullName).Replace('\\', '/'), CompressionLevel.NoCompression);
                    entry.LastWriteTime = new DateTimeOffset(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);
                    await using var target = await entry.OpenAsync(cancellationToken);
                    await using var content = source.OpenRead();
                    await content.CopyToAsync(target, cancellationToken);
                    if (file.Length > _options.MaxBytes)
                        throw new ProblemException(ProblemCodes.TooLarge, $"The folder holds more than {_options.MaxBytes} bytes, the configured limit for imports.", ("limit", _options.MaxBytes));
                }
            }

            await using var whole = File.OpenRead(packed);
            return await _artifacts.PutAsync(whole, _options.MaxBytes, cancellationToken);
        }
        finally
        {
            File.Delete(packed);
        }
    }

    private static ProblemException Outside() => new(ProblemCodes.ImportRefused, "`path` must be relative and stay in the service's import folder.", ("path", "path"));

    private string Reason(Exception exception) => exception switch
    {
        TaskCanceledException => $"it took longer than {_options.Timeout.TotalMinutes:0} minutes",
        HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } => "its name cannot be resolved",
        HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError } => "it cannot be connected to",
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } => "its certificate is not trusted or TLS failed",
        _ => "the connection broke",
    };
}
