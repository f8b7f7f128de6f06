using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Deployment;

/// <summary>What a worker has counted of a shadow.</summary>
public sealed record ShadowData
{
    public long Requests { get; init; }
    public long Computed { get; init; }
    public long Dropped { get; init; }
    public long Failed { get; init; }
    public string? FirstError { get; init; }
    public long LabelledRows { get; init; }
    public long AgreeingRows { get; init; }
    public long Numbers { get; init; }
    public double SumDeviation { get; init; }
    public double MaxDeviation { get; init; }
    /// <summary>As <see cref="LatencySketch.ToPairs"/>.</summary>
    public IReadOnlyList<long[]> Served { get; init; } = [];
    /// <summary>As <see cref="LatencySketch.ToPairs"/>.</summary>
    public IReadOnlyList<long[]> Shadow { get; init; } = [];
}

/// <summary>Adds up and shows what was counted of a shadow.</summary>
public static class ShadowStanding
{
    public static string OpenKeyOf(string model) => $"shadow/{model}";

    public static ShadowRequest RequestOf(ModelWatch watch)
    {
        ArgumentNullException.ThrowIfNull(watch);
        return JsonSerializer.Deserialize<ShadowRequest>(watch.Definition, QueueMaaSJson.Relaxed)!;
    }

    public static Shadow Show(ModelWatch watch, IEnumerable<TrafficSummary> summaries)
    {
        ArgumentNullException.ThrowIfNull(watch);
        ShadowData[] all = [.. summaries.Select(static summary => JsonSerializer.Deserialize<ShadowData>(summary.Data, QueueMaaSJson.Relaxed)!)];
        var (served, shadow) = (new LatencySketch(), new LatencySketch());
        foreach (var one in all)
        {
            served.Add(one.Served);
            shadow.Add(one.Shadow);
        }

        var (rows, numbers) = (all.Sum(static one => one.LabelledRows), all.Sum(static one => one.Numbers));
        return new()
        {
            Id = watch.Id,
            Model = watch.Name,
            Request = RequestOf(watch),
            CreatedAt = watch.CreatedAt,
            Requests = all.Sum(static one => one.Requests),
            Computed = all.Sum(static one => one.Computed),
            Dropped = all.Sum(static one => one.Dropped),
            Failed = all.Sum(static one => one.Failed),
            FirstError = Array.Find(all, static one => one.FirstError is not null)?.FirstError,
            LabelledRows = rows,
            Agreement = rows == 0 ? null : (double)all.Sum(static one => one.AgreeingRows) / rows,
            MaxDeviation = numbers == 0 ? null : all.Max(static one => one.MaxDeviation),
            MeanDeviation = numbers == 0 ? null : all.Sum(static one => one.SumDeviation) / numbers,
            ServedP50Ms = served.Quantile(0.5),
            ServedP99Ms = served.Quantile(0.99),
            ShadowP50Ms = shadow.Quantile(0.5),
            ShadowP99Ms = shadow.Quantile(0.99),
        };
    }
}
