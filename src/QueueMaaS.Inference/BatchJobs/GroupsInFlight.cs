namespace QueueMaaS.Inference.BatchJobs;

/// <summary>Computes groups of items as they are read, a few at the same time, so that reading, computing and writing do not wait for each other.</summary>
internal static class GroupsInFlight
{
    private const int AtOnce = 3;

    /// <summary>Runs all groups. What is under way when one fails ends before this does, since it may be reading what its caller disposes of.</summary>
    /// <param name="groups">The groups, in the order of the input.</param>
    /// <param name="run">Computes one.</param>
    /// <param name="finish">Takes the results, one after another in the order of the groups.</param>
    /// <param name="cancellationToken">Stops.</param>
    public static async Task RunAsync<T>(IAsyncEnumerable<T> groups, Func<T, Task<GroupResults>> run, Func<T, GroupResults, Task> finish, CancellationToken cancellationToken)
    {
        var running = new Queue<(T Group, Task<GroupResults> Results)>();
        try
        {
            await foreach (var group in groups.WithCancellation(cancellationToken))
            {
                if (running.Count == AtOnce)
                    await FinishAsync();
                running.Enqueue((group, Task.Run(() => run(group), cancellationToken)));
            }

            while (running.Count > 0)
                await FinishAsync();
        }
        finally
        {
            await Task.WhenAll(running.Select(static one => one.Results)).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }

        async Task FinishAsync()
        {
            var (group, results) = running.Dequeue();
            await finish(group, await results);
        }
    }
}
