using System.Net;
using System.Security.Cryptography;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using QueueMaaS.Behaviour.Tests.Faults;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Retention;
using QueueMaaS.Jobs.Settings;
using QueueMaaS.Serving;
using QueueMaaS.Storage.Artifacts.S3;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Artifacts on S3: the store by itself, against a server and connections that fail.</summary>
public sealed class S3StoreCases : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-s3cache-").FullName;
    private readonly List<IDisposable> _connections = [];
    private S3Server _s3 = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _s3 = await S3Server.StartAsync();

    public async ValueTask DisposeAsync()
    {
        foreach (var connection in _connections)
            connection.Dispose();
        await _s3.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_large_artifact_goes_in_parts_and_any_part_of_it_is_read_without_the_rest()
    {
        const int bytes = 96 << 20;
        var (store, _, _) = Store("one");
        var before = GC.GetTotalAllocatedBytes();
        var artifact = await store.PutAsync(new MadeStream(bytes, seed: 1), long.MaxValue, Cancel);

        (GC.GetTotalAllocatedBytes() - before).ShouldBeLessThan(bytes / 2, "the file is never held in memory");
        artifact.Bytes.ShouldBe(bytes);
        _s3.Objects().ShouldBe([$"tests/artifacts/{artifact.Id[7..]}"]);
        _s3.Uploads().ShouldBeEmpty();
        var expected = new byte[bytes];
        await new MadeStream(bytes, seed: 1).ReadExactlyAsync(expected, Cancel);

        // Another machine, without a copy.
        var (other, _, cache) = Store("two");
        await using (var content = await other.OpenAsync(artifact.Id, Cancel))
        {
            content.Length.ShouldBe(bytes);
            foreach (var place in (int[])[bytes - 5, 0, 70_000_001, 12])
            {
                content.Position = place;
                var part = new byte[5];
                await content.ReadExactlyAsync(part, Cancel);
                part.ShouldBe(expected[place..(place + 5)]);
            }

            content.Position = 1;
            (await SHA256.HashDataAsync(content, Cancel)).ShouldBe(SHA256.HashData(expected.AsSpan(1)));
        }

        cache.Find(artifact.Id[7..]).ShouldBeNull();
        (await other.DescribeAsync(artifact.Id, Cancel)).ShouldBe(artifact);
        var paths = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => other.GetFileAsync(artifact.Id, Cancel)));
        paths.Distinct().Count().ShouldBe(1);
        (await File.ReadAllBytesAsync(paths[0], Cancel)).AsSpan().SequenceEqual(expected).ShouldBeTrue();
        await Should.ThrowAsync<ProblemException>(() => other.GetFileAsync("sha256:" + new string('0', 64), Cancel), "artifact_not_found");
    }

    [Fact]
    public async Task Connections_that_are_cut_in_the_middle_cost_time_and_nothing_else()
    {
        const int bytes = 64 << 20;
        await using var proxy = new Proxy("localhost", _s3.Port);
        var (store, _, _) = Store("cut", _s3.SettingsAt(proxy.Port));
        using var enough = new CancellationTokenSource();
        var cuts = 0;
        var cutting = Task.Run(async () =>
        {
            while (!enough.IsCancellationRequested)
            {
                await Task.Delay(150, CancellationToken.None);
                if (cuts < 6)
                    proxy.Cut();
                cuts++;
            }
        }, Cancel);
        var artifact = await store.PutAsync(new MadeStream(bytes, seed: 2), long.MaxValue, Cancel);
        cuts.ShouldBeGreaterThan(0);
        cuts = 0;
        var (reader, _, _) = Store("cut-reader", _s3.SettingsAt(proxy.Port));
        var file = await reader.GetFileAsync(artifact.Id, Cancel);
        await enough.CancelAsync();
        await cutting;

        await using var content = File.OpenRead(file);
        (await SHA256.HashDataAsync(content, Cancel)).ShouldBe(await SHA256.HashDataAsync(new MadeStream(bytes, seed: 2), Cancel));
    }

    [Fact]
    public async Task What_is_broken_off_is_never_seen_and_leaves_nothing_that_the_upkeep_does_not_free()
    {
        var (store, upkeep, _) = Store("half");
        // The sender goes away in the middle.
        await Should.ThrowAsync<IOException>(() => store.PutAsync(new BreakingStream(20 << 20), long.MaxValue, Cancel));
        // The storage goes away in the middle of the parts.
        var proxy = new Proxy("localhost", _s3.Port);
        var (through, _, _) = Store("half-through", [.. _s3.SettingsAt(proxy.Port), "--S3:Retries=0"]);
        var putting = through.PutAsync(new MadeStream(100 << 20, seed: 3), long.MaxValue, Cancel);
        while (_s3.Uploads().Length == 0 && !putting.IsCompleted)
            await Task.Delay(5, Cancel);
        await proxy.DisposeAsync();
        var problem = await Should.ThrowAsync<ProblemException>(() => putting);
        (problem.Problem.Code, problem.IsTransient).ShouldBe((ProblemCodes.ArtifactStorageUnavailable, true));

        _s3.Objects().ShouldBeEmpty();
        _s3.Uploads().Length.ShouldBe(1, "nothing could be said to the storage any more");
        await upkeep.DeleteBrokenUploadsAsync(DateTimeOffset.UtcNow.AddHours(-1), Cancel);
        _s3.Uploads().Length.ShouldBe(1, "it may still go on");
        await upkeep.DeleteBrokenUploadsAsync(DateTimeOffset.UtcNow.AddHours(1), Cancel);
        _s3.Uploads().ShouldBeEmpty();
        Directory.GetFiles(Path.Combine(_folder, "half", "incoming")).ShouldBeEmpty();
    }

    [Fact]
    public async Task The_upkeep_deletes_what_nobody_has_used_and_keeps_what_somebody_has()
    {
        var (store, upkeep, cache) = Store("upkeep");
        var ids = new List<string>();
        for (var i = 0; i < 6; i++)
            ids.Add((await store.PutAsync(new MadeStream(100 + i, seed: i), long.MaxValue, Cancel)).Id);
        foreach (var name in _s3.Objects("tests/"))
            File.SetLastWriteTimeUtc(_s3.FileOf(name), DateTime.UtcNow.AddDays(-9));
        var since = DateTimeOffset.UtcNow.AddDays(-7);
        await upkeep.TouchAsync(ids[0], Cancel);
        // Another process reads one, and is sent one again.
        var (other, _, _) = Store("upkeep-other");
        await using (await other.OpenAsync(ids[1], Cancel))
        {
        }

        await other.PutAsync(new MadeStream(102, seed: 2), long.MaxValue, Cancel);

        var idle = new List<Artifact>();
        await foreach (var artifact in upkeep.ListIdleAsync(since, Cancel))
            idle.Add(artifact);
        idle.Select(artifact => (artifact.Id, artifact.Bytes)).ShouldBe([.. ids.Index().Skip(3).Select(entry => (entry.Item, 100L + entry.Index)).OrderBy(entry => entry.Item, StringComparer.Ordinal)]);
        (await upkeep.DeleteIdleAsync(ids[1], since, Cancel)).ShouldBeFalse();
        (await upkeep.DeleteIdleAsync(ids[4], since, Cancel)).ShouldBeTrue();
        (await upkeep.DeleteIdleAsync(ids[4], since, Cancel)).ShouldBeFalse();
        await store.DeleteAsync(ids[5], Cancel);
        await store.DeleteAsync(ids[5], Cancel);
        cache.Find(ids[4][7..]).ShouldBeNull();
        _s3.Objects("tests/").Length.ShouldBe(8, "an artifact and its time of use each");
        (await Should.ThrowAsync<ProblemException>(() => store.GetFileAsync(ids[4], Cancel))).Problem.Code.ShouldBe(ProblemCodes.ArtifactNotFound);
    }

    [Fact]
    public async Task A_damaged_object_is_not_taken_for_the_artifact()
    {
        var (store, _, _) = Store("damaged");
        var id = (await store.PutAsync(new MadeStream(1000, seed: 9), long.MaxValue, Cancel)).Id;
        var file = _s3.FileOf(_s3.Objects()[0]);
        var bytes = await File.ReadAllBytesAsync(file, Cancel);
        bytes[500] ^= 1;
        await File.WriteAllBytesAsync(file, bytes, Cancel);
        var (other, _, cache) = Store("damaged-other");
        var problem = await Should.ThrowAsync<ProblemException>(() => other.GetFileAsync(id, Cancel));
        problem.Problem.Message.ShouldContain("damaged");
        cache.Find(id[7..]).ShouldBeNull();
    }

    private (S3ArtifactStore Store, S3ArtifactUpkeep Upkeep, ArtifactCache Cache) Store(string cacheName, string[]? settings = null)
    {
        var configuration = new Microsoft.Extensions.Configuration.ConfigurationBuilder();
        Microsoft.Extensions.Configuration.CommandLineConfigurationExtensions.AddCommandLine(configuration, settings ?? _s3.Settings);
        var options = Microsoft.Extensions.Configuration.ConfigurationBinder.Get<S3Options>(configuration.Build().GetSection(S3Options.Section))!;
        var connection = new S3Connection(Options.Create(options), new ServerTrust(Options.Create(new TlsOptions()), TimeProvider.System, NullLogger<ServerTrust>.Instance));
        _connections.Add(connection);
        var cache = new ArtifactCache(Path.Combine(_folder, cacheName), options.CacheBytes, TimeProvider.System, NullLogger<ArtifactCache>.Instance);
        var store = new S3ArtifactStore(connection, cache, TimeProvider.System, NullLogger<S3ArtifactStore>.Instance);
        return (store, new S3ArtifactUpkeep(connection, store, cache), cache);
    }

    /// <summary>A sender that goes away.</summary>
    private sealed class BreakingStream(long after) : Stream
    {
        private long _read;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => _read; set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count) => (_read += count) > after ? throw new IOException("The client reset the request stream.") : count;

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}

/// <summary>A whole service whose artifacts are on S3, while S3 is wrong or away.</summary>
public sealed class S3ServiceCases : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-s3-").FullName;
    private S3Server _s3 = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string[] Common =>
    [
        "--Bus:RabbitMq=", "--Storage:PostgreSql=", "--Storage:Redis=", $"--Storage:DataFolder={Path.Combine(_folder, "data")}", "--urls=http://127.0.0.1:0", "--Jobs:RetryBase=00:00:00.2", "--Jobs:SweepEvery=00:00:00.2", .. _s3.Settings,
    ];

    public async ValueTask InitializeAsync() => _s3 = await S3Server.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _s3.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("--S3:AccessKey=AKSOMEBODYELSE", "does not know the key of S3:AccessKey")]
    [InlineData("--S3:SecretKey=not-the-secret", "S3:SecretKey does not belong to S3:AccessKey")]
    [InlineData("--S3:Bucket=no-such-bucket", "the bucket that S3:Bucket names does not exist")]
    [InlineData("--S3:Endpoint=http://127.0.0.1:9", "it cannot be reached")]
    [InlineData("--S3:Endpoint=http://storage.invalid", "cannot be resolved")]
    public async Task A_storage_that_cannot_be_used_is_said_at_start_by_health_and_to_clients(string wrong, string reason)
    {
        var log = new System.Collections.Concurrent.ConcurrentQueue<string>();
        await using var app = QueueMaaSHost.Build([.. Common, wrong, "--S3:Retries=0"], services => services.AddSingleton<Microsoft.Extensions.Logging.ILoggerProvider>(new ListLog(log)));
        await QueueMaaSHost.PrepareDatabaseAsync(app, Cancel);
        await app.StartAsync(Cancel);
        using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };

        using (var refused = await http.PostAsync("v1/artifacts", new ByteArrayContent(new byte[100]), Cancel))
        {
            refused.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
            refused.Headers.RetryAfter.ShouldNotBeNull();
            var problem = await Requests.ProblemAsync(refused);
            problem.Code.ShouldBe(ProblemCodes.ArtifactStorageUnavailable);
            problem.Detail.ShouldNotContain("S3:");
        }

        using (var missing = await http.GetAsync($"v1/artifacts/sha256:{new string('1', 64)}", Cancel))
            (await Requests.ProblemAsync(missing)).Code.ShouldBe(ProblemCodes.ArtifactStorageUnavailable, "nobody knows whether it is there");
        using var health = await http.GetAsync("health/ready", Cancel);
        health.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        var part = System.Text.Json.JsonElement.Parse(await health.Content.ReadAsStringAsync(Cancel)).GetProperty("checks").GetProperty("artifacts");
        part.GetProperty("status").GetString().ShouldBe("unhealthy");
        part.GetProperty("since").GetDateTimeOffset().ShouldBeLessThanOrEqualTo(DateTimeOffset.UtcNow);
        part.GetProperty("description").GetString()!.ShouldContain(reason);
        part.GetProperty("description").GetString()!.ShouldNotContain("127.0.0.1");
        while (!log.Any(line => line.Contains("Artifacts should be in", StringComparison.Ordinal)))
            await Task.Delay(20, Cancel);
        log.Single(line => line.Contains("Artifacts should be in", StringComparison.Ordinal)).ShouldContain(reason);
        await app.StopAsync(Cancel);
        string.Join('\n', log).ShouldNotContain(_s3.SecretKey);
    }

    [Fact]
    public async Task While_the_storage_is_away_work_waits_without_losing_an_attempt()
    {
        await using var app = QueueMaaSHost.Build([.. Common, "--S3:Retries=0", "--Logging:LogLevel:Default=None"]);
        await QueueMaaSHost.PrepareDatabaseAsync(app, Cancel);
        await app.StartAsync(Cancel);
        using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        var api = new QueueMaaSClient(http);
        await api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        var items = string.Concat(Enumerable.Range(0, 200).Select(i => $$"""{"id":"{{i}}","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[{{i}},1]}]}""" + "\n"));
        var artifact = (await api.UploadArtifactAsync(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(items)), Cancel)).Id;
        var batch = await api.SubmitAsync(QueueMaaSClient.Batch(new BatchInput { Model = "double", Artifact = artifact, ChunkSize = 20 }) with { DelaySeconds = 1 }, cancellationToken: Cancel);
        await _s3.DownAsync();
        // No copy at hand, either: a worker elsewhere has none.
        Directory.Delete(Path.Combine(_folder, "data", "artifact-cache", artifact[7..9]), recursive: true);
        // What is loaded answers on.
        Requests.Values(await api.WaitAsync((await api.SubmitAsync(Requests.Double(1, 2), cancellationToken: Cancel)).Id, Cancel)).ShouldBe([2, 4]);
        var store = app.Services.GetRequiredService<Jobs.Life.IJobStore>();
        Jobs.Life.JobRecord[] waiting;
        do
        {
            await Task.Delay(50, Cancel);
            waiting = [.. (await store.ChildrenAsync(batch.Id, Cancel)), (await store.FindAsync("default", batch.Id, Cancel))!];
            waiting.ShouldAllBe(job => job.State != JobState.Failed && job.State != JobState.Succeeded);
        }
        while (!waiting.Any(job => job.Attempt > job.MaxAttempts));
        waiting.First(job => job.Attempt > job.MaxAttempts).Error!.ShouldContain(ProblemCodes.ArtifactStorageUnavailable);

        await _s3.UpAsync();
        var output = Requests.Output<BatchOutput>(await api.WaitAsync(batch.Id, Cancel));
        (output.Items, output.Failed).ShouldBe((200, 0));
        await app.StopAsync(Cancel);
    }

    [Fact]
    public async Task A_part_of_an_artifact_is_sent_and_the_cleaner_asks_the_database_first()
    {
        await using var app = QueueMaaSHost.Build([.. Common, "--Logging:LogLevel:Default=None"]);
        await QueueMaaSHost.PrepareDatabaseAsync(app, Cancel);
        await app.StartAsync(Cancel);
        using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        var api = new QueueMaaSClient(http);
        await api.UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
        var unused = (await api.UploadArtifactAsync(new MadeStream(1 << 20, seed: 4), Cancel)).Id;
        Directory.Delete(Path.Combine(_folder, "data", "artifact-cache", unused[7..9]), recursive: true);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"v1/artifacts/{unused}") { Headers = { Range = new(1000, 1099) } };
        using (var response = await http.SendAsync(request, Cancel))
        {
            response.StatusCode.ShouldBe(HttpStatusCode.PartialContent);
            var whole = new byte[1 << 20];
            await new MadeStream(1 << 20, seed: 4).ReadExactlyAsync(whole, Cancel);
            (await response.Content.ReadAsByteArrayAsync(Cancel)).ShouldBe(whole[1000..1100]);
        }

        Directory.Exists(Path.Combine(_folder, "data", "artifact-cache", unused[7..9])).ShouldBeFalse();
        foreach (var name in _s3.Objects("tests/"))
            File.SetLastWriteTimeUtc(_s3.FileOf(name), DateTime.UtcNow.AddDays(-365));
        (await app.Services.GetServices<Microsoft.Extensions.Hosting.IHostedService>().OfType<ArtifactCleaner>().Single().CleanAsync(Cancel)).ShouldBe(1);
        _s3.Objects().Length.ShouldBe(1, "the model stays");
        await app.StopAsync(Cancel);
    }

    [Fact]
    public async Task A_backup_names_the_bucket_and_a_restore_uses_it_or_fills_one()
    {
        string[] files = ["--Bus:RabbitMq=", "--Storage:PostgreSql=", "--Storage:Redis=", $"--Storage:DataFolder={Path.Combine(_folder, "files")}"];
        foreach (var settings in (string[][])[files, Common])
        {
            await using var app = QueueMaaSHost.Build([.. settings, "--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=None"]);
            await QueueMaaSHost.PrepareDatabaseAsync(app, Cancel);
            await app.StartAsync(Cancel);
            using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
            await new QueueMaaSClient(http).UploadModelAsync("double", new MemoryStream(TestModels.Double()), Cancel);
            await app.StopAsync(Cancel);
        }

        var backup = Path.Combine(_folder, "backup");
        var (code, output) = await ProgramRun.RunAsync(["backup", backup, .. Common]);
        code.ShouldBe(0, output);
        output.ShouldContain($"no artifacts, which are and stay in s3://{S3Server.Bucket}/tests/");
        string[] target = [.. Common, $"--Storage:DataFolder={Path.Combine(_folder, "target")}"];
        (code, output) = await ProgramRun.RunAsync(["restore", backup, .. files, $"--Storage:DataFolder={Path.Combine(_folder, "target")}"]);
        (code, output).ShouldSatisfyAllConditions(() => code.ShouldBe(1), () => output.ShouldContain("the settings name no bucket"));
        (code, output) = await ProgramRun.RunAsync(["restore", backup, .. target, "--S3:Prefix=elsewhere/"]);
        (code, output).ShouldSatisfyAllConditions(() => code.ShouldBe(1), () => output.ShouldContain("--artifacts-copied"));
        (code, output) = await ProgramRun.RunAsync(["restore", backup, .. target]);
        code.ShouldBe(0, output);

        // From files to S3.
        foreach (var name in _s3.Objects("tests/"))
            File.Delete(_s3.FileOf(name));
        var moved = Path.Combine(_folder, "moved");
        (await ProgramRun.RunAsync(["backup", moved, .. files])).ExitCode.ShouldBe(0);
        (code, output) = await ProgramRun.RunAsync(["restore", moved, .. Common, $"--Storage:DataFolder={Path.Combine(_folder, "second")}"]);
        code.ShouldBe(0, output);
        _s3.Objects().Length.ShouldBe(1);
    }

    private sealed class ListLog(System.Collections.Concurrent.ConcurrentQueue<string> lines) : Microsoft.Extensions.Logging.ILoggerProvider, Microsoft.Extensions.Logging.ILogger
    {
        public Microsoft.Extensions.Logging.ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(Microsoft.Extensions.Logging.LogLevel logLevel) => true;

        public void Log<TState>(Microsoft.Extensions.Logging.LogLevel logLevel, Microsoft.Extensions.Logging.EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            lines.Enqueue(formatter(state, exception) + exception);

        public void Dispose()
        {
        }
    }
}
