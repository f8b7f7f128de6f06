using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Serving;
using QueueMaaS.Storage.Database;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Looking through all jobs that wait, a window at a time.</summary>
public sealed class BacklogCases
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Every_queued_job_is_in_one_window_however_many_became_due_at_once(bool onServers)
    {
        await using var space = onServers ? await ServerSpace.CreateAsync() : null;
        var folder = Directory.CreateTempSubdirectory("queuemaas-backlog-");
        await using var host = QueueMaaSHost.Build(
            [$"--Storage:DataFolder={folder.FullName}", .. space?.Settings.Select(setting => $"--{setting.Key}={setting.Value}") ?? [], "--Storage:MigrateAtStart=true", "--Logging:LogLevel:Default=None"]);
        await QueueMaaSHost.PrepareDatabaseAsync(host, Cancel);
        // 25 of them at one moment, which is more than a window; then one a second.
        var ids = await AddAsync(host.Services, [.. Enumerable.Repeat(Start, 25), .. Enumerable.Range(1, 18).Select(second => Start.AddSeconds(second))]);
        var store = host.Services.GetRequiredService<IJobStore>();

        var taken = new List<IReadOnlyList<JobPointer>>();
        DateTimeOffset? from = DateTimeOffset.UnixEpoch;
        while (from is { } start)
        {
            var window = await store.WindowAsync(start, size: 10, Cancel);
            taken.Add(await store.TakeUndispatchedAsync(window, grace: TimeSpan.Zero, repeatAfter: TimeSpan.FromHours(1), limit: 100, Cancel));
            from = window.Until;
            taken.Count.ShouldBeLessThan(20, "the windows come to an end");
        }

        taken.SelectMany(pointers => pointers).Select(pointer => pointer.Id).Order(StringComparer.Ordinal).ShouldBe(ids);
        taken.Where(pointers => pointers.Count > 0).Select(pointers => pointers.Count).ShouldBe([25, 10, 8]);
        // They are somebody's now.
        (await store.TakeUndispatchedAsync(new DueWindow(DateTimeOffset.UnixEpoch, null), TimeSpan.Zero, TimeSpan.FromHours(1), 100, Cancel)).ShouldBeEmpty();
        folder.Delete(recursive: true);
    }

    private static async Task<string[]> AddAsync(IServiceProvider services, DateTimeOffset[] due)
    {
        await using var context = await services.GetRequiredService<IDbContextFactory<QueueMaaSDbContext>>().CreateDbContextAsync(Cancel);
        foreach (var (number, at) in due.Index())
        {
            context.Jobs.Add(new JobRecord
            {
                Id = $"job-{number:00}",
                Tenant = "default",
                Kind = JobKind.Inference,
                State = JobState.Queued,
                Input = "{}",
                RequestHash = "",
                CreatedAt = at,
                DueAt = at,
            });
        }

        await context.SaveChangesAsync(Cancel);
        return [.. due.Index().Select(job => $"job-{job.Index:00}")];
    }
}
