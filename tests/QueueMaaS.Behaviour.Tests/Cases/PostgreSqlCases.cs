using System.Runtime.ExceptionServices;
using Npgsql;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>What only a database with many writers can show.</summary>
[Collection("servers")]
public sealed class PostgreSqlCases(ServersService service)
{
    private const int Rounds = 60;

    [Fact]
    public async Task Claims_renewals_dispatches_and_completions_of_the_same_jobs_never_wait_for_each_other_in_a_circle()
    {
        var cancel = TestContext.Current.CancellationToken;
        var deadlocks = 0;
        void Count(object? sender, FirstChanceExceptionEventArgs e)
        {
            if (e.Exception is PostgresException { SqlState: PostgresErrorCodes.DeadlockDetected })
                Interlocked.Increment(ref deadlocks);
        }

        // Capitals sort differently by culture, by the database's collation and by bytes: whoever orders by another rule meets the others head on.
        var ids = Enumerable.Range(0, 60).Select(i => $"{(i % 2 == 0 ? "a" : "B")}{Guid.NewGuid():n}").ToArray();
        var backwards = ids.Reverse().ToArray();
        await service.Jobs.AcceptAsync([.. ids.Select(Waiting)], cancel);
        AppDomain.CurrentDomain.FirstChanceException += Count;
        try
        {
            for (var round = 0; round < Rounds; round++)
            {
                var half = await Task.WhenAll(Claim(ids), Claim(backwards), Mark(ids), Mark(backwards));
                var claimed = half.SelectMany(jobs => jobs).ToArray();
                var claims = claimed.Select(job => job.Claim).ToArray();
                claims.Length.ShouldBe(ids.Length, "each job is claimed once");
                var handedBack = claimed.Select(job => new AttemptEnd(job, JobState.Queued) { Worker = "test" }).ToArray();
                await Task.WhenAll(
                    Renew(claims), Complete([.. handedBack.Take(40)]), Renew([.. claims.Reverse()]), Complete([.. handedBack.Reverse().Take(40)]), Mark(ids), Mark(backwards));
            }
        }
        finally
        {
            AppDomain.CurrentDomain.FirstChanceException -= Count;
            foreach (var id in ids)
                await service.Jobs.CancelAsync("default", id, "test", CancellationToken.None);
        }

        deadlocks.ShouldBe(0);

        Task<IReadOnlyList<JobRecord>> Claim(IReadOnlyList<string> some) => service.Jobs.ClaimAsync(some, "test", TimeSpan.FromMinutes(1), cancel);
        Task Renew(IReadOnlyList<JobClaim> some) => service.Jobs.RenewAsync(some, TimeSpan.FromMinutes(1), cancel);
        Task Complete(IReadOnlyList<AttemptEnd> some) => service.Jobs.CompleteAsync(some, cancel);
        async Task<IReadOnlyList<JobRecord>> Mark(IReadOnlyList<string> some)
        {
            await service.Jobs.PostponeDispatchAsync(some, cancel);
            return [];
        }
    }

    private static JobRecord Waiting(string id) => new()
    {
        Id = id,
        Tenant = "default",
        Kind = JobKind.Training,
        State = JobState.Queued,
        MaxAttempts = 3,
        Input = "{}",
        RequestHash = id,
        CreatedAt = DateTimeOffset.UtcNow,
        DueAt = DateTimeOffset.UtcNow,
    };
}
