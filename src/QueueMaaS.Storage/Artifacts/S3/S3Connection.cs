using System.Net.Http;
using System.Net.Security;
using Amazon;
using Amazon.Runtime;
using Amazon.S3;
using Microsoft.Extensions.Options;
using QueueMaaS.Jobs.Settings;

namespace QueueMaaS.Storage.Artifacts.S3;

/// <summary>The connection to the storage, and how artifacts are named there.</summary>
public sealed class S3Connection : IDisposable
{
    /// <summary>What the storage is called where its certificate is spoken of.</summary>
    public const string ServerName = "S3";

    private readonly HttpClient? _http;

    public S3Connection(IOptions<S3Options> options, ServerTrust trust)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(trust);
        Options = options.Value;
        var config = new AmazonS3Config
        {
            ForcePathStyle = Options.PathStyle ?? Options.Endpoint is not null,
            MaxErrorRetry = Options.Retries,
            Timeout = Options.Timeout,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            RequestChecksumCalculation = Options.Checksums ? RequestChecksumCalculation.WHEN_SUPPORTED : RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = Options.Checksums ? ResponseChecksumValidation.WHEN_SUPPORTED : ResponseChecksumValidation.WHEN_REQUIRED,
        };
        if (Options.Endpoint is { } endpoint)
        {
            config.ServiceURL = endpoint;
            config.AuthenticationRegion = Options.Region;
        }
        else
        {
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(Options.Region);
        }

        if (trust.HasAuthorities)
        {
            var handler = new SocketsHttpHandler { SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = trust.CheckOf(ServerName) } };
            _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
            config.HttpClientFactory = new OwnHttpClient(_http);
        }

        Client = Options.AccessKey is { } key ? new AmazonS3Client(new BasicAWSCredentials(key, Options.SecretKey), config) : new AmazonS3Client(config);
    }

    public IAmazonS3 Client { get; }

    public S3Options Options { get; }

    public string Bucket => Options.Bucket!;

    /// <summary>What the names of artifacts begin with; the rest is the hash.</summary>
    public string ArtifactPrefix => $"{Options.Prefix}artifacts/";

    /// <summary>What the names of empty objects begin with whose time says when an artifact was last used: an object's own time cannot be set without writing it anew.</summary>
    public string UsePrefix => $"{Options.Prefix}uses/";

    public string KeyOf(string artifactId) => ArtifactPrefix + artifactId[7..];

    public string UseKeyOf(string artifactId) => UsePrefix + artifactId[7..];

    public void Dispose()
    {
        Client.Dispose();
        _http?.Dispose();
    }

    private sealed class OwnHttpClient(HttpClient http) : HttpClientFactory
    {
        public override HttpClient CreateHttpClient(IClientConfig clientConfig) => http;

        public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => false;

        public override bool DisposeHttpClientsAfterUse(IClientConfig clientConfig) => false;
    }
}
