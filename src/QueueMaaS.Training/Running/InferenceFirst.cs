using QueueMaaS.Jobs.Execution;

namespace QueueMaaS.Training.Running;

/// <summary>Lets a training stand back, between two steps, while the process has inference to do; it keeps its share of the time, so that it never starves.</summary>
internal sealed class InferenceFirst(IInferenceDemand demand, double share, TimeProvider time)
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(1);

    private long _since = time.GetTimestamp();

    /// <summary>Waits while there is inference to do, but no longer than the share allows after the step that was just done.</summary>
    public void StandBack(CancellationToken cancellationToken)
    {
        var worked = time.GetElapsedTime(_since);
        var most = worked * ((1 - share) / share);
        var started = time.GetTimestamp();
        while (demand.Requests > 0 && time.GetElapsedTime(started) < most)
        {
            if (cancellationToken.WaitHandle.WaitOne(Look))
                break;
        }

        _since = time.GetTimestamp();
    }
}
