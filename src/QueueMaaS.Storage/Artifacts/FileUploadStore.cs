using System.Text.Json;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Storage.Artifacts;

/// <summary>
/// Uploads as pairs of files in a folder that several processes may share: what was announced, and what has arrived, whose length is the offset. So a sender may go on at another API node, and a crash
/// loses nothing that was written.
/// </summary>
public sealed class FileUploadStore : IUploadStore
{
    private readonly IArtifactStore _artifacts;
    private readonly TimeProvider _time;
    private readonly TimeSpan _lifetime;
    private readonly string _folder;

    public FileUploadStore(IArtifactStore artifacts, IOptions<StorageOptions> options, TimeProvider time)
    {
        _artifacts = artifacts;
        _time = time;
        _lifetime = options.Value.UploadLifetime;
        _folder = Path.Combine(Path.GetFullPath(options.Value.DataFolder), "artifacts", "uploads");
        Directory.CreateDirectory(_folder);
    }

    public async Task<Upload> CreateAsync(long bytes, string? metadata, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        Forget();
        var id = Guid.NewGuid().ToString("n");
        await File.Create(DataPath(id)).DisposeAsync();
        await WriteAsync(id, new Announced(bytes, metadata, Artifact: null), cancellationToken);
        return await GetAsync(id, cancellationToken);
    }

    public async Task<Upload> GetAsync(string id, CancellationToken cancellationToken)
    {
        var announced = await ReadAsync(id, cancellationToken);
        var data = new FileInfo(DataPath(id));
        var offset = announced.Artifact is not null ? announced.Bytes : data.Exists ? data.Length : 0;
        if (offset == announced.Bytes && announced.Artifact is null)
            announced = await FinishAsync(id, announced, cancellationToken);
        return new()
        {
            Id = id,
            Bytes = announced.Bytes,
            Offset = offset,
            Artifact = announced.Artifact,
            Metadata = announced.Metadata,
            ExpiresAt = LastTouched(id) + _lifetime,
        };
    }

    public async Task<Upload> AppendAsync(string id, long offset, Stream part, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(part);
        var announced = await ReadAsync(id, cancellationToken);
        if (announced.Artifact is null)
        {
            await using var file = OpenAlone(id);
            if (file.Length != offset)
                throw Conflict($"The upload stands at {file.Length:n0} bytes, but the part begins at {offset:n0}. Ask for the offset (HEAD) and go on from there.", file.Length);
            file.Seek(0, SeekOrigin.End);
            await CopyAsync(part, file, announced.Bytes, cancellationToken);
        }
        else if (offset != announced.Bytes)
        {
            throw Conflict($"The upload is complete at {announced.Bytes:n0} bytes.", announced.Bytes);
        }

        return await GetAsync(id, cancellationToken);
    }

    public async Task EndAsync(string id, CancellationToken cancellationToken)
    {
        _ = await ReadAsync(id, cancellationToken);
        Delete(id);
    }

    /// <summary>What arrived stays in the file even where the connection breaks.</summary>
    private static async Task CopyAsync(Stream part, FileStream file, long bytes, CancellationToken cancellationToken)
    {
        var buffer = new byte[1 << 17];
        try
        {
            int read;
            while ((read = await part.ReadAsync(buffer, cancellationToken)) > 0)
            {
                if (file.Position + read > bytes)
                    throw new ProblemException(ProblemCodes.TooLarge, $"More came than the {bytes:n0} bytes that were announced for this upload. Nothing of the surplus was kept.", ("bytes", bytes));
                await file.WriteAsync(buffer.AsMemory(0, read), CancellationToken.None);
            }
        }
        finally
        {
            file.Flush(flushToDisk: true);
        }
    }

    private async Task<Announced> FinishAsync(string id, Announced announced, CancellationToken cancellationToken)
    {
        await using (var data = File.OpenRead(DataPath(id)))
            announced = announced with { Artifact = (await _artifacts.PutAsync(data, announced.Bytes, cancellationToken)).Id };
        await WriteAsync(id, announced, cancellationToken);
        File.Delete(DataPath(id));
        return announced;
    }

    private FileStream OpenAlone(string id)
    {
        try
        {
            return new FileStream(DataPath(id), FileMode.Open, FileAccess.Write, FileShare.None, bufferSize: 0, useAsync: true);
        }
        catch (FileNotFoundException)
        {
            throw NotFound(id);
        }
        catch (IOException)
        {
            throw new ProblemException(ProblemCodes.UploadOffsetConflict, "Another part of this upload is being written. Ask for the offset (HEAD) in a moment, and go on from there.");
        }
    }

    private async Task<Announced> ReadAsync(string id, CancellationToken cancellationToken)
    {
        // Ids are ours: anything else might name a file elsewhere.
        if (!Guid.TryParseExact(id, "n", out _) || !File.Exists(InfoPath(id)))
            throw NotFound(id);
        return JsonSerializer.Deserialize<Announced>(await File.ReadAllBytesAsync(InfoPath(id), cancellationToken), QueueMaaSJson.Relaxed)!;
    }

    private async Task WriteAsync(string id, Announced announced, CancellationToken cancellationToken)
    {
        var incoming = $"{InfoPath(id)}.{Guid.NewGuid():n}";
        await File.WriteAllBytesAsync(incoming, JsonSerializer.SerializeToUtf8Bytes(announced, QueueMaaSJson.Relaxed), cancellationToken);
        File.Move(incoming, InfoPath(id), overwrite: true);
    }

    /// <summary>Nobody comes back for an upload that has stood still for so long.</summary>
    private void Forget()
    {
        foreach (var info in Directory.EnumerateFiles(_folder, "*.json"))
        {
            var id = Path.GetFileNameWithoutExtension(info);
            if (_time.GetUtcNow() - LastTouched(id) > _lifetime)
                Delete(id);
        }
    }

    private DateTimeOffset LastTouched(string id)
    {
        var (info, data) = (File.GetLastWriteTimeUtc(InfoPath(id)), File.GetLastWriteTimeUtc(DataPath(id)));
        return new(info > data ? info : data, TimeSpan.Zero);
    }

    private void Delete(string id)
    {
        File.Delete(InfoPath(id));
        File.Delete(DataPath(id));
    }

    private string DataPath(string id) => Path.Combine(_folder, $"{id}.part");

    private string InfoPath(string id) => Path.Combine(_folder, $"{id}.json");

    private static ProblemException NotFound(string id) => new(ProblemCodes.UploadNotFound, $"There is no upload `{id}`: it never began, was ended, or was left alone for too long. Begin a new one with POST /v1/uploads.", ("upload", id));

    private static ProblemException Conflict(string message, long offset) => new(ProblemCodes.UploadOffsetConflict, message, ("offset", offset));

    private sealed record Announced(long Bytes, string? Metadata, string? Artifact);
}
