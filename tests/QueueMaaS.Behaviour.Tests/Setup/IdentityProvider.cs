using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>An OpenID Connect provider for tests: publishes its signing keys and makes tokens.</summary>
public sealed class IdentityProvider : IAsyncDisposable
{
    private readonly WebApplication _app;
    private RsaSecurityKey _key = NewKey();

    public IdentityProvider()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.MapGet("/.well-known/openid-configuration", () => Results.Json(new { issuer = Address, jwks_uri = $"{Address}/keys" }));
        _app.MapGet("/keys", () =>
        {
            var published = _key.Rsa.ExportParameters(includePrivateParameters: false);
            return Results.Json(new { keys = new[] { new { kty = "RSA", use = "sig", kid = _key.KeyId, n = Base64UrlEncoder.Encode(published.Modulus), e = Base64UrlEncoder.Encode(published.Exponent) } } });
        });
    }

    public string Address => _app.Urls.First();

    public Task StartAsync() => _app.StartAsync();

    /// <summary>Signs with another key from now on.</summary>
    public void ReplaceKey() => _key = NewKey();

    /// <summary>A token; what a test does not say is as it should be.</summary>
    public string Token(string scope, string? tenant = "default", string audience = "queuemaas", string? issuer = null, TimeSpan? lifetime = null, SigningCredentials? signedWith = null)
    {
        var claims = new Dictionary<string, object> { ["sub"] = "anna", ["scope"] = scope };
        if (tenant is not null)
            claims["tenant"] = tenant;
        var now = DateTime.UtcNow;
        var end = now + (lifetime ?? TimeSpan.FromMinutes(5));
        return new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
        {
            Issuer = issuer ?? Address,
            Audience = audience,
            NotBefore = end < now ? end - TimeSpan.FromMinutes(1) : now,
            IssuedAt = now,
            Expires = end,
            Claims = claims,
            SigningCredentials = signedWith ?? new SigningCredentials(_key, SecurityAlgorithms.RsaSha256),
        });
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    /// <summary>A key of nobody that the service trusts.</summary>
    public static RsaSecurityKey NewKey() => new(RSA.Create(2048)) { KeyId = Guid.NewGuid().ToString("n") };
}

/// <summary>The embedded default with an identity provider beside it.</summary>
public sealed class EmbeddedTokensService : EmbeddedService
{
    public IdentityProvider Provider { get; } = new();

    protected override async Task<string[]> SettingsAsync()
    {
        await Provider.StartAsync();
        return [.. await base.SettingsAsync(), $"--Tokens:Authority={Provider.Address}", "--Api:CorsOrigins:0=https://app.example.org"];
    }

    protected override string? UploadToken() => Provider.Token("models");

    protected override ValueTask EndAsync() => Provider.DisposeAsync();
}
