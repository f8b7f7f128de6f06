using System.Diagnostics;
using Hangfire;
using Hangfire.PostgreSql;
using Hangfire.PostgreSql.Factories;
using Npgsql;

namespace QueueMaaS.JobBench;

/// <summary>The same no-op jobs through Hangfire on the same PostgreSQL, its server in this process.</summary>
internal sealed class HangfirePeer : IDisposable
{
    private const int Callers = 16;
    private readonly PostgreSqlStorage _storage;
    private readonly BackgroundJobServer _server;
    private readonly BackgroundJobClient _client;

    public HangfirePeer(string postgreSql)
    {
        // Workers that find a job look for the next one at once, and this often where there is none: more often, they would take from the others in their turns.
        var options = new PostgreSqlStorageOptions { QueuePollInterval = TimeSpan.FromMilliseconds(500), PrepareSchemaIfNecessary = true };
        var pool = new NpgsqlConnectionStringBuilder(postgreSql) { MaxPoolSize = 100 };
        _storage = new PostgreSqlStorage(new NpgsqlConnectionFactory(pool.ConnectionString, options), options);
        _server = new BackgroundJobServer(new BackgroundJobServerOptions { WorkerCount = 20, ShutdownTimeout = TimeSpan.FromSeconds(5) }, _storage);
        _client = new BackgroundJobClient(_storage);
    }

    /// <summary>Jobs a second, from the first one handed in to the end of the last one written.</summary>
    public async Task<double> RunAsync(int jobs)
    {
        var before = _storage.GetMonitoringApi().GetStatistics().Succeeded;
        var clock = Stopwatch.StartNew();
        // Its client has no asynchronous calls, so each caller is a thread of its own.
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Factory.StartNew(
            () =>
            {
                for (var i = caller; i < jobs; i += Callers)
                    _client.Create(() => Nothing(), new Hangfire.States.EnqueuedState());
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
        while (_storage.GetMonitoringApi().GetStatistics().Succeeded < before + jobs)
            await Task.Delay(20);
        return jobs / clock.Elapsed.TotalSeconds;
    }

    /// <summary>The job.</summary>
    public static void Nothing()
    {
        // That is all of it.
    }

    public void Dispose() => _server.Dispose();
}
