using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Tests;

/// <summary>A model for tests: gives back its input, fails where a value is negative, and can be held at its start.</summary>
internal sealed class ScriptedInstance(bool held = false, Action? took = null) : IModelInstance
{
    private readonly SemaphoreSlim _started = new(0);
    private readonly SemaphoreSlim _permits = new(held ? 0 : int.MaxValue / 2);

    public List<int> Sizes { get; } = [];

    public bool IsDisposed { get; private set; }

    public CancellationToken LastStop { get; private set; }

    /// <summary>Waits until a run has begun.</summary>
    public Task StartedAsync() => _started.WaitAsync();

    /// <summary>Lets runs go on.</summary>
    public void Permit(int runs = 1_000_000) => _permits.Release(runs);

    public IReadOnlyList<TensorBuffer> Run(IReadOnlyList<BatchMember> members, CancellationToken stop)
    {
        lock (Sizes)
            Sizes.Add(members.Sum(m => m.Rows));
        LastStop = stop;
        _started.Release();
        _permits.Wait(stop);
        took?.Invoke();
        var whole = TensorBuffer.Concatenate(members.Select(m => m.Inputs[0]).ToArray());
        if (Samples.ToFloats(whole).Any(v => v < 0))
            throw new InvalidOperationException("A value is negative.");
        return [whole];
    }

    public void Dispose() => IsDisposed = true;
}
