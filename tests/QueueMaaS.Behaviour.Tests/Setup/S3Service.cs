namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>The embedded default with its artifacts on S3.</summary>
public sealed class EmbeddedS3Service : EmbeddedService
{
    protected override bool OnS3 => true;
}

/// <summary>The real servers with the artifacts on S3.</summary>
public sealed class ServersS3Service : ServersService
{
    protected override bool OnS3 => true;
}
