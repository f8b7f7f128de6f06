using System.Collections.Concurrent;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Submission;
using QueueMaaS.Training.Checkpoints;

namespace QueueMaaS.Training.Sweeps;

/// <summary>
/// Leads a sweep: hands its trials out as trainings, a few ahead of what the workers take, and has the best one registered. It computes nothing and keeps no training slot:
/// it sleeps until one of its children changes. It may die and be taken over at any point: what was handed out stands in the children, whose ids are those of their trials, and what
/// asha decided stands in the job's history before it is carried out.
/// </summary>
internal sealed class SweepJobExecutor(IJobStore store, JobSubmitter submitter, IDatasetCatalog datasets, JobCheckpoints checkpoints, IJobSignals signals, TimeProvider time) : IJobExecutor
{
    public const string DecisionType = "decision";
    private const double DefaultFailedShare = 0.5;
    private const int DefaultTrialAttempts = 3;
    private static readonly TimeSpan LookAnyway = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(500);

    public JobKind Kind => JobKind.Sweep;

    public async Task<object> ExecuteAsync(JobAttempt attempt, CancellationToken cancellationToken)
    {
        try
        {
            return await LeadAsync(attempt, cancellationToken);
        }
        catch (ProblemException exception) when (!exception.IsTransient && !IsTriedAgain(attempt.Job))
        {
            await HoldTrialsAsync(attempt.Job, cancellationToken);
            throw;
        }
    }

    private async Task<SweepOutput> LeadAsync(JobAttempt attempt, CancellationToken cancellationToken)
    {
        var job = attempt.Job;
        // The limit was kept when it was accepted.
        var plan = SweepPlan.Of(JsonElement.Parse(job.Input), int.MaxValue);
        await submitter.RequireChildIdAsync(job, TrialJobs.BestIdOf(job.Id), cancellationToken);
        using var wake = new SemaphoreSlim(0, 1);
        // Trainings tell of their progress all the time; only a change of state is worth a look.
        var states = new ConcurrentDictionary<string, JobState>(StringComparer.Ordinal);
        using var subscription = signals.Subscribe(change =>
        {
            if (!change.Id.StartsWith(job.Id, StringComparison.Ordinal) || change.Id.Length == job.Id.Length || (states.TryGetValue(change.Id, out var before) && before == change.State))
                return;
            states[change.Id] = change.State;
            Wake(wake);
        });
        var (proposal, until) = plan.IsAuto ? await ProposeAsync(attempt, plan, wake, cancellationToken) : (null, default);
        if (proposal is not null)
            plan = SweepPlan.Of(JsonElement.Parse(job.Input), int.MaxValue, proposal);
        var decided = await DecisionsAsync(job.Id, cancellationToken);
        var standing = await LookAsync(plan, job, cancellationToken);
        var dataset = standing.Dataset ?? await PinAsync(job, plan, cancellationToken);
        await attempt.LogAsync("info", standing.Jobs.Count == 0 ? $"Search by {Name(plan)} with {plan.Points.Count} trials on {dataset}." : $"Goes on with {standing.Jobs.Count} trainings handed out, {standing.Outputs.Count} of them done.", cancellationToken);
        var (reported, told) = (time.GetTimestamp() - time.TimestampFrequency, "");
        while (true)
        {
            RequireFewFailures(plan, standing);
            if (standing.Registration is { State: JobState.Succeeded } registered)
                return await EndAsync(attempt, plan, standing, registered, cancellationToken);
            RequireRegistration(standing);
            var over = plan.IsAuto && standing is { Registration: null, Best: not null } && time.GetUtcNow() > until;
            if (over)
                await EndTrialsAsync(attempt, standing, cancellationToken);
            var made = standing.Registration is not null ? 1 : over ? 0 : await HandOutAsync(attempt, plan, dataset, standing, decided, cancellationToken);
            if (made == 0 && standing.Open == 0)
            {
                await RegisterAsync(job, plan, dataset, standing, cancellationToken);
                made = 1;
            }

            var progress = JsonSerializer.Serialize(Progress(plan, standing), QueueMaaSJson.Relaxed);
            if (progress != told && time.GetElapsedTime(reported) >= ReportEvery)
            {
                (reported, told) = (time.GetTimestamp(), progress);
                await attempt.ReportAsync(JsonElement.Parse(progress), cancellationToken);
            }

            await wake.WaitAsync(LookAnyway, cancellationToken);
            standing = await LookAsync(plan, job, cancellationToken);
        }
    }

    /// <summary>auto: has a worker measure and propose, and tells when the budget ends.</summary>
    private async Task<(AutoProposal Proposal, DateTimeOffset Until)> ProposeAsync(JobAttempt attempt, SweepPlan plan, SemaphoreSlim wake, CancellationToken cancellationToken)
    {
        var job = attempt.Job;
        await attempt.ReportAsync(new SweepProgress { Phase = "measuring", Trials = 0, Started = 0, Running = 0, Waiting = 0, Measured = 0, Failed = 0 }, cancellationToken);
        while (true)
        {
            var children = await store.ChildrenAsync(job.Id, cancellationToken);
            var probe = children.FirstOrDefault(child => child.Id == TrialJobs.ProbeIdOf(job.Id));
            if (probe is null)
            {
                await SubmitAsync(job, plan, [(TrialJobs.ProbeIdOf(job.Id), TrialJobs.ProbeInput(plan, job.Id, await PinAsync(job, plan, cancellationToken)))], cancellationToken);
            }
            else if (TrialJobs.ProposalOf(children, plan.Input.Metric) is { } proposal)
            {
                if (children.Count == 1)
                {
                    foreach (var reason in proposal.Reasons)
                        await attempt.LogAsync("info", $"{reason.Field} {reason.Value.GetRawText()}: {reason.Reason}.", cancellationToken);
                }

                return (proposal, probe.StartedAt!.Value + TimeSpan.FromMinutes(plan.Input.Search.Minutes!.Value));
            }
            else if (probe.State.IsFinal())
            {
                throw new ProblemException(TrialJobs.ErrorOf(probe) ?? new Problem(ProblemCodes.SweepFailed, $"The measuring job `{probe.Id}` has ended as {probe.State.ToString().ToLowerInvariant()}."));
            }

            await wake.WaitAsync(LookAnyway, cancellationToken);
        }
    }

    /// <summary>auto: the budget is spent, and there is a best trial.</summary>
    private async Task EndTrialsAsync(JobAttempt attempt, SweepStanding standing, CancellationToken cancellationToken)
    {
        foreach (var open in standing.Jobs.Values.Where(child => !child.State.IsFinal()))
        {
            await attempt.LogAsync("warning", $"The time budget is spent: {open.Id} is ended.", cancellationToken);
            await store.CancelAsync(attempt.Job.Tenant, open.Id, "worker", cancellationToken);
        }
    }

    private async Task<SweepStanding> LookAsync(SweepPlan plan, JobRecord job, CancellationToken cancellationToken) =>
        SweepStanding.Of(plan, await store.ChildrenAsync(job.Id, cancellationToken));

    /// <summary>The version of the data set that all trials are trained on.</summary>
    private async Task<string> PinAsync(JobRecord job, SweepPlan plan, CancellationToken cancellationToken)
    {
        var dataset = await datasets.RequireAsync(job.Tenant, plan.Dataset, cancellationToken);
        return $"{dataset.Name}@{dataset.Version}";
    }

    private async Task<List<SweepDecision>> DecisionsAsync(string sweep, CancellationToken cancellationToken) =>
        [.. (await store.EventsOfTypeAsync(sweep, DecisionType, cancellationToken)).Select(e => e.Data!.Value.Deserialize<SweepDecision>(QueueMaaSJson.Relaxed)!)];

    /// <summary>Hands out what is next; answers how many trainings that were.</summary>
    private async Task<int> HandOutAsync(JobAttempt attempt, SweepPlan plan, string dataset, SweepStanding standing, List<SweepDecision> decided, CancellationToken cancellationToken)
    {
        var places = plan.IsHalving ? await DecideAsync(attempt, plan, standing, decided, cancellationToken) : NextTrials(plan, standing);
        if (places.Count == 0)
            return 0;
        await SubmitAsync(
            attempt.Job, plan, [.. places.Select(place => (TrialJobs.IdOf(attempt.Job.Id, place.Trial, place.Rung), TrialJobs.Input(plan, attempt.Job.Id, dataset, place.Trial, place.Rung)))], cancellationToken);
        await TakeBackAsync(attempt.Job, places);
        return places.Count;
    }

    /// <summary>Grid and random: the next trials by number. Which ones are tried, and with what, does not depend on when or where.</summary>
    private static List<(int Trial, int Rung)> NextTrials(SweepPlan plan, SweepStanding standing)
    {
        var room = Room(plan, standing.Open, standing.Waiting, standing.Running);
        return [.. Enumerable.Range(1, plan.Points.Count).Where(trial => !standing.Jobs.ContainsKey((trial, 0))).Take(room).Select(trial => (trial, 0))];
    }

    /// <summary>asha: decides as long as there is room, each decision recorded before anything comes of it. Those of an attempt before that came to nothing are carried out first.</summary>
    private static async Task<List<(int Trial, int Rung)>> DecideAsync(JobAttempt attempt, SweepPlan plan, SweepStanding standing, List<SweepDecision> decided, CancellationToken cancellationToken)
    {
        var places = decided.Select(decision => (decision.Trial, decision.Rung)).Where(place => !standing.Jobs.ContainsKey(place)).ToList();
        var cells = standing.Jobs.ToDictionary(entry => entry.Key, entry => new HalvingCell(!entry.Value.State.IsFinal(), standing.FigureOf(entry.Key)));
        foreach (var place in places)
            cells[place] = new(IsOpen: true, null);
        // What is decided early is decided on less: one training waits for the next free worker, no more.
        for (var room = Room(plan, standing.Open + places.Count, standing.Waiting + places.Count, running: 0); room > 0; room--)
        {
            if (Halving.Next(plan.Points.Count, plan.Reduction, plan.Rungs.Count, cells, standing.Metric ?? SweepMetric.Loss) is not { } next)
                break;
            next = next with { Step = decided.Count + 1 };
            if (!await attempt.RecordAsync(DecisionType, next, cancellationToken))
                throw new OperationCanceledException($"The claim on job {attempt.Job.Id} no longer stands.");
            decided.Add(next);
            cells[(next.Trial, next.Rung)] = new(IsOpen: true, null);
            places.Add((next.Trial, next.Rung));
        }

        return places;
    }

    /// <summary>How many more are handed out: so many that no worker finds the queue empty, so few that other trainings get their turn between them.</summary>
    private static int Room(SweepPlan plan, int open, int waiting, int running) =>
        Math.Max(0, Math.Min((plan.Input.Concurrency ?? int.MaxValue) - open, Math.Max(plan.IsHalving ? 1 : 2, running) - waiting));

    /// <summary>What was handed out while the sweep was cancelled under our hands would train for nobody.</summary>
    private async Task TakeBackAsync(JobRecord job, IReadOnlyList<(int Trial, int Rung)> places)
    {
        if (await store.FindAsync(job.Tenant, job.Id, CancellationToken.None) is { State: not JobState.Cancelled })
            return;
        foreach (var (trial, rung) in places)
            await store.CancelAsync(job.Tenant, TrialJobs.IdOf(job.Id, trial, rung), "worker", CancellationToken.None);
        throw new OperationCanceledException($"The sweep {job.Id} was cancelled.");
    }

    /// <summary>Has the best trial's model exported and registered, by a training that goes on from its last state and has nothing left to train.</summary>
    private async Task RegisterAsync(JobRecord job, SweepPlan plan, string dataset, SweepStanding standing, CancellationToken cancellationToken)
    {
        if (standing.Best is not { } best)
        {
            var reason = standing.Outputs.Count > 0
                ? new ProblemException(ProblemCodes.MetricUnknown, $"None of the {standing.Outputs.Count} trials that ended well has the figure `{standing.Metric}`. Compare by one of {string.Join(", ", standing.Outputs.Values.First().Metrics.Keys.Select(k => $"`{k}`"))}.", ("metric", standing.Metric))
                : new ProblemException(ProblemCodes.SweepFailed, $"No trial has succeeded. GET /v1/jobs/{job.Id}/leaderboard has the error of each; requeue the sweep to try the failed ones again.", ("failed", standing.Failed), ("trials", plan.Points.Count));
            throw reason;
        }

        await SubmitAsync(job, plan, [(TrialJobs.BestIdOf(job.Id), TrialJobs.RegistrationInput(plan, job.Id, dataset, best.Trial, standing.BestRungOf(best.Trial)!.Value))], cancellationToken);
    }

    private Task SubmitAsync(JobRecord job, SweepPlan plan, IReadOnlyList<(string Id, string Input)> trainings, CancellationToken cancellationToken) =>
        submitter.SubmitChildrenAsync(job, trainings, cancellationToken, JobKind.Training, plan.Input.TrialAttempts ?? DefaultTrialAttempts);

    /// <summary>Of a sweep that fails, the trials that have not ended are held: they cost nothing more, go on when the sweep is requeued, and go with it when it is deleted.</summary>
    private async Task HoldTrialsAsync(JobRecord job, CancellationToken cancellationToken)
    {
        foreach (var open in (await store.ChildrenAsync(job.Id, cancellationToken)).Where(static child => !child.State.IsFinal()))
            await store.PauseAsync(job.Tenant, open.Id, "worker", cancellationToken);
    }

    /// <summary>The next attempt goes on with the trials as they are.</summary>
    private static bool IsTriedAgain(JobRecord job) => job.Attempt < job.MaxAttempts && job.GetRules().Retry?.On?.Contains(FailureClass.Deterministic) == true;

    private static void RequireFewFailures(SweepPlan plan, SweepStanding standing)
    {
        if (standing.Failed <= (plan.Input.MaxFailedShare ?? DefaultFailedShare) * plan.Points.Count)
            return;
        var first = standing.Trials.Where(trial => trial.Error is not null).MinBy(trial => trial.Trial);
        throw new ProblemException(
            ProblemCodes.SweepFailed,
            $"{standing.Failed} of {plan.Points.Count} trials failed, more than the allowed share of {plan.Input.MaxFailedShare ?? DefaultFailedShare}. The first was trial {first?.Trial}: {first?.Error?.Message} What was trained is kept; requeue the sweep to try the failed ones again.",
            ("failed", standing.Failed), ("trials", plan.Points.Count), ("trial", first?.Trial), ("parameters", first?.Parameters), ("cause", first?.Error));
    }

    private static void RequireRegistration(SweepStanding standing)
    {
        if (standing.Registration is not { State: JobState.Failed or JobState.Cancelled or JobState.Expired } lost)
            return;
        var cause = TrialJobs.ErrorOf(lost);
        throw new ProblemException(ProblemCodes.SweepFailed, $"The best trial's model could not be registered: {cause?.Message ?? $"job `{lost.Id}` has ended as {lost.State.ToString().ToLowerInvariant()}."}", ("jobId", lost.Id), ("cause", cause));
    }

    /// <summary>Removes the checkpoints of trials that were not the best: nothing goes on from them any more. Those of a sweep that fails or is cancelled stay, since it may be requeued.</summary>
    private async Task RemoveCheckpointsAsync(JobAttempt attempt, SweepStanding standing, SweepTrial best, CancellationToken cancellationToken)
    {
        var others = standing.Jobs.Where(entry => entry.Key.Trial != best.Trial && entry.Value.State.IsFinal()).Select(static entry => entry.Value.Id);
        var (count, bytes) = await checkpoints.RemoveOfChildrenAsync(store, attempt.Job, others, $"Trial {best.Trial} of the sweep was better.", cancellationToken);
        if (count > 0)
            await attempt.LogAsync("info", $"Removed {count} checkpoints of other trials, {bytes} bytes. Set keepCheckpoints to keep them.", cancellationToken);
    }

    private async Task<SweepOutput> EndAsync(JobAttempt attempt, SweepPlan plan, SweepStanding standing, JobRecord registered, CancellationToken cancellationToken)
    {
        var training = JsonSerializer.Deserialize<TrainingOutput>(registered.Output!, QueueMaaSJson.Relaxed)!;
        var best = standing.Best!;
        await attempt.ReportAsync(Progress(plan, standing), cancellationToken);
        await attempt.LogAsync("info", $"Trial {best.Trial} is the best of {plan.Points.Count} with {standing.Metric} {best.Metric:R}: registered as {training.Model}@{training.Version}.", cancellationToken);
        if (!plan.Input.KeepCheckpoints)
            await RemoveCheckpointsAsync(attempt, standing, best, cancellationToken);
        return new()
        {
            Model = training.Model,
            Version = training.Version,
            Alias = training.Alias,
            DeployRefused = training.DeployRefused,
            Promotion = training.Promotion,
            Metric = standing.Metric!,
            Best = best,
            Training = JsonSerializer.SerializeToElement(plan.Training(best.Trial)),
            Trials = plan.Points.Count,
            Failed = standing.Failed,
            Leaderboard = [.. standing.Trials.Where(trial => trial.Metric is not null).Take(10)],
            Reasons = plan.Proposal?.Reasons,
            TrainingSeconds = standing.Outputs.Values.Sum(output => output.Seconds),
        };
    }

    private static SweepProgress Progress(SweepPlan plan, SweepStanding standing)
    {
        var started = standing.Jobs.Keys.Select(key => key.Trial).Distinct().Count();
        double? left = null;
        if (!plan.IsHalving && standing.Outputs.Count > 0)
            left = Math.Round((plan.Points.Count - standing.Outputs.Count - standing.Failed) * standing.Outputs.Values.Average(output => output.Seconds) / Math.Max(1, standing.Running), 1);
        return new()
        {
            Phase = standing.Registration is null ? "running" : "registering",
            Trials = plan.Points.Count,
            Started = started,
            Running = standing.Running,
            Waiting = standing.Waiting,
            Measured = standing.Trials.Count(trial => trial.Metric is not null),
            Failed = standing.Failed,
            Best = standing.Best,
            Rungs = plan.IsHalving
                ? [.. plan.Rungs.Select((epochs, rung) => new SweepRung(epochs, standing.Jobs.Keys.Count(key => key.Rung == rung && standing.FigureOf(key) is not null), standing.Jobs.Keys.Count(key => key.Rung == rung + 1)))]
                : null,
            SecondsLeft = left,
        };
    }

    private static string Name(SweepPlan plan) => plan.Input.Search.Method.ToString().ToLowerInvariant();

    private static void Wake(SemaphoreSlim wake)
    {
        try
        {
            if (wake.CurrentCount == 0)
                wake.Release();
        }
        catch (Exception e) when (e is SemaphoreFullException or ObjectDisposedException)
        {
            // It is awake already, or has ended.
        }
    }
}
