namespace QueueMaaS.Jobs.Execution;

/// <summary>Whether this process has inference to do: a training in the same process gives way to it.</summary>
public interface IInferenceDemand
{
    /// <summary>Requests that wait or are being computed right now.</summary>
    int Requests { get; }
}

/// <summary>A process without inference.</summary>
public sealed class NoInferenceDemand : IInferenceDemand
{
    public int Requests => 0;
}
