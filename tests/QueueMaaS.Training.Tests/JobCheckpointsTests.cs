using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Training.Checkpoints;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Tests;

/// <summary>Checkpoints as a job keeps them: the latest good one is always there, whatever fails.</summary>
public sealed class JobCheckpointsTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly Artifacts _artifacts;
    private readonly List<JobEvent> _events = [];
    private bool _standing = true;

    public JobCheckpointsTests() => _artifacts = new(_folder);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Only_so_many_are_kept_and_the_files_of_others_are_removed()
    {
        var checkpoints = Checkpoints();
        for (var epoch = 1; epoch <= 5; epoch++)
            await checkpoints.StoreAsync(Attempt(), File(epoch + 1), keep: 2);
        (await checkpoints.ListAsync("job", default)).Select(c => c.Id).ShouldBe(["epoch-4", "epoch-5"]);
        _artifacts.Count.ShouldBe(2);
        (await checkpoints.FindLatestAsync("job", default))!.Snapshot.State.Epoch.ShouldBe(6);
    }

    [Fact]
    public async Task A_full_disk_leaves_the_one_before_as_it_was_and_says_so()
    {
        var checkpoints = Checkpoints();
        await checkpoints.StoreAsync(Attempt(), File(2), keep: 1);
        _artifacts.Full = true;
        var failed = await Should.ThrowAsync<ProblemException>(() => checkpoints.StoreAsync(Attempt(), File(3), keep: 1));
        failed.Problem.Code.ShouldBe(ProblemCodes.CheckpointFailed);
        failed.IsTransient.ShouldBeTrue();
        failed.Problem.Message.ShouldContain("No space left on device");
        failed.Problem.Message.ShouldContain("'epoch-1', is untouched");
        (await checkpoints.FindLatestAsync("job", default))!.Snapshot.Id.ShouldBe("epoch-1");
    }

    [Fact]
    public async Task A_stale_attempt_changes_nothing()
    {
        var checkpoints = Checkpoints();
        await checkpoints.StoreAsync(Attempt(), File(2), keep: 1);
        _standing = false;
        await Should.ThrowAsync<OperationCanceledException>(() => checkpoints.StoreAsync(Attempt(), File(3), keep: 1));
        (await checkpoints.ListAsync("job", default)).Single().Id.ShouldBe("epoch-1");
        _artifacts.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Where_the_latest_is_damaged_or_gone_the_one_before_is_gone_on_from()
    {
        var checkpoints = Checkpoints();
        for (var epoch = 1; epoch <= 3; epoch++)
            await checkpoints.StoreAsync(Attempt(), File(epoch + 1), keep: 3);
        var all = await checkpoints.ListAsync("job", default);
        _artifacts.Damage(all[2].Artifact);
        await _artifacts.DeleteAsync(all[1].Artifact, default);
        (await checkpoints.FindLatestAsync("job", default))!.Snapshot.Id.ShouldBe("epoch-1");
    }

    [Fact]
    public async Task A_storage_that_is_away_is_no_reason_to_begin_anew()
    {
        var checkpoints = Checkpoints();
        await checkpoints.StoreAsync(Attempt(), File(2), keep: 1);
        _artifacts.Away = true;
        (await Should.ThrowAsync<ProblemException>(() => checkpoints.FindLatestAsync("job", default))).IsTransient.ShouldBeTrue();
    }

    private static CheckpointFile File(int epoch) => new(
        new(
            new() { Epoch = epoch, Step = 0, Steps = epoch * 10, Updates = epoch * 10, LossSum = 0, Right = 0, Items = 0, Seconds = 1, History = [] },
            new Dictionary<string, WeightValues>(StringComparer.Ordinal) { ["model/a.weight"] = new([2], [epoch, 1]) }),
        "job", "d@1", ModelPresets.Create("logistic", 2), TensorShape.Row(2), new(), new Dictionary<string, string>(StringComparer.Ordinal));

    private JobCheckpoints Checkpoints() => new(new History(_events), _artifacts, NullLogger<JobCheckpoints>.Instance);

    private JobAttempt Attempt() => new(
        new() { Id = "job", Tenant = "default", Kind = JobKind.Training, Input = "{}", RequestHash = "" },
        (_, _) => Task.CompletedTask,
        (report, _) =>
        {
            if (_standing)
                _events.Add(new() { JobId = "job", Sequence = _events.Count + 1, Type = report.Type, At = DateTimeOffset.UnixEpoch, Attempt = 1, Data = JsonElement.Parse(report.Data) });
            return Task.FromResult(_standing);
        });

    private sealed class Artifacts(TempFolder folder) : IArtifactStore
    {
        private readonly string _root = Directory.CreateDirectory(folder.File("artifacts")).FullName;

        public bool Full { get; set; }

        public bool Away { get; set; }

        public int Count => Directory.GetFiles(_root).Length;

        public async Task<Artifact> PutAsync(Stream content, long maxBytes, CancellationToken cancellationToken)
        {
            if (Full)
                throw new IOException("No space left on device");
            using var memory = new MemoryStream();
            await content.CopyToAsync(memory, cancellationToken);
            var id = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(memory.ToArray()));
            await System.IO.File.WriteAllBytesAsync(Path.Combine(_root, id), memory.ToArray(), cancellationToken);
            return new($"sha256:{id}", memory.Length);
        }

        public Task<string> GetFileAsync(string artifactId, CancellationToken cancellationToken) => Away
            ? throw new ProblemException(ProblemCodes.ArtifactStorageUnavailable, "away") { IsTransient = true }
            : System.IO.File.Exists(Of(artifactId))
            ? Task.FromResult(Of(artifactId))
            : throw new ProblemException(ProblemCodes.ArtifactNotFound, "gone");

        public Task DeleteAsync(string artifactId, CancellationToken cancellationToken)
        {
            System.IO.File.Delete(Of(artifactId));
            return Task.CompletedTask;
        }

        public void Damage(string artifactId) => System.IO.File.WriteAllText(Of(artifactId), "damaged");

        private string Of(string id) => Path.Combine(_root, id[7..]);
    }

    /// <summary>A job's events; nothing else of the store is asked for.</summary>
    private sealed class History(List<JobEvent> events) : IJobEvents
    {
        public Task<IReadOnlyList<JobEvent>> EventsOfTypeAsync(string id, string type, CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<JobEvent>>([.. events.Where(e => e.Type == type)]);
    }
}
