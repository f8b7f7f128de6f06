using Microsoft.Extensions.Options;

namespace QueueMaaS.Jobs.Settings;

/// <summary>Settings that may change while the program runs. A change comes in once it was checked; one that does not fit is never seen here.</summary>
public sealed class CurrentOptions<T>(IOptions<T> initial)
    where T : class
{
    private T _value = initial.Value;

    /// <summary>The settings that hold now.</summary>
    public T Value
    {
        get => Volatile.Read(ref _value);
        set => Volatile.Write(ref _value, value);
    }
}
