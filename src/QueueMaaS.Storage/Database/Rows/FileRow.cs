using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Storage.Database;

public sealed class FileRow
{
    public required string Tenant { get; set; }
    public required string Id { get; set; }
    public required string Name { get; set; }
    public required string Purpose { get; set; }
    public required string Artifact { get; set; }
    public required long Bytes { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }

    public StoredFile ToFile() => new(Id, Name, Purpose, Artifact, Bytes, CreatedAt);
}
