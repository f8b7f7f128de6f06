using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Jobs;

/// <summary>A tenant's webhook endpoints, their deliveries, and sending those again.</summary>
internal static class WebhookRoutes
{
    private const int MaxBytes = 64 * 1024;

    public static void MapWebhooks(this IEndpointRouteBuilder routes)
    {
        var endpoints = routes.MapGroup("/v1/webhook-endpoints").WithTags("Webhooks").WithScopes([AccessScopes.Read], [AccessScopes.Submit]);
        endpoints.MapPost("", CreateAsync).Accepts<WebhookEndpointDefinition>("application/json").Produces<WebhookEndpointView>(StatusCodes.Status201Created).WithSummary("Make a webhook endpoint").WithDescription("The answer shows the signing secret; no other does. With `signature` `ed25519` it shows the public key, as every other does, and the private key never leaves the service.");
        endpoints.MapGet("", ListAsync).Produces<IReadOnlyList<WebhookEndpointView>>().WithSummary("List webhook endpoints");
        endpoints.MapGet("{id}", GetAsync).Produces<WebhookEndpointView>().WithSummary("Get a webhook endpoint");
        endpoints.MapPut("{id}", ReplaceAsync).Accepts<WebhookEndpointDefinition>("application/json").Produces<WebhookEndpointView>().WithSummary("Replace a webhook endpoint").WithDescription("`\"disabled\":false` lets one go on that was disabled. Its secret stays, unless one is given.");
        endpoints.MapDelete("{id}", DeleteAsync).Produces(StatusCodes.Status204NoContent).WithSummary("Delete a webhook endpoint");
        endpoints.MapPost("{id}/rotate", RotateAsync).Accepts<RotateSecretRequest>("application/json").Produces<WebhookEndpointView>().WithSummary("Give an endpoint a new signing secret").WithDescription("For a while requests carry a signature by each.");
        endpoints.MapPost("{id}/test", TestAsync).Produces<DeliveryView>(StatusCodes.Status202Accepted).WithSummary("Send a test request to an endpoint");
        endpoints.MapPost("{id}/replay", ReplaySinceAsync).Accepts<ReplayDeliveriesRequest>("application/json").Produces<ReplayDeliveriesResult>().WithSummary("Send deliveries again since a moment");
        endpoints.MapGet("{id}/deliveries", DeliveriesAsync).Produces<IReadOnlyList<DeliveryView>>().WithSummary("An endpoint's latest deliveries, with each request and response");
        routes.MapPost("/v1/webhook-deliveries/{id}/replay", ReplayAsync).WithScope(AccessScopes.Submit).Produces(StatusCodes.Status202Accepted).WithTags("Webhooks").WithSummary("Send one delivery again");
    }

    private static async Task<IResult> CreateAsync(Caller caller, HttpRequest request, IWebhookStore store, IWebhookTargetPolicy targets, TimeProvider time, CancellationToken cancellationToken)
    {
        var definition = await ReadAsync<WebhookEndpointDefinition>(request, cancellationToken);
        var now = time.GetUtcNow();
        var secret = SecretOf(definition.Secret, definition.Signature, WebhookSignatureKind.Hmac);
        var endpoint = new WebhookEndpoint { Id = $"we_{Ulid.NewUlid(now)}", Tenant = caller.Tenant, Url = "", Events = "", Secrets = Secrets([new EndpointSecret(secret, null)]), CreatedAt = now };
        Apply(endpoint, definition, targets, now);
        await store.PutEndpointAsync(endpoint, cancellationToken);
        return Results.Created($"/v1/webhook-endpoints/{endpoint.Id}", Show(endpoint, now) with { Secret = Shown(secret) });
    }

    private static async Task<IReadOnlyList<WebhookEndpointView>> ListAsync(Caller caller, IWebhookStore store, TimeProvider time, CancellationToken cancellationToken) =>
        [.. (await store.EndpointsAsync(caller.Tenant, cancellationToken)).Select(endpoint => Show(endpoint, time.GetUtcNow()))];

    private static async Task<WebhookEndpointView> GetAsync(Caller caller, string id, IWebhookStore store, TimeProvider time, CancellationToken cancellationToken) =>
        Show(await FindAsync(caller, id, store, cancellationToken), time.GetUtcNow());

    private static async Task<WebhookEndpointView> ReplaceAsync(Caller caller, string id, HttpRequest request, IWebhookStore store, IWebhookTargetPolicy targets, TimeProvider time, CancellationToken cancellationToken)
    {
        var endpoint = await FindAsync(caller, id, store, cancellationToken);
        var definition = await ReadAsync<WebhookEndpointDefinition>(request, cancellationToken);
        Apply(endpoint, definition, targets, time.GetUtcNow());
        if (definition.Secret is null && definition.Signature is { } kind && kind != KindOf(endpoint))
            throw new ProblemException(ProblemCodes.InvalidValue, $"The endpoint is signed by `{Name(KindOf(endpoint))}`. POST /v1/webhook-endpoints/{id}/rotate with `signature` changes that, and for a while signs both ways.", ("path", "signature"));
        if (definition.Secret is { } secret)
            endpoint.Secrets = Secrets([new EndpointSecret(secret, null)]);
        await store.PutEndpointAsync(endpoint, cancellationToken);
        return Show(endpoint, time.GetUtcNow());
    }

    private static async Task<IResult> DeleteAsync(Caller caller, string id, IWebhookStore store, CancellationToken cancellationToken) =>
        await store.DeleteEndpointAsync(caller.Tenant, id, cancellationToken) ? Results.NoContent() : throw NotFound(id);

    private static async Task<WebhookEndpointView> RotateAsync(Caller caller, string id, HttpRequest request, IWebhookStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        var endpoint = await FindAsync(caller, id, store, cancellationToken);
        var rotation = await ReadAsync<RotateSecretRequest>(request, cancellationToken);
        if (rotation.KeepOldHours is { } hours && !(hours is >= 0 and <= 720))
            throw new ProblemException(ProblemCodes.InvalidValue, "`keepOldHours` must be hours from 0 to 720.", ("path", "keepOldHours"));
        CheckSecret(rotation.Secret, rotation.Signature);
        var now = time.GetUtcNow();
        var until = now + TimeSpan.FromHours(rotation.KeepOldHours ?? 24);
        var old = Holding(endpoint, now);
        var secret = SecretOf(rotation.Secret, rotation.Signature, KindOf(endpoint));
        endpoint.Secrets = Secrets([new EndpointSecret(secret, null), .. old.Select(known => known with { Until = known.Until < until ? known.Until : until })]);
        await store.PutEndpointAsync(endpoint, cancellationToken);
        return Show(endpoint, now) with { Secret = Shown(secret) };
    }

    private static async Task<IResult> TestAsync(Caller caller, string id, IWebhookStore store, IJobSignals signals, TimeProvider time, CancellationToken cancellationToken)
    {
        var endpoint = await FindAsync(caller, id, store, cancellationToken);
        var delivery = EndpointDeliveries.About(endpoint, WebhookTypes.Test, $"test:{Ulid.NewUlid(time.GetUtcNow())}", """{"message":"This is a test. Nothing has happened to any job."}""", time.GetUtcNow());
        await store.AddAsync(delivery, cancellationToken);
        await signals.PublishAsync([new JobChange(delivery.JobId, JobState.Succeeded, 0)], cancellationToken);
        return Results.Accepted($"/v1/webhook-endpoints/{endpoint.Id}/deliveries", DeliveryView.Of(delivery, []));
    }

    private static async Task<ReplayDeliveriesResult> ReplaySinceAsync(Caller caller, string id, HttpRequest request, IWebhookStore store, CancellationToken cancellationToken)
    {
        var endpoint = await FindAsync(caller, id, store, cancellationToken);
        var replay = await ReadAsync<ReplayDeliveriesRequest>(request, cancellationToken);
        return new ReplayDeliveriesResult(await store.ReplaySinceAsync(caller.Tenant, endpoint.Id, replay.Since.ToUniversalTime(), replay.OnlyFailed ?? false, cancellationToken));
    }

    private static async Task<IReadOnlyList<DeliveryView>> DeliveriesAsync(Caller caller, string id, int? limit, IWebhookStore store, CancellationToken cancellationToken)
    {
        var endpoint = await FindAsync(caller, id, store, cancellationToken);
        return [.. (await store.OfEndpointAsync(caller.Tenant, endpoint.Id, Requests.Limit(limit), cancellationToken)).Select(entry => DeliveryView.Of(entry.Delivery, entry.Tries))];
    }

    private static async Task<IResult> ReplayAsync(Caller caller, string id, IWebhookStore store, CancellationToken cancellationToken) => await store.ReplayAsync(caller.Tenant, id, cancellationToken)
        ? Results.Accepted()
        : throw new ProblemException(ProblemCodes.DeliveryNotFound, $"There is no webhook delivery `{id}`.", ("id", id));

    private static void Apply(WebhookEndpoint endpoint, WebhookEndpointDefinition definition, IWebhookTargetPolicy targets, DateTimeOffset now)
    {
        targets.CheckUrl(definition.Url, "url");
        CheckSecret(definition.Secret, definition.Signature);
        if (definition.Events is { } named && (named.Count == 0 || named.Any(name => !WebhookTypes.All.Contains(name))))
            throw new ProblemException(ProblemCodes.InvalidValue, $"`events` must name some of {string.Join(", ", WebhookTypes.All.Select(name => $"`{name}`"))}, or be left out.", ("path", "events"));
        if (definition.MaxInFlight is < 1 or > 100)
            throw new ProblemException(ProblemCodes.InvalidValue, "`maxInFlight` must be a whole number from 1 to 100.", ("path", "maxInFlight"));
        if (definition.Description is { Length: > 200 })
            throw new ProblemException(ProblemCodes.InvalidValue, "`description` must have at most 200 characters.", ("path", "description"));
        endpoint.Url = definition.Url;
        endpoint.Events = $",{string.Join(',', definition.Events ?? [WebhookTypes.Completed, WebhookTypes.GroupCompleted])},";
        endpoint.Kinds = definition.Kinds is { Count: > 0 } kinds ? $",{string.Join(',', kinds)}," : null;
        endpoint.MaxInFlight = definition.MaxInFlight;
        endpoint.IncludeOutput = definition.IncludeOutput ?? false;
        endpoint.Description = definition.Description;
        if (definition.Disabled == true && endpoint.DisabledAt is null)
            (endpoint.DisabledAt, endpoint.DisabledReason) = (now, "disabled by request");
        else if (definition.Disabled == false)
            (endpoint.DisabledAt, endpoint.DisabledReason, endpoint.FailingSince) = (null, null, null);
    }

    private static void CheckSecret(string? secret, WebhookSignatureKind? signature)
    {
        if (secret is null)
            return;
        var kind = signature ?? (WebhookSigningKey.IsMeantAsKey(secret) ? WebhookSignatureKind.Ed25519 : WebhookSignatureKind.Hmac);
        if (kind == WebhookSignatureKind.Hmac && !WebhookSignature.IsSecret(secret))
            throw new ProblemException(ProblemCodes.InvalidValue, "`secret` must be `whsec_` and base64 of 24 to 64 bytes.", ("path", "secret"));
        if (kind == WebhookSignatureKind.Ed25519 && !WebhookSigningKey.IsKey(secret))
            throw new ProblemException(ProblemCodes.InvalidValue, "`secret` must be an ed25519 private key: `whsk_` and base64 of its 32 bytes, or of 64 with the public key that belongs to it after them.", ("path", "secret"));
    }

    private static string SecretOf(string? given, WebhookSignatureKind? signature, WebhookSignatureKind usual) =>
        given ?? ((signature ?? usual) == WebhookSignatureKind.Ed25519 ? WebhookSigningKey.New() : WebhookSignature.NewSecret());

    /// <summary>Nobody but the service needs a private key.</summary>
    private static string? Shown(string secret) => WebhookSigningKey.IsKey(secret) ? null : secret;

    private static EndpointSecret[] Holding(WebhookEndpoint endpoint, DateTimeOffset now) =>
        [.. JsonSerializer.Deserialize<EndpointSecret[]>(endpoint.Secrets, QueueMaaSJson.Relaxed)!.Where(secret => secret.Until is null || secret.Until > now)];

    /// <summary>That of the newest secret.</summary>
    private static WebhookSignatureKind KindOf(WebhookEndpoint endpoint) =>
        WebhookSigningKey.IsKey(JsonSerializer.Deserialize<EndpointSecret[]>(endpoint.Secrets, QueueMaaSJson.Relaxed)![0].Secret) ? WebhookSignatureKind.Ed25519 : WebhookSignatureKind.Hmac;

    private static string Name(WebhookSignatureKind kind) => kind == WebhookSignatureKind.Hmac ? "hmac" : "ed25519";

    private static string Secrets(EndpointSecret[] secrets) => JsonSerializer.Serialize(secrets, QueueMaaSJson.Relaxed);

    private static WebhookEndpointView Show(WebhookEndpoint endpoint, DateTimeOffset now) => new()
    {
        Id = endpoint.Id,
        Url = endpoint.Url,
        Events = endpoint.Events.Split(',', StringSplitOptions.RemoveEmptyEntries),
        Kinds = endpoint.Kinds?.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(Enum.Parse<JobKind>).ToArray(),
        MaxInFlight = endpoint.MaxInFlight,
        IncludeOutput = endpoint.IncludeOutput,
        Description = endpoint.Description,
        CreatedAt = endpoint.CreatedAt,
        DisabledAt = endpoint.DisabledAt,
        DisabledReason = endpoint.DisabledReason,
        FailingSince = endpoint.FailingSince,
        Signature = KindOf(endpoint),
        PublicKeys = Holding(endpoint, now).Where(static secret => WebhookSigningKey.IsKey(secret.Secret)).Select(static secret => new WebhookPublicKey(WebhookSigningKey.PublicKeyOf(secret.Secret), secret.Until)).ToArray() is { Length: > 0 } keys ? keys : null,
    };

    private static async Task<T> ReadAsync<T>(HttpRequest request, CancellationToken cancellationToken) where T : class
    {
        var body = await Requests.ReadBodyAsync(request, MaxBytes, cancellationToken);
        return SubmissionReader.ReadBody<T>(body.Length == 0 ? "{}"u8.ToArray() : body);
    }

    private static async Task<WebhookEndpoint> FindAsync(Caller caller, string id, IWebhookStore store, CancellationToken cancellationToken) =>
        await store.FindEndpointAsync(caller.Tenant, id, cancellationToken) ?? throw NotFound(id);

    private static ProblemException NotFound(string id) => new(ProblemCodes.EndpointNotFound, $"There is no webhook endpoint `{id}`.", ("id", id));
}
