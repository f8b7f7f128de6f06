using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;
using QueueMaaS.Contracts;

namespace QueueMaaS.Api.Access;

/// <summary>Whose a request is, and what it may do.</summary>
internal sealed record Identity(string Tenant, string Name, IReadOnlyList<string> Scopes);

/// <summary>Reads tokens of an identity provider. Only signatures by public keys count: with a shared secret whoever can check a token could make one.</summary>
internal sealed partial class TokenReader : IDisposable
{
    private static readonly string[] Algorithms =
    [
        SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSha384, SecurityAlgorithms.RsaSha512, SecurityAlgorithms.RsaSsaPssSha256, SecurityAlgorithms.RsaSsaPssSha384, SecurityAlgorithms.RsaSsaPssSha512,
        SecurityAlgorithms.EcdsaSha256, SecurityAlgorithms.EcdsaSha384, SecurityAlgorithms.EcdsaSha512,
    ];

    private readonly TokenOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<TokenReader> _logger;
    private readonly JsonWebTokenHandler _handler = new() { MapInboundClaims = false };
    private readonly HttpClient? _http;
    private readonly ConfigurationManager<OpenIdConnectConfiguration>? _provider;
    private readonly IReadOnlyList<SecurityKey> _keys = [];

    public TokenReader(IOptions<TokenOptions> options, TimeProvider time, ILogger<TokenReader> logger)
    {
        _options = options.Value;
        _time = time;
        _logger = logger;
        if (_options.Authority is { } authority)
        {
            _http = new HttpClient { Timeout = TimeSpan.FromSeconds(10) };
            _provider = new ConfigurationManager<OpenIdConnectConfiguration>(
                $"{authority.TrimEnd('/')}/.well-known/openid-configuration", new OpenIdConnectConfigurationRetriever(), new HttpDocumentRetriever(_http) { RequireHttps = !new Uri(authority).IsLoopback })
            {
                // A token by an unknown key asks for new ones, at most this often: the library's five minutes would let anybody's made-up token hold a new key off for as long.
                RefreshInterval = TimeSpan.FromSeconds(5),
            };
        }
        else if (_options.KeysFile is { } file)
        {
            _keys = [.. new JsonWebKeySet(File.ReadAllText(file)).GetSigningKeys()];
        }
    }

    /// <summary>Whether tokens are taken at all.</summary>
    public bool IsOn => _options.AreTaken;

    /// <summary>Whether a text may be a token: three parts with dots between.</summary>
    public static bool LooksLikeOne(string text) => text.Count('.') == 2;

    /// <summary>Who the token speaks for.</summary>
    /// <exception cref="ProblemException">It cannot be used; the reason is one that its holder can act on.</exception>
    public async Task<Identity> ReadAsync(string text, CancellationToken cancellationToken)
    {
        var result = await ValidateAsync(text, cancellationToken);
        if (result is { IsValid: false, Exception: SecurityTokenSignatureKeyNotFoundException } && _provider is not null)
        {
            // The provider may have new keys.
            _provider.RequestRefresh();
            result = await ValidateAsync(text, cancellationToken);
        }

        if (!result.IsValid)
            throw new ProblemException(ProblemCodes.KeyInvalid, $"The token is not taken: {Reason(result.Exception)}.");
        var token = (JsonWebToken)result.SecurityToken;
        var tenant = Texts(token, _options.TenantClaim).FirstOrDefault();
        if (!Identifiers.IsName(tenant))
            throw new ProblemException(ProblemCodes.KeyInvalid, $"The token is not taken: its claim `{_options.TenantClaim}` must name the tenant (1 to 64 of lower-case letters, digits and - _ .).");
        var scopes = Texts(token, _options.ScopeClaim).SelectMany(static value => value.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(scope => scope.StartsWith(_options.ScopePrefix, StringComparison.Ordinal)).Select(scope => scope[_options.ScopePrefix.Length..]).Where(AccessScopes.All.Contains).ToArray();
        var subject = token.Subject is { Length: > 0 and <= 200 } named ? named : "without a subject";
        return new Identity(tenant!, $"token {subject}", scopes);
    }

    public void Dispose() => _http?.Dispose();

    private async Task<TokenValidationResult> ValidateAsync(string text, CancellationToken cancellationToken)
    {
        var (issuer, keys) = (_options.Issuer, _keys);
        if (_provider is not null)
        {
            try
            {
                var provider = await _provider.GetConfigurationAsync(cancellationToken);
                (issuer, keys) = (issuer ?? provider.Issuer, [.. provider.SigningKeys]);
            }
            catch (InvalidOperationException exception)
            {
                LogProviderAway(_logger, exception.GetBaseException().Message);
                throw new ProblemException(ProblemCodes.Unavailable, "The identity provider's keys cannot be read, so tokens cannot be checked. Try again in a moment, or use a key.") { IsTransient = true };
            }
        }

        return await _handler.ValidateTokenAsync(text, new TokenValidationParameters
        {
            ValidIssuer = issuer,
            ValidAudience = _options.Audience,
            IssuerSigningKeys = keys,
            ValidAlgorithms = Algorithms,
            RequireExpirationTime = true,
            RequireSignedTokens = true,
            ClockSkew = _options.ClockSkew,
            LifetimeValidator = (from, until, _, parameters) => Lives(from, until, parameters.ClockSkew),
        });
    }

    /// <summary>By our clock rather than the library's.</summary>
    private bool Lives(DateTime? from, DateTime? until, TimeSpan skew)
    {
        var now = _time.GetUtcNow().UtcDateTime;
        if (until is null || until + skew <= now)
            throw new SecurityTokenExpiredException();
        return from is null || from - skew <= now ? true : throw new SecurityTokenNotYetValidException();
    }

    private static IEnumerable<string> Texts(JsonWebToken token, string claim) => token.Claims.Where(found => found.Type == claim).Select(static found => found.Value);

    private string Reason(Exception exception) => exception switch
    {
        SecurityTokenExpiredException => "it has expired; get a new one",
        SecurityTokenNotYetValidException => "it is not valid yet; check the clocks",
        SecurityTokenInvalidAudienceException => $"it is not for this service: its `aud` must be `{_options.Audience}`",
        SecurityTokenInvalidIssuerException => "it was made by another provider than this service trusts (`iss`)",
        SecurityTokenInvalidAlgorithmException => "it is signed in a way that is not taken: RS, PS and ES with SHA-256 or longer are",
        SecurityTokenNoExpirationException => "it has no end (`exp`)",
        _ => "its signature is not of a key that this service trusts, or it is damaged",
    };

    [LoggerMessage(Level = LogLevel.Error, Message = "Tokens cannot be checked: the provider's keys cannot be read ({Reason}); the next request tries again")]
    private static partial void LogProviderAway(ILogger logger, string reason);
}
