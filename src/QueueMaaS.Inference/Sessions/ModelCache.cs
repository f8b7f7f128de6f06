using QueueMaaS.Inference.Models;

namespace QueueMaaS.Inference.Sessions;

/// <summary>Model versions in memory: loaded on first use by one loader while other callers wait for it, dropped least recently used first, never while someone uses them.</summary>
internal sealed class ModelCache(int capacity, long maxBytes, Func<ServedModel, LoadedModel> load) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Slot> _slots = new(StringComparer.Ordinal);
    private readonly HashSet<Task> _unloading = [];
    private long _clock;
    private bool _closed;

    /// <summary>Versions in memory or being loaded.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
                return _slots.Count;
        }
    }

    /// <summary>Requests that hold a model: waiting in its batcher, or computed.</summary>
    public int Users
    {
        get
        {
            lock (_gate)
                return _slots.Values.Sum(static slot => slot.Users);
        }
    }

    /// <summary>The size of their files.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate)
                return _slots.Values.Sum(static slot => slot.Bytes);
        }
    }

    /// <summary>The loaded model, which stays in memory until the lease is disposed of.</summary>
    public async ValueTask<Lease> AcquireAsync(ServedModel model, CancellationToken cancellationToken)
    {
        var key = model.Key;
        Slot? slot;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closed, this);
            if (!_slots.TryGetValue(key, out slot))
            {
                // What goes is taken out before its successor comes in, so that memory holds one model too many for a moment at most.
                var bytes = SizeOf(model);
                Evict(room: 1, bytes);
                slot = new(bytes);
                slot.Load(() => load(model));
                _slots.Add(key, slot);
            }

            slot.Users++;
            slot.UsedAt = ++_clock;
        }

        try
        {
            return new(this, slot, await slot.Loading.WaitAsync(cancellationToken));
        }
        catch
        {
            Release(slot);
            lock (_gate)
            {
                // The next caller tries again: the file may have been repaired.
                if (slot.Loading.IsFaulted && _slots.TryGetValue(key, out var current) && ReferenceEquals(current, slot))
                    _slots.Remove(key);
            }

            throw;
        }
    }

    /// <summary>The models that are in memory now.</summary>
    public IReadOnlyList<LoadedModel> Loaded()
    {
        lock (_gate)
            return [.. _slots.Values.Where(static slot => slot.Loading.IsCompletedSuccessfully).Select(static slot => slot.Loaded!)];
    }

    /// <summary>The model where it is in memory; it counts as no use.</summary>
    public LoadedModel? Peek(ServedModel model)
    {
        lock (_gate)
            return _slots.TryGetValue(model.Key, out var slot) && slot.Loading.IsCompletedSuccessfully ? slot.Loaded : null;
    }

    public async ValueTask DisposeAsync()
    {
        Task[] all;
        lock (_gate)
        {
            _closed = true;
            foreach (var slot in _slots.Values)
                _unloading.Add(UnloadAsync(slot));
            _slots.Clear();
            all = [.. _unloading];
        }

        await Task.WhenAll(all);
    }

    private void Release(Slot slot)
    {
        lock (_gate)
        {
            slot.Users--;
            Evict(room: 0, bytes: 0);
        }
    }

    /// <summary>Under the lock.</summary>
    private void Evict(int room, long bytes)
    {
        while (_slots.Count + room > capacity || (_slots.Count > 1 - room && _slots.Values.Sum(static slot => slot.Bytes) + bytes > maxBytes))
        {
            var oldest = _slots.Where(s => s.Value.Users == 0 && s.Value.Loading.IsCompleted).OrderBy(s => s.Value.UsedAt).FirstOrDefault();
            if (oldest.Value is null)
                return;
            _slots.Remove(oldest.Key);
            var unloading = UnloadAsync(oldest.Value);
            _unloading.Add(unloading);
            _ = unloading.ContinueWith(Forget, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    /// <summary>A file that is not there fails when it is loaded, with the reason.</summary>
    private static long SizeOf(ServedModel model) => ModelPackage.Size(model.Path);

    private void Forget(Task unloading)
    {
        lock (_gate)
            _unloading.Remove(unloading);
    }

    private static async Task UnloadAsync(Slot slot)
    {
        await Task.Yield();
        try
        {
            var model = await slot.Loading;
            await model.DisposeAsync();
        }
        catch (Exception) when (slot.Loading.IsFaulted)
        {
            // It never came into memory; whoever asked for it was told.
        }
    }

    internal sealed class Slot(long bytes)
    {
        public long Bytes { get; } = bytes;

        /// <summary>Set before anyone can see the slot.</summary>
        public Task<LoadedModel> Loading { get; private set; } = null!;

        /// <summary>The model once it is in memory.</summary>
        public LoadedModel? Loaded { get; private set; }

        public void Load(Func<LoadedModel> load) => Loading = Task.Run(() => Loaded = load(), CancellationToken.None);

        public int Users { get; set; }

        public long UsedAt { get; set; }
    }

    /// <summary>Keeps a model in memory.</summary>
    internal readonly struct Lease(ModelCache cache, Slot slot, LoadedModel model) : IDisposable
    {
        public LoadedModel Model { get; } = model;

        public void Dispose() => cache.Release(slot);
    }
}
