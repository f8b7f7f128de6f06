using System.CommandLine;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Access;
using QueueMaaS.Serving;

namespace QueueMaaS.Commands;

/// <summary><c>queuemaas keys</c>: makes, lists, rotates and revokes API keys in the configured database, for whoever can reach that.</summary>
internal static class KeysCommand
{
    private const string By = "command line";

    public static Command Create(Func<Func<Task>, CancellationToken, Task<int>> guard) => new("keys", "Make, list, rotate and revoke API keys. Settings as for `serve`.")
    {
        Make(guard), List(guard), Rotate(guard), Revoke(guard),
    };

    private static Command Make(Func<Func<Task>, CancellationToken, Task<int>> guard)
    {
        var name = new Option<string>("--name") { Description = "What the key is for.", Required = true };
        var tenant = new Option<string>("--tenant") { Description = "Whose jobs, models and data it works with.", DefaultValueFactory = static _ => AccessClaims.DefaultTenant };
        var scopes = new Option<string>("--scopes") { Description = "Of submit, read, models and admin, with commas between.", DefaultValueFactory = static _ => "submit,read" };
        var days = new Option<int?>("--expires-days") { Description = "Days until it stops working. Default: never." };
        var command = new Command("create", "Make a key. Its text is shown once, on standard output. From the first key on the service asks for one.") { name, tenant, scopes, days };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((result, cancellationToken) => guard(() => WithServicesAsync(result, async services =>
        {
            var key = await services.GetRequiredService<KeyOffice>().CreateAsync(
                new NewApiKey
                {
                    Name = result.GetValue(name)!,
                    Tenant = result.GetValue(tenant),
                    Scopes = result.GetValue(scopes)!.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
                    ExpiresAt = result.GetValue(days) is { } left ? TimeProvider.System.GetUtcNow().AddDays(left) : null,
                },
                By, cancellationToken);
            await Console.Error.WriteLineAsync($"Key {key.Id} of tenant {key.Tenant} may {string.Join(", ", key.Scopes)}. Keep its text: it is not shown again.");
            Console.WriteLine(key.Secret);
        }, cancellationToken), cancellationToken));
        return command;
    }

    private static Command List(Func<Func<Task>, CancellationToken, Task<int>> guard)
    {
        var tenant = new Option<string?>("--tenant") { Description = "Of this tenant only." };
        var command = new Command("list", "List keys, without their texts.") { tenant };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((result, cancellationToken) => guard(() => WithServicesAsync(result, async services =>
        {
            var keys = await services.GetRequiredService<IApiKeyStore>().ListAsync(result.GetValue(tenant), cancellationToken);
            if (keys.Count == 0)
                Console.WriteLine("There are no keys: nobody is asked for one.");
            foreach (var key in keys)
                Console.WriteLine($"{key.Id}  {key.Tenant,-16} {key.Scopes,-28} made {key.CreatedAt:yyyy-MM-dd}  {State(key),-24} {key.Name}");
        }, cancellationToken), cancellationToken));
        return command;
    }

    private static Command Rotate(Func<Func<Task>, CancellationToken, Task<int>> guard)
    {
        var id = new Argument<string>("id") { Description = "The key's id, as `keys list` shows it." };
        var keep = new Option<int>("--keep-old-seconds") { Description = "How long the old text works on.", DefaultValueFactory = static _ => 0 };
        var command = new Command("rotate", "Give a key a new text, shown once on standard output.") { id, keep };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((result, cancellationToken) => guard(() => WithServicesAsync(result, async services =>
        {
            var key = await services.GetRequiredService<KeyOffice>().RotateAsync(result.GetValue(id)!, tenant: null, TimeSpan.FromSeconds(Math.Max(0, result.GetValue(keep))), By, cancellationToken);
            Console.WriteLine(key.Secret);
        }, cancellationToken), cancellationToken));
        return command;
    }

    private static Command Revoke(Func<Func<Task>, CancellationToken, Task<int>> guard)
    {
        var id = new Argument<string>("id") { Description = "The key's id, as `keys list` shows it." };
        var command = new Command("revoke", "End a key for good.") { id };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((result, cancellationToken) => guard(() => WithServicesAsync(result, async services =>
        {
            var key = await services.GetRequiredService<KeyOffice>().RevokeAsync(result.GetValue(id)!, tenant: null, By, cancellationToken);
            Console.WriteLine($"Key {key.Id} is revoked. Processes that run take it until Api:KeyCache has passed (5 s as a rule).");
        }, cancellationToken), cancellationToken));
        return command;
    }

    private static string State(ApiKey key) => key.RevokedAt is { } revoked ? $"revoked {revoked:yyyy-MM-dd}" : key.ExpiresAt is { } end ? $"until {end:yyyy-MM-dd HH:mm}" : "works";

    private static async Task WithServicesAsync(ParseResult result, Func<IServiceProvider, Task> run, CancellationToken cancellationToken)
    {
        await using var app = QueueMaaSHost.Build(["--Roles=all", .. result.UnmatchedTokens]);
        await QueueMaaSHost.PrepareDatabaseAsync(app, cancellationToken);
        await run(app.Services);
    }
}
