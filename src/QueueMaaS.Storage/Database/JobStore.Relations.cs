using Microsoft.EntityFrameworkCore;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Submission;
using QueueMaaS.Storage.Database.Pipeline;

namespace QueueMaaS.Storage.Database;

/// <summary>Jobs that wait for others.</summary>
public sealed partial class JobStore
{
    private const int FollowLimit = 500;

    public async Task FollowUpAsync(CancellationToken cancellationToken)
    {
        var (parents, groups) = await _database.ReadAsync(async context => (
            await context.Dependencies.Where(row => context.Jobs.Any(job => job.Id == row.DependsOn && Final.Contains(job.State)) || !context.Jobs.Any(job => job.Id == row.DependsOn))
                .Select(row => row.DependsOn).Distinct().Take(FollowLimit).ToListAsync(cancellationToken),
            await context.Groups.Where(group => group.CompletedAt == null && context.Jobs.Count(job => job.Tenant == group.Tenant && job.GroupId == group.Id && Final.Contains(job.State)) + group.Deleted >= group.Size)
                .Take(FollowLimit).ToListAsync(cancellationToken)), cancellationToken);
        if (parents.Count > 0)
            await ReleaseAsync(parents, cancellationToken);
        foreach (var group in groups)
            await CompleteGroupAsync(group.Tenant, group.Id, cancellationToken);
    }

    public async Task<IReadOnlyList<AcceptOutcome>> AcceptTogetherAsync(IReadOnlyList<JobRecord> jobs, CancellationToken cancellationToken)
    {
        var outcomes = await AcceptRelatedAsync(InTheirOrder(jobs), areOne: true, cancellationToken);
        await TellAsync([.. outcomes.Where(outcome => outcome.Kind == AcceptKind.New).Select(outcome => outcome.Job)]);
        return outcomes;
    }

    /// <summary>Accepts jobs of which some wait for others or belong to groups.</summary>
    private Task<IReadOnlyList<AcceptOutcome>> AcceptRelatedAsync(IReadOnlyList<JobRecord> jobs, bool areOne, CancellationToken cancellationToken) => _database.WriteAsync<IReadOnlyList<AcceptOutcome>>(async context =>
    {
        var changes = await JobChanges.BeginAsync(context, _time, cancellationToken);
        var after = jobs.SelectMany(job => job.GetRules().After ?? []).Distinct(StringComparer.Ordinal).ToArray();
        // Locked, so that none of them ends between our look at it and our commit.
        await RowLocks.TakeAsync(context, after, waits: true, cancellationToken);
        var parents = await context.Jobs.Where(job => after.Contains(job.Id)).ToDictionaryAsync(job => job.Id, cancellationToken);
        var known = await EntityPipeline.FindKnownAsync(context, jobs, cancellationToken);
        var outcomes = new List<AcceptOutcome>(jobs.Count);
        foreach (var job in jobs)
        {
            if (known.Judge(job, again: false) is { } met)
            {
                // Nothing that was added before it is kept.
                if (areOne && met.Kind == AcceptKind.Conflict)
                {
                    context.ChangeTracker.Clear();
                    return [met];
                }

                outcomes.Add(met);
                continue;
            }

            // What a repeat of this transaction adds is another row: the caller's own stays as it was.
            var row = job.Copy();
            Await(context, row, parents);
            changes.Add(row);
            known.Add(row);
            parents[row.Id] = row;
            outcomes.Add(new AcceptOutcome(row, AcceptKind.New));
        }

        await JoinGroupsAsync(context, [.. outcomes.Where(outcome => outcome.Kind == AcceptKind.New).Select(outcome => outcome.Job)], changes.Now, cancellationToken);
        return outcomes;
    }, cancellationToken);

    /// <summary>Jobs in an order in which each stands behind those that it waits for.</summary>
    private static List<JobRecord> InTheirOrder(IReadOnlyList<JobRecord> jobs)
    {
        var waiting = jobs.ToDictionary(job => job.Id, StringComparer.Ordinal);
        var ordered = new List<JobRecord>(jobs.Count);
        while (waiting.Count > 0)
        {
            var ready = jobs.Where(job => waiting.ContainsKey(job.Id) && !(job.GetRules().After ?? []).Any(waiting.ContainsKey)).ToArray();
            if (ready.Length == 0)
                throw new ProblemException(ProblemCodes.InvalidValue, $"Jobs of the group wait for each other in a circle: {string.Join(", ", waiting.Keys.Take(8).Select(id => $"`{id}`"))}. None of them could ever start.", ("path", "jobs"));
            foreach (var job in ready)
                waiting.Remove(job.Id);
            ordered.AddRange(ready);
        }

        return ordered;
    }

    /// <summary>Lets a new job wait for those before it that have not ended; one that is ready takes their outputs now.</summary>
    private static void Await(QueueMaaSDbContext context, JobRecord job, Dictionary<string, JobRecord> parents)
    {
        if (job.GetRules().After is not { Count: > 0 } after)
            return;
        foreach (var id in after)
        {
            if (!parents.TryGetValue(id, out var parent) || parent.Tenant != job.Tenant)
                throw new ProblemException(ProblemCodes.JobNotFound, $"`after` names job `{id}`, which is not there. Submit it first.", ("jobId", id));
            if (parent.State.IsFinal() && parent.State != JobState.Succeeded)
                throw new ProblemException(ProblemCodes.DependencyFailed, $"`after` names job `{id}`, which has ended as {parent.State.ToString().ToLowerInvariant()}. Requeue it first, or leave it out.", ("jobId", id));
        }

        var waits = after.Where(id => parents[id].State != JobState.Succeeded).Distinct(StringComparer.Ordinal).ToArray();
        if (waits.Length == 0)
        {
            job.Input = OutputReferences.Resolve(job.Input, id => parents[id].Output);
            return;
        }

        foreach (var id in after.Distinct(StringComparer.Ordinal))
        {
            context.Dependencies.Add(new JobDependencyRow { JobId = job.Id, DependsOn = id });
            parents[id].HasDependents = true;
            // The sequence tells optimistic writers of a change; nothing is told to anybody else.
            context.Entry(parents[id]).Property(row => row.HasDependents).IsModified = true;
        }

        job.State = JobState.Scheduled;
        job.DueAt = JobRecord.Blocked;
    }

    /// <summary>Does what follows from jobs that have ended. What fails here is done by the sweeper.</summary>
    private async Task FollowAsync(IReadOnlyCollection<JobRecord> changed)
    {
        var ended = changed.Where(job => job.State.IsFinal() && (job.HasDependents || job.GroupId is not null)).ToArray();
        if (ended.Length == 0)
            return;
        try
        {
            if (ended.Where(job => job.HasDependents).Select(job => job.Id).ToArray() is { Length: > 0 } parents)
                await ReleaseAsync(parents, CancellationToken.None);
            foreach (var (tenant, id) in ended.Where(job => job.GroupId is not null).Select(job => (job.Tenant, job.GroupId!)).Distinct())
                await CompleteGroupAsync(tenant, id, CancellationToken.None);
        }
        catch (Exception exception)
        {
            LogFollowFailed(_logger, ended.Length, exception.Message);
        }
    }

    /// <summary>Lets go the jobs that waited for these, where all that they waited for have succeeded; cancels those for which that cannot be any more.</summary>
    private Task<int> ReleaseAsync(IReadOnlyList<string> parents, CancellationToken cancellationToken) => WriteAsync(async (context, changes) =>
    {
        var ids = await context.Dependencies.Where(row => parents.Contains(row.DependsOn)).Select(row => row.JobId).Distinct().ToListAsync(cancellationToken);
        await RowLocks.TakeAsync(context, ids, waits: true, cancellationToken);
        var jobs = await context.Jobs.Where(job => ids.Contains(job.Id)).ToListAsync(cancellationToken);
        var rows = await context.Dependencies.Where(row => ids.Contains(row.JobId)).ToListAsync(cancellationToken);
        var named = rows.Select(row => row.DependsOn).Distinct().ToArray();
        var before = await context.Jobs.AsNoTracking().Where(job => named.Contains(job.Id)).ToDictionaryAsync(job => job.Id, cancellationToken);
        foreach (var job in jobs)
        {
            // It is looked at again once it is resumed.
            if (job.State == JobState.Paused)
                continue;
            var own = rows.Where(row => row.JobId == job.Id).Select(row => row.DependsOn).ToArray();
            var lost = Array.Find(own, id => !before.TryGetValue(id, out var parent) || (parent.State.IsFinal() && parent.State != JobState.Succeeded));
            if (job.State == JobState.Scheduled && lost is null && Array.Exists(own, id => before[id].State != JobState.Succeeded))
                continue;
            context.Dependencies.RemoveRange(rows.Where(row => row.JobId == job.Id));
            if (job.State != JobState.Scheduled)
                continue;
            if (lost is not null)
                Abandon(changes, job, lost, before.GetValueOrDefault(lost));
            else
                Release(changes, job, before);
        }

        return jobs.Count;
    }, cancellationToken);

    private static void Abandon(JobChanges changes, JobRecord job, string lost, JobRecord? parent)
    {
        var how = parent is null ? "was deleted" : $"ended as {parent.State.ToString().ToLowerInvariant()}";
        job.Error = Json.Write(Problem.Create(ProblemCodes.DependencyFailed, $"Job `{lost}`, which had to succeed first, {how}.", ("jobId", lost)));
        changes.To(job, JobState.Cancelled, "sweeper", $"job {lost} {how}");
    }

    private static void Release(JobChanges changes, JobRecord job, Dictionary<string, JobRecord> before)
    {
        try
        {
            job.Input = OutputReferences.Resolve(job.Input, id => before[id].Output);
        }
        catch (ProblemException exception)
        {
            job.Error = Json.Write(exception.Problem);
            changes.To(job, JobState.Cancelled, "sweeper", exception.Problem.Message);
            return;
        }

        if (job.RunAt > changes.Now)
            job.DueAt = job.RunAt.Value;
        else
            changes.To(job, JobState.Queued, "sweeper", "the jobs before it have succeeded");
    }
}
