using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Training.Sweeps;

/// <summary>How a sweep stands: read from its child jobs, which are all the state that it has beside its recorded decisions.</summary>
internal sealed class SweepStanding
{
    private SweepStanding(SweepPlan plan, string? metric, string? dataset, IReadOnlyDictionary<(int Trial, int Rung), JobRecord> jobs, IReadOnlyDictionary<(int Trial, int Rung), TrialOutput> outputs, JobRecord? best)
    {
        Metric = metric;
        Dataset = dataset;
        Jobs = jobs;
        Outputs = outputs;
        Registration = best;
        Trials = Rank(plan);
    }

    /// <summary>What is compared; null until the first trial tells what the task has.</summary>
    public string? Metric { get; }

    /// <summary>The data set's version that the first trial was given; all others get the same.</summary>
    public string? Dataset { get; }

    public IReadOnlyDictionary<(int Trial, int Rung), JobRecord> Jobs { get; }

    public IReadOnlyDictionary<(int Trial, int Rung), TrialOutput> Outputs { get; }

    /// <summary>The job that registers the best model, once it was handed out.</summary>
    public JobRecord? Registration { get; }

    /// <summary>All trials, the best first.</summary>
    public IReadOnlyList<SweepTrial> Trials { get; }

    public int Failed => Trials.Count(trial => trial.State is JobState.Failed or JobState.Expired);

    public int Running => Jobs.Values.Count(job => job.State == JobState.Running);

    public int Waiting => Jobs.Values.Count(job => job.State is JobState.Queued or JobState.Scheduled or JobState.Retrying);

    public int Open => Jobs.Values.Count(job => !job.State.IsFinal());

    /// <summary>The best trial, where any has a figure.</summary>
    public SweepTrial? Best => Trials is [{ Metric: not null } best, ..] ? best : null;

    public static SweepStanding Of(SweepPlan plan, IReadOnlyList<JobRecord> children)
    {
        var jobs = new Dictionary<(int Trial, int Rung), JobRecord>();
        var outputs = new Dictionary<(int Trial, int Rung), TrialOutput>();
        foreach (var child in children)
        {
            if (TrialJobs.PlaceOf(child) is not { } place)
                continue;
            jobs[place] = child;
            if (TrialJobs.OutputOf(child) is { } output)
                outputs[place] = output;
        }

        var metric = plan.Input.Metric ?? plan.Proposal?.Metric ?? (outputs.Count > 0 ? SweepMetric.Default(outputs.Values.First().Task, plan.LossField is not null) : null);
        var dataset = jobs.Count > 0 ? JsonElement.Parse(jobs.Values.First().Input).GetProperty("dataset").GetString() : null;
        return new(plan, metric, dataset, jobs, outputs, children.FirstOrDefault(TrialJobs.IsBest));
    }

    /// <summary>The figure of a trial at a rung, where it has ended well.</summary>
    public double? FigureOf((int Trial, int Rung) place) => Metric is not null && Outputs.TryGetValue(place, out var output) && output.Metrics.TryGetValue(Metric, out var figure) ? figure : null;

    /// <summary>The rung at which a trial was best: what is registered of it. Going on makes a training longer, not always better.</summary>
    public int? BestRungOf(int trial)
    {
        (int Rung, double Figure)? best = null;
        foreach (var place in Outputs.Keys.Where(place => place.Trial == trial).OrderBy(static place => place.Rung))
        {
            // Of equal ones the later, which was trained longer.
            if (FigureOf(place) is { } figure && (best is null || !SweepMetric.IsBetter(Metric!, best.Value.Figure, figure)))
                best = (place.Rung, figure);
        }

        return best?.Rung;
    }

    private List<SweepTrial> Rank(SweepPlan plan)
    {
        var trials = new List<(SweepTrial Trial, int Reached)>(plan.Points.Count);
        for (var number = 1; number <= plan.Points.Count; number++)
            trials.Add(Show(plan, number));
        trials.Sort((a, b) =>
            (a.Trial.Metric, b.Trial.Metric) switch
            {
                (null, null) => a.Trial.Trial.CompareTo(b.Trial.Trial),
                (null, _) => 1,
                (_, null) => -1,
                // One that was trained longer is further, whatever its figure: the others were stopped because of theirs.
                _ when a.Reached != b.Reached => b.Reached.CompareTo(a.Reached),
                var (x, y) => SweepMetric.Compare(Metric!, x.Value, y.Value) is not 0 and var order ? order : a.Trial.Trial.CompareTo(b.Trial.Trial),
            });
        return [.. trials.Select((entry, i) => entry.Trial.Metric is null ? entry.Trial : entry.Trial with { Rank = i + 1 })];
    }

    private (SweepTrial Trial, int Reached) Show(SweepPlan plan, int number)
    {
        JobRecord? latest = null;
        var (reached, seconds, rung) = (-1, 0.0, 0);
        for (var r = 0; r < plan.Rungs.Count && Jobs.TryGetValue((number, r), out var job); r++)
        {
            (latest, rung) = (job, r);
            if (!Outputs.TryGetValue((number, r), out var ended))
                continue;
            seconds += ended.Seconds;
            if (FigureOf((number, r)) is not null)
                reached = r;
        }

        (int, int)? best = BestRungOf(number) is { } at ? (number, at) : null;
        var output = best is { } place ? Outputs[place] : null;
        return (new SweepTrial
        {
            Trial = number,
            Parameters = plan.Points[number - 1],
            State = latest?.State,
            Metric = best is { } figured ? FigureOf(figured) : null,
            Metrics = output?.Metrics,
            // A line is about one checkpoint: that of its figure, where it has one.
            Rung = plan.IsHalving && latest is not null ? best?.Item2 ?? rung : null,
            Reached = plan.IsHalving && latest is not null ? rung : null,
            Epochs = output?.History.Count,
            Seconds = seconds > 0 ? seconds : null,
            Job = best is { } shown ? Jobs[shown].Id : latest?.Id,
            LatestJob = best is { } of && of != (number, rung) ? latest?.Id : null,
            Error = latest is { State: JobState.Failed or JobState.Expired or JobState.Retrying } ? TrialJobs.ErrorOf(latest) : null,
        }, reached);
    }
}
