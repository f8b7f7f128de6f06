namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>The embedded default with its artifacts on S3.</summary>
public sealed class EmbeddedS3Service : EmbeddedService
{
    private S3Server? _s3;

    protected override async Task<string[]> SettingsAsync()
    {
        _s3 = await S3Server.StartAsync();
        return [.. await base.SettingsAsync(), .. _s3.Settings];
    }

    protected override async ValueTask EndAsync()
    {
        await base.EndAsync();
        if (_s3 is not null)
            await _s3.DisposeAsync();
    }
}

/// <summary>The real servers with the artifacts on S3.</summary>
public sealed class ServersS3Service : ServersService
{
    private S3Server? _s3;

    protected override async Task<string[]> SettingsAsync()
    {
        _s3 = await S3Server.StartAsync();
        return [.. await base.SettingsAsync(), .. _s3.Settings];
    }

    protected override async ValueTask EndAsync()
    {
        await base.EndAsync();
        if (_s3 is not null)
            await _s3.DisposeAsync();
    }
}
