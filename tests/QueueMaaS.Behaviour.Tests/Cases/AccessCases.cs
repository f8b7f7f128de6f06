using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Access;
using QueueMaaS.OpenInference.Grpc.Messages;
using QueueMaaS.Storage.Database;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Who may do what, and sees whose things.</summary>
public abstract class AccessCases(ServiceFixture service)
{
    /// <summary>Files by the hash of their content, and uploads by an id made at random: whoever knows the name may have it (docs/security.md). Recipes come with the program and are everybody's; what is not served is nobody's.</summary>
    private static readonly string[] KnownByTheirNames = ["/v1/artifacts/{id}", "/v1/uploads/{id}", "/v1/recipes/{recipe}", "/v2/{**path}"];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void Every_route_says_who_may_use_it()
    {
        var silent = Routes().Where(static route => route.Metadata.GetMetadata<RequiresScopeAttribute>() is null && route.Metadata.GetMetadata<OpenToAllAttribute>() is null);
        silent.Select(static route => route.DisplayName).ShouldBeEmpty("a route is for administrators unless it says otherwise, which is seldom meant");

        var open = Routes().Where(static route => route.Metadata.GetMetadata<OpenToAllAttribute>() is not null).Select(static route => route.RoutePattern.RawText!.Trim('/')).Where(static path => !path.StartsWith("docs", StringComparison.Ordinal));
        open.Distinct().Order(StringComparer.Ordinal).ShouldBe(
            ["", "health/live", "health/ready", "inference.GRPCInferenceService/ServerLive", "inference.GRPCInferenceService/ServerReady", "metrics", "openapi/{documentName}.json", "v2/health/live", "v2/health/ready"]);
    }

    [Fact]
    public async Task Once_there_is_a_key_every_route_that_is_not_open_asks_for_one()
    {
        _ = await KeyAsync("default", AccessScopes.Read);
        foreach (var (method, path) in Calls(static _ => "x").Where(static call => !call.IsOpen).Select(static call => (call.Method, call.Path)))
        {
            using var response = await service.Http.SendAsync(new HttpRequestMessage(method, path), Cancel);
            response.StatusCode.ShouldBe(HttpStatusCode.Unauthorized, $"{method} {path}");
            if (method != HttpMethod.Head)
                (await CodeAsync(response)).ShouldBe(ProblemCodes.KeyMissing, $"{method} {path}");
            response.Headers.WwwAuthenticate.ShouldContain(new AuthenticationHeaderValue("Bearer"));
        }
    }

    [Theory]
    [InlineData(AccessScopes.Read, "POST", "/v1/jobs")]
    [InlineData(AccessScopes.Submit, "GET", "/v1/jobs")]
    [InlineData(AccessScopes.Submit, "PUT", "/v1/models/double")]
    [InlineData(AccessScopes.Models, "POST", "/v1/jobs")]
    [InlineData(AccessScopes.Read, "POST", "/v2/models/double/infer")]
    [InlineData(AccessScopes.Submit, "POST", "/v1/queues/inference/pause")]
    [InlineData(AccessScopes.Models, "POST", "/v1/keys")]
    [InlineData(AccessScopes.Read, "GET", "/v1/audit")]
    public async Task A_key_without_the_scope_is_refused_and_told_which_it_lacks(string scope, string method, string path)
    {
        using var http = Http(await KeyAsync("default", scope));
        using var response = await http.SendAsync(new HttpRequestMessage(HttpMethod.Parse(method), path), Cancel);
        response.StatusCode.ShouldBe(HttpStatusCode.Forbidden);
        var problem = JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel));
        problem.GetProperty("code").GetString().ShouldBe(ProblemCodes.ScopeMissing);
        problem.GetProperty("detail").GetString()!.ShouldContain($"this one has `{scope}`");
    }

    [Fact]
    public async Task A_tenant_finds_nothing_of_another_on_any_route()
    {
        using var owner = Http(await KeyAsync("owner", AccessScopes.Submit, AccessScopes.Read, AccessScopes.Models, AccessScopes.Admin));
        using var other = Http(await KeyAsync("other", AccessScopes.Submit, AccessScopes.Read, AccessScopes.Models, AccessScopes.Admin));
        var names = await MakeOneOfEachAsync(owner);

        foreach (var call in Calls(pattern => names.GetValueOrDefault(pattern, "")).Where(static call => call.HasName && !call.IsOpen && !KnownByTheirNames.Contains(call.Pattern)))
        {
            // A new kind of thing belongs into MakeOneOfEachAsync.
            call.Path.ShouldNotContain("//", customMessage: $"{call.Pattern} has a name that this test does not know");
            using var request = new HttpRequestMessage(call.Method, call.Path);
            if (call.Method != HttpMethod.Get)
                request.Content = new StringContent("{}", Encoding.UTF8, "application/json");
            using var response = await other.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
            ((int)response.StatusCode).ShouldBeInRange(400, 499, $"{call.Method} {call.Path}");
        }

        foreach (var list in (string[])["/v1/jobs", "/v1/models", "/v1/datasets", "/v1/schedules", "/v1/webhook-endpoints", "/v1/files", "/v1/batches", "/v1/dead-letters", "/v1/keys", "/v2/models/stats"])
        {
            var text = await other.GetStringAsync(list, Cancel);
            foreach (var name in names.Values.Where(static name => name.Length > 5))
                text.ShouldNotContain(name, Case.Sensitive, $"{list} of another tenant");
        }

        // What was tried on the owner's things stands under who tried it.
        (await other.GetFromJsonAsync<Page<AuditEntry>>("/v1/audit", QueueMaaSJson.Relaxed, Cancel))!.Items.ShouldAllBe(static entry => entry.Tenant == "other" && (entry.Outcome != "done" || entry.Action == "key.create"));

        // It is all still there.
        (await owner.GetAsync($"/v1/jobs/{names["/v1/jobs/{id}"]}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await owner.GetAsync($"/v1/schedules/{names["/v1/schedules/{name}"]}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await owner.GetAsync($"/v1/files/{names["/v1/files/{id}"]}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_key_cannot_name_another_tenant()
    {
        using var http = Http(await KeyAsync("owner", AccessScopes.Read));
        http.DefaultRequestHeaders.Add(BusNames.TenantHeader, "default");
        using var response = await http.GetAsync("/v1/jobs", Cancel);
        response.StatusCode.ShouldBe(HttpStatusCode.Forbidden);
        (await CodeAsync(response)).ShouldBe(ProblemCodes.TenantForbidden);
    }

    [Fact]
    public async Task What_concerns_all_tenants_is_for_administrators_of_the_default_one()
    {
        using var tenants = Http(await KeyAsync("owner", AccessScopes.Admin));
        foreach (var (method, path, body) in ((HttpMethod, string, string)[])[(HttpMethod.Get, "/v1/queues", ""), (HttpMethod.Post, "/v1/queues/training/pause", ""), (HttpMethod.Post, "/v1/keys", """{"name":"x","tenant":"other","scopes":["read"]}""")])
        {
            using var request = new HttpRequestMessage(method, path) { Content = body.Length > 0 ? new StringContent(body, Encoding.UTF8, "application/json") : null };
            using var response = await tenants.SendAsync(request, Cancel);
            (await CodeAsync(response)).ShouldBe(ProblemCodes.TenantForbidden, path);
        }

        using var operators = Http(await KeyAsync("default", AccessScopes.Admin));
        (await operators.GetAsync("/v1/queues", Cancel)).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_rotated_key_keeps_its_old_text_for_as_long_as_was_asked_and_a_revoked_one_ends()
    {
        using var admin = Http(await KeyAsync("default", AccessScopes.Admin));
        using var made = await admin.PostAsJsonAsync("/v1/keys", new { name = "rotated", scopes = new[] { "read" } }, Cancel);
        made.StatusCode.ShouldBe(HttpStatusCode.Created);
        var key = (await made.Content.ReadFromJsonAsync<ApiKeyView>(QueueMaaSJson.Relaxed, Cancel))!;
        (await admin.GetStringAsync("/v1/keys", Cancel)).ShouldNotContain(key.Secret!);

        var second = await RotateAsync(admin, key.Id, keepOldSeconds: 60);
        (await StatusAsync(key.Secret!), await StatusAsync(second)).ShouldBe((HttpStatusCode.OK, HttpStatusCode.OK));

        var third = await RotateAsync(admin, key.Id, keepOldSeconds: 0);
        (await StatusAsync(key.Secret!), await StatusAsync(second), await StatusAsync(third)).ShouldBe((HttpStatusCode.Unauthorized, HttpStatusCode.Unauthorized, HttpStatusCode.OK));

        (await admin.DeleteAsync($"/v1/keys/{key.Id}", Cancel)).EnsureSuccessStatusCode();
        (await StatusAsync(third)).ShouldBe(HttpStatusCode.Unauthorized);
        (await StatusAsync("qm_0123456789abcdef_" + new string('0', 64))).ShouldBe(HttpStatusCode.Unauthorized);
        (await StatusAsync("sk-something")).ShouldBe(HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task Acts_of_administration_stand_in_the_audit_trail_for_good()
    {
        var key = await KeyAsync("default", AccessScopes.Admin, AccessScopes.Models, AccessScopes.Read);
        using var http = Http(key);
        using var deployed = await http.PutAsJsonAsync("/v1/models/double/aliases/audited", new { version = 1 }, Cancel);
        deployed.EnsureSuccessStatusCode();
        using var refused = await http.PutAsJsonAsync("/v1/models/double/aliases/audited", new { version = 999 }, Cancel);
        refused.StatusCode.ShouldBe(HttpStatusCode.NotFound);

        var entries = (await http.GetFromJsonAsync<Page<AuditEntry>>("/v1/audit", QueueMaaSJson.Relaxed, Cancel))!.Items.Where(entry => entry.Actor == $"key {KeyOffice.IdOf(key)}");
        entries.Select(static entry => (entry.Action, entry.Subject, entry.Outcome)).ShouldBe([("model.deploy", "double/audited", ProblemCodes.ModelNotFound), ("model.deploy", "double/audited", "done")]);

        await using var context = await service.Services.GetRequiredService<IDbContextFactory<QueueMaaSDbContext>>().CreateDbContextAsync(Cancel);
        var changed = await Should.ThrowAsync<System.Data.Common.DbException>(context.Database.ExecuteSqlRawAsync("update audit_log set outcome = 'nothing'", Cancel));
        changed.Message.ShouldContain("append-only");
        (await Should.ThrowAsync<System.Data.Common.DbException>(context.Database.ExecuteSqlRawAsync("delete from audit_log", Cancel))).Message.ShouldContain("append-only");
    }

    [Theory]
    [InlineData("POST", "/v1/jobs", "JOB")]
    [InlineData("POST", "/v1/groups", """{"id":"moving","jobs":[JOB]}""")]
    [InlineData("PUT", "/v1/schedules/moving", """{"cron":"0 3 1 1 *","job":JOB}""")]
    public async Task A_key_that_may_only_submit_cannot_hand_in_what_moves_an_alias(string method, string path, string body)
    {
        using var http = Http(await KeyAsync("default", AccessScopes.Submit, AccessScopes.Read));
        string[] jobs =
        [
            """{"kind":"promotion","input":{"model":"double@1","alias":"moved","gate":{"latency":{"p99Ms":60000}}}}""",
            """{"kind":"training","input":{"model":"double","dataset":"images","deploy":"moved"}}""",
            """{"kind":"sweep","input":{"training":{"dataset":"images","Deploy":"moved"},"search":{"method":"grid","space":{"epochs":{"values":[1,2]}}},"register":"double"}}""",
        ];
        foreach (var job in jobs)
        {
            using var request = new HttpRequestMessage(HttpMethod.Parse(method), path) { Content = new StringContent(body.Replace("JOB", job, StringComparison.Ordinal), Encoding.UTF8, "application/json") };
            using var response = await http.SendAsync(request, Cancel);
            response.StatusCode.ShouldBe(HttpStatusCode.Forbidden, job);
            var problem = JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel));
            problem.GetProperty("code").GetString().ShouldBe(ProblemCodes.ScopeMissing);
            problem.GetProperty("detail").GetString()!.ShouldContain("needs a caller with the scope `models` beside `submit`; this one has `submit`, `read`");
        }
    }

    [Fact]
    public async Task A_promotion_that_is_submitted_as_a_job_stands_in_the_audit_trail_with_its_caller()
    {
        var key = await KeyAsync("default", AccessScopes.Admin, AccessScopes.Models, AccessScopes.Submit, AccessScopes.Read);
        using var http = Http(key);
        await SendAsync(http, HttpMethod.Post, "/v1/jobs", """{"kind":"promotion","input":{"model":"double@1","alias":"asked","gate":{"latency":{"p99Ms":60000}}}}""");
        using var refused = await http.PostAsync("/v1/jobs", new StringContent("""{"kind":"promotion","input":{"model":"double@999","alias":"asked","gate":{"latency":{"p99Ms":60000}}}}""", Encoding.UTF8, "application/json"), Cancel);
        refused.StatusCode.ShouldBe(HttpStatusCode.NotFound);

        var entries = (await http.GetFromJsonAsync<Page<AuditEntry>>("/v1/audit", QueueMaaSJson.Relaxed, Cancel))!.Items.Where(entry => entry.Actor == $"key {KeyOffice.IdOf(key)}");
        entries.Select(static entry => (entry.Action, entry.Subject, entry.Outcome)).ShouldBe([("model.promotion.request", "double@999", ProblemCodes.ModelNotFound), ("model.promotion.request", "double@1", "done")]);
    }

    [Fact]
    public async Task Grpc_asks_for_a_key_and_computes_with_the_models_of_its_tenant()
    {
        using var channel = GrpcChannel.ForAddress($"http://{service.GrpcAddress}");
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(channel);
        var own = new Metadata { { "authorization", $"Bearer {await KeyAsync("default", AccessScopes.Submit)}" } };
        var others = new Metadata { { "authorization", $"Bearer {await KeyAsync("other", AccessScopes.Submit)}" } };

        (await client.ServerLiveAsync(new ServerLiveRequest(), cancellationToken: Cancel)).Live.ShouldBeTrue();
        (await Should.ThrowAsync<RpcException>(client.ModelMetadataAsync(new ModelMetadataRequest { Name = "double" }, cancellationToken: Cancel).ResponseAsync)).StatusCode.ShouldBe(StatusCode.Unauthenticated);
        (await client.ModelMetadataAsync(new ModelMetadataRequest { Name = "double" }, own, cancellationToken: Cancel)).Name.ShouldBe("double");
        (await Should.ThrowAsync<RpcException>(client.ModelMetadataAsync(new ModelMetadataRequest { Name = "double" }, others, cancellationToken: Cancel).ResponseAsync)).StatusCode.ShouldBe(StatusCode.NotFound);
    }

    [Theory]
    [InlineData("""{"name":"x","scopes":[]}""", "scopes")]
    [InlineData("""{"name":"x","scopes":["root"]}""", "scopes")]
    [InlineData("""{"name":"","scopes":["read"]}""", "name")]
    [InlineData("""{"name":"x","scopes":["read"],"tenant":"No Name"}""", "tenant")]
    [InlineData("""{"name":"x","scopes":["read"],"expiresAt":"2020-01-01T00:00:00Z"}""", "expiresAt")]
    public async Task A_key_that_makes_no_sense_is_refused(string body, string path)
    {
        using var admin = Http(await KeyAsync("default", AccessScopes.Admin));
        using var response = await admin.PostAsync("/v1/keys", new StringContent(body, Encoding.UTF8, "application/json"), Cancel);
        response.StatusCode.ShouldBe(HttpStatusCode.UnprocessableEntity);
        JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel)).GetProperty("details").GetProperty("path").GetString().ShouldBe(path);
    }

    private async Task<Dictionary<string, string>> MakeOneOfEachAsync(HttpClient owner)
    {
        var api = new QueueMaaSClient(owner);
        await api.UploadModelAsync("owners-model", new MemoryStream(TestModels.Double()), Cancel);
        var dataset = await api.UploadDatasetAsync("owners-images", new MemoryStream(TestImages.Shapes(trainPerClass: 2, testPerClass: 1, corrupt: 0)), Cancel);
        var job = await api.SubmitAsync(QueueMaaSClient.Inference(new InferenceInput { Model = "owners-model", Inputs = [Requests.Row(1, 2)] }), cancellationToken: Cancel);
        var group = await SendAsync(owner, HttpMethod.Post, "/v1/groups", """{"id":"owners-group","jobs":[{"kind":"inference","input":{"model":"owners-model","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}}]}""");
        await SendAsync(owner, HttpMethod.Put, "/v1/schedules/owners-schedule", """{"cron":"0 3 * * *","timeZone":"UTC","job":{"kind":"inference","input":{"model":"owners-model","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}}}""");
        var endpoint = await SendAsync(owner, HttpMethod.Post, "/v1/webhook-endpoints", $$"""{"url":"{{service.Webhooks.Url("/owners")}}","events":["job.completed"]}""");
        using var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new ByteArrayContent(Encoding.UTF8.GetBytes("""{"custom_id":"a","method":"POST","url":"/v1/inference","body":{"model":"owners-model","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}}""")), "file", "in.jsonl" } };
        using var uploaded = await owner.PostAsync("/v1/files", form, Cancel);
        var file = JsonElement.Parse(await uploaded.EnsureSuccessStatusCode().Content.ReadAsStringAsync(Cancel)).GetProperty("id").GetString()!;
        var batch = await SendAsync(owner, HttpMethod.Post, "/v1/batches", $$"""{"input_file_id":"{{file}}","endpoint":"/v1/inference","completion_window":"24h"}""");
        var failing = await SendAsync(owner, HttpMethod.Post, "/v1/jobs", """{"kind":"batch","maxAttempts":1,"input":{"model":"owners-model","artifact":"ARTIFACT"}}""".Replace("ARTIFACT", (await api.UploadArtifactAsync(new MemoryStream([1, 2, 3]), Cancel)).Id, StringComparison.Ordinal));
        await api.WaitAsync(failing.GetProperty("id").GetString()!, Cancel);
        var key = (await SendAsync(owner, HttpMethod.Post, "/v1/keys", """{"name":"owners key","scopes":["read"]}""")).GetProperty("id").GetString()!;
        await api.WaitAsync(job.Id, Cancel);
        var deliveries = await SendAsync(owner, HttpMethod.Post, $"/v1/webhook-endpoints/{endpoint.GetProperty("id").GetString()}/test", "{}");
        _ = group;
        return new(StringComparer.Ordinal)
        {
            ["/v1/jobs/{id}"] = job.Id,
            ["/v1/groups/{id}"] = "owners-group",
            ["/v1/schedules/{name}"] = "owners-schedule",
            ["/v1/dead-letters/{id}"] = failing.GetProperty("id").GetString()!,
            ["/v1/webhook-endpoints/{id}"] = endpoint.GetProperty("id").GetString()!,
            ["/v1/webhook-deliveries/{id}"] = deliveries.GetProperty("id").GetString()!,
            ["/v1/models/{name}"] = "owners-model",
            ["/v1/models/{reference}"] = "owners-model",
            ["/v1/datasets/{name}"] = dataset.Name,
            ["/v1/datasets/{reference}"] = dataset.Name,
            ["/v1/files/{id}"] = file,
            ["/v1/batches/{id}"] = batch.GetProperty("id").GetString()!,
            ["/v1/keys/{id}"] = key,
            ["/v1/queues/{kind}"] = "nothing",
            ["/v2/models/{name}"] = "owners-model",
        };
    }

    private static async Task<JsonElement> SendAsync(HttpClient http, HttpMethod method, string path, string body)
    {
        using var request = new HttpRequestMessage(method, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        using var response = await http.SendAsync(request, Cancel);
        var text = await response.Content.ReadAsStringAsync(Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue($"{method} {path}: {text}");
        return JsonElement.Parse(text);
    }

    private static async Task<string> RotateAsync(HttpClient admin, string id, int keepOldSeconds) =>
        (await SendAsync(admin, HttpMethod.Post, $"/v1/keys/{id}/rotate", $$"""{"keepOldSeconds":{{keepOldSeconds}}}""")).GetProperty("secret").GetString()!;

    private async Task<HttpStatusCode> StatusAsync(string key)
    {
        using var http = Http(key);
        using var response = await http.GetAsync("/v1/jobs", Cancel);
        return response.StatusCode;
    }

    private async Task<string> KeyAsync(string tenant, params string[] scopes) =>
        (await service.Services.GetRequiredService<KeyOffice>().CreateAsync(new NewApiKey { Name = "test", Tenant = tenant, Scopes = scopes }, "test", Cancel)).Secret!;

    private HttpClient Http(string key) => new() { BaseAddress = service.Http.BaseAddress, Timeout = TimeSpan.FromMinutes(1), DefaultRequestHeaders = { Authorization = new("Bearer", key) } };

    private static async Task<string?> CodeAsync(HttpResponseMessage response) => JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel)).GetProperty("code").GetString();

    private IEnumerable<RouteEndpoint> Routes() => service.Services.GetServices<EndpointDataSource>().SelectMany(static source => source.Endpoints).OfType<RouteEndpoint>().Where(static route => route.RoutePattern.RawText != "{**catchall}").Distinct();

    /// <summary>Every route with its methods, the first parameter filled in by <paramref name="name"/> of the pattern up to it, the others by a number.</summary>
    private IEnumerable<Call> Calls(Func<string, string> name)
    {
        foreach (var route in Routes().Where(static route => !route.RoutePattern.RawText!.Contains("GRPCInferenceService", StringComparison.Ordinal)))
        {
            var pattern = "/" + route.RoutePattern.RawText!.Trim('/');
            var hasName = route.RoutePattern.Parameters.Count > 0;
            var first = hasName ? pattern[..(pattern.IndexOf('}', StringComparison.Ordinal) + 1)] : "";
            var path = pattern;
            while (path.IndexOf('{', StringComparison.Ordinal) is >= 0 and var start)
                path = path[..start] + (path == pattern ? name(first) : "1") + path[(path.IndexOf('}', start) + 1)..];
            foreach (var method in route.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"])
                yield return new(HttpMethod.Parse(method), pattern, path, hasName, route.Metadata.GetMetadata<OpenToAllAttribute>() is not null);
        }
    }

    private sealed record Call(HttpMethod Method, string Pattern, string Path, bool HasName, bool IsOpen);
}
