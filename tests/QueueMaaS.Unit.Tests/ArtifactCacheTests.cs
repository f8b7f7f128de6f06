using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using QueueMaaS.Storage.Artifacts.S3;

namespace QueueMaaS.Unit.Tests;

/// <summary>Copies of artifacts on this machine.</summary>
public sealed class ArtifactCacheTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("queuemaas-cache-").FullName;
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task The_copies_used_least_recently_make_room_but_not_those_in_use()
    {
        var cache = Cache(limit: 250);
        foreach (var name in "abcd")
            await GetAsync(cache, name, 100);
        // All of them may be opened yet.
        cache.Trim().ShouldBe(400);
        _time.Advance(ArtifactCache.Grace + TimeSpan.FromSeconds(1));
        cache.Find(Hash('a')).ShouldNotBeNull();
        await using (File.OpenRead(Path.Combine(_folder, "bb", Hash('b'))))
        {
            cache.Trim().ShouldBe(200, "a was used, b is open");
            Exists(cache, "abcd").ShouldBe("ab");
        }

        _time.Advance(ArtifactCache.Grace + TimeSpan.FromSeconds(1));
        await GetAsync(cache, 'e', 1000);
        cache.Trim().ShouldBe(1000, "larger than the limit, and in use");
        Exists(cache, "abcde").ShouldBe("e");
    }

    [Fact]
    public async Task What_readers_unpack_beside_a_copy_counts_and_goes_with_it()
    {
        var cache = Cache(limit: 150);
        var path = await GetAsync(cache, 'a', 100);
        Directory.CreateDirectory($"{path}.unpacked/inner");
        await File.WriteAllBytesAsync($"{path}.unpacked/inner/weights.bin", new byte[100], TestContext.Current.CancellationToken);
        cache.Trim().ShouldBe(200);
        _time.Advance(ArtifactCache.Grace + TimeSpan.FromSeconds(1));
        cache.Trim().ShouldBe(0);
        Directory.Exists($"{path}.unpacked").ShouldBeFalse();
    }

    [Fact]
    public async Task A_copy_that_many_ask_for_is_fetched_once_and_a_failed_fetch_is_tried_again()
    {
        var cache = Cache(limit: 1000);
        var (fetches, go) = (0, new TaskCompletionSource());
        async Task Fetch(string file)
        {
            Interlocked.Increment(ref fetches);
            await go.Task;
            await File.WriteAllBytesAsync(file, new byte[10]);
        }

        var asking = Enumerable.Range(0, 8).Select(_ => cache.GetAsync(Hash('a'), Fetch, CancellationToken.None)).ToArray();
        using var impatient = new CancellationTokenSource();
        var leaving = cache.GetAsync(Hash('a'), Fetch, impatient.Token);
        await impatient.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => leaving);
        go.SetException(new IOException("cut"));
        foreach (var one in asking)
            await Should.ThrowAsync<IOException>(() => one);
        fetches.ShouldBe(1);
        cache.Find(Hash('a')).ShouldBeNull();
        Directory.GetFiles(Path.Combine(_folder, "incoming")).ShouldBeEmpty();

        go = new TaskCompletionSource();
        go.SetResult();
        (await cache.GetAsync(Hash('a'), Fetch, CancellationToken.None)).ShouldBe(cache.Find(Hash('a')));
        fetches.ShouldBe(2);
    }

    private static string Hash(char letter) => new(letter, 64);

    private static string Exists(ArtifactCache cache, string names) => string.Concat(names.Where(name => cache.Find(Hash(name)) is not null));

    private static Task<string> GetAsync(ArtifactCache cache, char name, int bytes) =>
        cache.GetAsync(Hash(name), file => File.WriteAllBytesAsync(file, new byte[bytes]), CancellationToken.None);

    private ArtifactCache Cache(long limit) => new(_folder, limit, _time, NullLogger<ArtifactCache>.Instance);
}
