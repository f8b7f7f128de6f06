using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Microsoft.IdentityModel.Tokens;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;
using QueueMaaS.Serving;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Tokens of an identity provider, and what browsers are told.</summary>
public sealed class TokenCases(EmbeddedTokensService service) : IClassFixture<EmbeddedTokensService>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_token_speaks_for_its_tenant_with_its_scopes()
    {
        (await GetAsync("v1/jobs", service.Provider.Token("openid read submit"))).Status.ShouldBe(200);
        (await GetAsync("v1/models/double", service.Provider.Token("read"))).Status.ShouldBe(200);
        (await GetAsync("v1/models/double", service.Provider.Token("read", tenant: "other"))).Code.ShouldBe(ProblemCodes.ModelNotFound);
        var refused = await GetAsync("v1/audit", service.Provider.Token("read"));
        refused.Code.ShouldBe(ProblemCodes.ScopeMissing);
        (await GetAsync("v1/jobs", null)).Code.ShouldBe(ProblemCodes.KeyMissing, "from the start, without a first key");
        (await GetAsync("v1/audit", service.Provider.Token("admin"))).Body.ShouldContain("\"actor\":\"token anna\"", Case.Sensitive, "the upload of the fixture stands in the audit trail under the token's subject");
    }

    [Theory]
    [InlineData("expired", "it has expired")]
    [InlineData("audience", "its `aud` must be `queuemaas`")]
    [InlineData("issuer", "another provider")]
    [InlineData("stranger", "signature is not of a key")]
    [InlineData("shared", "")]
    [InlineData("unsigned", "")]
    [InlineData("tenant", "claim `tenant`")]
    [InlineData("damaged", "signature is not of a key")]
    public async Task A_token_that_does_not_fit_is_refused_with_the_reason(string fault, string reason)
    {
        var provider = service.Provider;
        var token = fault switch
        {
            "expired" => provider.Token("read", lifetime: TimeSpan.FromMinutes(-5)),
            "audience" => provider.Token("read", audience: "somebody"),
            "issuer" => provider.Token("read", issuer: "https://elsewhere.example.org"),
            "stranger" => provider.Token("read", signedWith: new SigningCredentials(IdentityProvider.NewKey(), SecurityAlgorithms.RsaSha256)),
            // With a secret that both know; and an attacker would take the published key for it.
            "shared" => provider.Token("read", signedWith: new SigningCredentials(new SymmetricSecurityKey(new byte[64]), SecurityAlgorithms.HmacSha256)),
            "unsigned" => $"{Base64UrlEncoder.Encode("""{"alg":"none"}""")}.{provider.Token("read").Split('.')[1]}.",
            "tenant" => provider.Token("read", tenant: null),
            _ => provider.Token("read") is var whole ? whole[..^10] + "AAAAAAAAAA" : "",
        };
        var answer = await GetAsync("v1/jobs", token);
        answer.Status.ShouldBe(401);
        answer.Code.ShouldBe(ProblemCodes.KeyInvalid);
        answer.Body.ShouldContain(reason);
        answer.Body.ShouldNotContain(token);
    }

    [Fact]
    public async Task A_provider_that_replaces_its_key_is_asked_again()
    {
        (await GetAsync("v1/jobs", service.Provider.Token("read"))).Status.ShouldBe(200);
        service.Provider.ReplaceKey();
        for (var tries = 0; (await GetAsync("v1/jobs", service.Provider.Token("read"))).Status != 200; tries++)
        {
            // The library asks again in the background, and not for every token that somebody makes up.
            tries.ShouldBeLessThan(100);
            await Task.Delay(200, Cancel);
        }
    }

    [Fact]
    public async Task Browsers_are_told_to_guess_nothing_and_only_named_origins_may_call()
    {
        using var answer = await service.Http.GetAsync("health/live", Cancel);
        answer.Headers.GetValues("X-Content-Type-Options").ShouldBe(["nosniff"]);
        answer.Headers.GetValues("X-Frame-Options").ShouldBe(["DENY"]);
        answer.Headers.GetValues("Referrer-Policy").ShouldBe(["no-referrer"]);
        answer.Headers.GetValues("Content-Security-Policy").Single().ShouldContain("frame-ancestors 'none'");
        answer.Headers.Contains("Server").ShouldBeFalse();
        (await AllowedAsync(service.Http, "https://app.example.org")).ShouldBe("https://app.example.org");
        (await AllowedAsync(service.Http, "https://evil.example.org")).ShouldBeNull();
    }

    private static async Task<string?> AllowedAsync(HttpClient http, string origin)
    {
        using var ask = new HttpRequestMessage(HttpMethod.Options, "v1/jobs");
        ask.Headers.Add("Origin", origin);
        ask.Headers.Add("Access-Control-Request-Method", "POST");
        ask.Headers.Add("Access-Control-Request-Headers", "authorization,content-type");
        using var answer = await http.SendAsync(ask, Cancel);
        return answer.Headers.TryGetValues("Access-Control-Allow-Origin", out var allowed) ? allowed.Single() : null;
    }

    private async Task<(int Status, string? Code, string Body)> GetAsync(string path, string? token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (token is not null)
            request.Headers.Authorization = new("Bearer", token);
        using var answer = await service.Http.SendAsync(request, Cancel);
        var body = await answer.Content.ReadAsStringAsync(Cancel);
        return ((int)answer.StatusCode, answer.IsSuccessStatusCode ? null : JsonElement.Parse(body).GetProperty("code").GetString(), body);
    }
}

/// <summary>HTTPS by Kestrel itself, and its certificates.</summary>
public sealed class CertificateCases : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-tls-").FullName;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(100, "healthy")]
    [InlineData(5, "degraded")]
    public async Task A_certificate_serves_https_and_its_end_is_seen_before_it_comes(int days, string status)
    {
        await using var app = QueueMaaSHost.Build(Settings(days));
        await QueueMaaSHost.PrepareDatabaseAsync(app, Cancel);
        await app.StartAsync(Cancel);
        var handler = new SocketsHttpHandler
        {
            SslOptions = new System.Net.Security.SslClientAuthenticationOptions
            {
                CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, CustomTrustStore = { X509CertificateLoader.LoadCertificateFromFile(Path.Combine(_folder, "server.pem")) } },
            },
        };
        using var http = new HttpClient(handler) { BaseAddress = new Uri(app.Urls.First()) };
        http.BaseAddress.Scheme.ShouldBe("https");
        using var answer = await http.GetAsync("health/ready", Cancel);
        answer.Headers.GetValues("Strict-Transport-Security").ShouldNotBeEmpty();
        var part = JsonElement.Parse(await answer.Content.ReadAsStringAsync(Cancel)).GetProperty("checks").GetProperty("certificate");
        part.GetProperty("status").GetString().ShouldBe(status);
        if (days < 14)
            part.GetProperty("description").GetString()!.ShouldContain("Kestrel:Certificates:Default:Path expires on");
        (await http.GetStringAsync("metrics", Cancel)).ShouldContain("queuemaas_certificate_left_seconds");
        await app.StopAsync(Cancel);
    }

    [Fact]
    public void An_expired_certificate_and_one_that_cannot_be_read_are_refused_at_start()
    {
        Should.Throw<SettingsException>(() => QueueMaaSHost.Build(Settings(-1))).Message.ShouldContain("expired on");
        var settings = Settings(10);
        File.WriteAllText(Path.Combine(_folder, "server.pem"), "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n");
        var refused = Should.Throw<SettingsException>(() => QueueMaaSHost.Build(settings)).Message;
        refused.ShouldContain("Kestrel:Certificates:Default:Path");
        refused.ShouldContain("cannot be read");
    }

    private string[] Settings(int days)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var now = DateTimeOffset.UtcNow;
        var request = new CertificateRequest("CN=queuemaas-test", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.CreateSelfSigned(now.AddDays(Math.Min(0, days) - 1), now.AddDays(days));
        var (file, keyFile) = (Path.Combine(_folder, "server.pem"), Path.Combine(_folder, "server.key"));
        File.WriteAllText(file, certificate.ExportCertificatePem());
        File.WriteAllText(keyFile, key.ExportPkcs8PrivateKeyPem());
        return
        [
            "--urls=https://127.0.0.1:0", $"--Kestrel:Certificates:Default:Path={file}", $"--Kestrel:Certificates:Default:KeyPath={keyFile}", $"--Storage:DataFolder={Path.Combine(_folder, "data")}",
            "--Bus:RabbitMq=", "--Storage:PostgreSql=", "--Storage:Redis=", "--Logging:LogLevel:Default=None",
        ];
    }
}

/// <summary>Nothing that a run writes or answers holds a secret that it was given.</summary>
public abstract class RedactionCases(bool servers)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_output_of_a_run_holds_a_secret_that_it_was_given()
    {
        var folder = Directory.CreateTempSubdirectory("queuemaas-redaction-");
        await using var space = servers ? await ServerSpace.CreateAsync() : null;
        await using var webhooks = new WebhookReceiver();
        await webhooks.StartAsync();
        var own = WebhookSignature.NewSecret();
        var settings = new Dictionary<string, string>(space?.Settings ?? new Dictionary<string, string> { ["Bus:RabbitMq"] = "", ["Storage:PostgreSql"] = "", ["Storage:Redis"] = "" })
        {
            ["Webhooks:Secret"] = webhooks.Secret,
            ["Api:KeyPepper"] = "pepper-" + Guid.NewGuid().ToString("n"),
            // A collector that is not there: its address and header are in whatever is logged of that.
            ["Telemetry:OtlpEndpoint"] = "http://127.0.0.1:9",
            ["Telemetry:OtlpHeaders"] = "x-key=collector-" + Guid.NewGuid().ToString("n"),
            ["Logging:LogLevel:Default"] = "Debug",
            ["Logging:LogLevel:Microsoft"] = "Information",
            ["Logging:LogLevel:MassTransit"] = "Debug",
        };
        string[] secrets = [settings["Webhooks:Secret"], own, settings["Api:KeyPepper"], settings["Telemetry:OtlpHeaders"]["x-key=".Length..], .. Passwords(settings)];
        var (log, said) = (new System.Text.StringBuilder(), new System.Text.StringBuilder());
        var process = new WorkerProcess("all", folder.FullName, settings, output: log);
        try
        {
            using var http = new HttpClient { BaseAddress = new Uri(process.Url) };
            await process.WaitUntilReadyAsync(http);
            var api = new Client.QueueMaaSClient(http);
            await api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
            var key = JsonElement.Parse(await (await http.PostAsync("v1/keys", Requests.Json("""{"name":"first","scopes":["admin","read","submit","models"]}"""), Cancel)).Content.ReadAsStringAsync(Cancel)).GetProperty("secret").GetString()!;
            http.DefaultRequestHeaders.Authorization = new("Bearer", key);
            var path = Requests.NewId();
            // One that works, and one that fails at the worker, both with a secret of their own.
            foreach (var input in (float[][])[[1, 2], [1, 2, 3]])
            {
                using var answer = await http.PostAsync("v1/jobs", Requests.Json(JsonSerializer.Serialize(Requests.Double(input) with { Webhook = new WebhookTarget { Url = webhooks.Url(path), Secret = own } }, QueueMaaSJson.Relaxed)), Cancel);
                said.AppendLine(await answer.Content.ReadAsStringAsync(Cancel));
            }

            await webhooks.NextAsync(path);
            foreach (var page in (string[])["v1/jobs", "v1/keys", "v1/audit", "v1/queues", "v1/dead-letters", "health/ready", "metrics", "openapi/v1.json", "v1/webhook-endpoints"])
            {
                using var answer = await http.GetAsync(page, Cancel);
                said.AppendLine(await answer.Content.ReadAsStringAsync(Cancel));
            }

            var (_, shown) = await ProgramRun.RunAsync(["config", "show", .. settings.Select(setting => $"--{setting.Key}={setting.Value}")]);
            said.AppendLine(shown);
            await process.EndAsync();
            secrets = [.. secrets, key];
        }
        finally
        {
            process.KillHard();
            folder.Delete(recursive: true);
        }

        var text = $"{log}{said}";
        // The test sees the log and the answers.
        text.ShouldContain("QueueMaaS runs as");
        text.ShouldContain("queuemaas_jobs_accepted_total");
        secrets.ShouldAllBe(secret => secret.Length >= 9);
        foreach (var secret in secrets)
            text.Contains(secret, StringComparison.Ordinal).ShouldBeFalse($"the secret that begins with {secret[..6]} is in the output: …{Around(text, secret)}…");
    }

    private static IEnumerable<string> Passwords(Dictionary<string, string> settings)
    {
        if (settings["Bus:RabbitMq"].Length > 0)
            yield return new Uri(settings["Bus:RabbitMq"]).UserInfo.Split(':')[1];
        if (settings["Storage:PostgreSql"].Length > 0)
            yield return new Npgsql.NpgsqlConnectionStringBuilder(settings["Storage:PostgreSql"]).Password!;
    }

    private static string Around(string text, string secret)
    {
        var at = text.IndexOf(secret, StringComparison.Ordinal);
        return at < 0 ? "" : text[Math.Max(0, at - 120)..at];
    }
}

public sealed class Embedded_redaction() : RedactionCases(servers: false);

public sealed class Servers_redaction() : RedactionCases(servers: true);
