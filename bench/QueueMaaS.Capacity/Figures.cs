using System.Text.Json;

namespace QueueMaaS.Capacity;

/// <summary>What was measured of one job: <c>bench/QueueMaaS.JobBench parts</c> gives the processor time and the bytes, <c>growth</c> the bytes kept.</summary>
/// <param name="Api">Microseconds of a core of an API process.</param>
/// <param name="Worker">Of a worker, the computation included.</param>
/// <param name="Notifier">Of the notifier.</param>
/// <param name="PostgreSql">Of PostgreSQL, over all its commits.</param>
/// <param name="RabbitMq">Of RabbitMQ, over all its messages.</param>
/// <param name="Redis">Of Redis.</param>
/// <param name="Load">Of what submitted the jobs; it shares the machine only where all parts do.</param>
/// <param name="LogBytes">PostgreSQL's write-ahead log.</param>
/// <param name="KeptBytes">What a finished job takes in PostgreSQL with its history and indexes.</param>
/// <param name="CommitMilliseconds">How long the disk takes for a commit, however large its group.</param>
/// <param name="MeasuredPerSecond">Jobs a second of all parts together on <paramref name="MeasuredCores"/> cores: what the simulation of that machine is compared with.</param>
internal sealed record Figures(
    double Api, double Worker, double Notifier, double PostgreSql, double RabbitMq, double Redis, double Load, double LogBytes, double KeptBytes, double CommitMilliseconds, double MeasuredPerSecond, int MeasuredCores)
{
    public static Figures Read(string path) => JsonSerializer.Deserialize<Figures>(File.ReadAllText(path), JsonSerializerOptions.Web)
        ?? throw new InvalidDataException($"{path} holds no figures.");
}
