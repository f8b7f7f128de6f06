using System.CommandLine;
using QueueMaaS.Demo;
using QueueMaaS.Serving;

namespace QueueMaaS.Commands;

/// <summary>The command line: <c>serve</c>, <c>migrate</c>, <c>config</c>, <c>backup</c>, <c>restore</c>, <c>health</c>, <c>keys</c>, <c>demo</c>, <c>perf</c>. What a command does not know goes to the settings.</summary>
internal static class CommandLine
{
    public static RootCommand Create() => new("QueueMaaS: train, deploy and run models through a queue")
    {
        Serve(), MigrateCommand.Create(GuardAsync), ConfigCommand.Create(GuardAsync), BackupCommand.Create(GuardAsync), BackupCommand.CreateRestore(GuardAsync), Health(), KeysCommand.Create(GuardAsync), Demo(), PerfCommand.Create(GuardAsync),
    };

    private static Command Serve()
    {
        var roles = new Option<string?>("--roles") { Description = "api, inference, training, notify or all; with commas between. Default: all, embedded." };
        var command = new Command("serve", "Run the service until Ctrl-C.") { roles };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((result, cancellationToken) => GuardAsync(async () =>
        {
            var app = QueueMaaSHost.Build(Settings(result, ("Roles", result.GetValue(roles))));
            await QueueMaaSHost.PrepareDatabaseAsync(app, cancellationToken);
            await app.RunAsync(cancellationToken);
        }, cancellationToken));
        return command;
    }

    private static Command Health()
    {
        var url = new Option<string>("--url") { Description = "The process to ask.", DefaultValueFactory = _ => "http://127.0.0.1:8080" };
        var command = new Command("health", "Ask a running process whether it is ready; exit code 0 or 1.") { url };
        command.SetAction(async (result, cancellationToken) =>
        {
            try
            {
                using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
                using var response = await http.GetAsync($"{result.GetValue(url)!.TrimEnd('/')}/health/ready", cancellationToken);
                Console.WriteLine(await response.Content.ReadAsStringAsync(cancellationToken));
                return response.IsSuccessStatusCode ? 0 : 1;
            }
            catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
            {
                await Console.Error.WriteLineAsync($"Not ready: {exception.Message}");
                return 1;
            }
        });
        return command;
    }

    private static Command Demo()
    {
        var data = new Option<string?>("--data") { Description = "An image folder or zip (train/<class>/*.jpg), CIFAR-10 binary files or MNIST idx files. Default: a data set of shapes made on the spot." };
        var epochs = new Option<int>("--epochs") { Description = "Passes over the training images.", DefaultValueFactory = _ => 10 };
        var limit = new Option<int?>("--limit") { Description = "Use at most this many images." };
        var servers = new Option<bool>("--servers") { Description = "Use the RabbitMQ, PostgreSQL and Redis of the settings instead of the embedded default." };
        var stay = new Option<bool>("--stay") { Description = "Keep serving the API after the demo, until Ctrl-C." };
        var command = new Command("demo", "Train, deploy and use a model through the queue, end to end.") { data, epochs, limit, servers, stay };
        command.SetAction((result, cancellationToken) => GuardAsync(() => new DemoRun(new DemoSettings(
            result.GetValue(data), result.GetValue(epochs), result.GetValue(limit), result.GetValue(servers), result.GetValue(stay))).RunAsync(cancellationToken), cancellationToken));
        return command;
    }

    private static string[] Settings(ParseResult result, params (string Name, string? Value)[] own) =>
        [.. own.Where(setting => setting.Value is not null).Select(setting => $"--{setting.Name}={setting.Value}"), .. result.UnmatchedTokens];

    /// <summary>Errors of the settings or the demo are one line to a person; everything else keeps its trace for us.</summary>
    private static async Task<int> GuardAsync(Func<Task> run, CancellationToken cancellationToken)
    {
        try
        {
            await run();
            return 0;
        }
        catch (Exception exception) when (exception is OperationCanceledException || cancellationToken.IsCancellationRequested)
        {
            // Whatever a part says while it is being stopped is a consequence of the stop.
            await Console.Error.WriteLineAsync("Stopped.");
            return 130;
        }
        catch (Exception exception) when (exception is SettingsException or Storage.Database.SchemaInUseException or DemoFailedException or Perf.PerfException or Contracts.ProblemException or Microsoft.Extensions.Options.OptionsValidationException)
        {
            await Console.Error.WriteLineAsync(exception.Message);
            return 1;
        }
        catch (IOException exception) when (exception.InnerException is Microsoft.AspNetCore.Connections.AddressInUseException)
        {
            await Console.Error.WriteLineAsync($"{exception.Message.TrimEnd('.')}. Stop the program that listens there, or choose another address, such as Urls=http://127.0.0.1:8090.");
            return 1;
        }
        catch (Exception exception) when (exception is System.Data.Common.DbException || exception.InnerException is System.Data.Common.DbException)
        {
            await Console.Error.WriteLineAsync($"The database cannot be used: {exception.GetBaseException().Message}. Check Storage__PostgreSql, or leave it out for the embedded database.");
            return 1;
        }
    }
}
