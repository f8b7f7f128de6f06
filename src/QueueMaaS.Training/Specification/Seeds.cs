namespace QueueMaaS.Training.Specification;

/// <summary>
/// Every random choice of a training is a function of the job's seed and of what the choice is for (a weight's name, an epoch, a step, an item).
/// So nothing random has a state that a checkpoint would have to carry, and a training that goes on elsewhere draws what it would have drawn here.
/// </summary>
internal static class Seeds
{
    /// <summary>A 64-bit seed as the 32 bits that <see cref="Random"/> takes.</summary>
    public static int Fold(long seed) => unchecked((int)(seed ^ (seed >> 32)));

    /// <summary>The seed for one purpose.</summary>
    public static long For(long seed, string purpose, long first = 0, long second = 0)
    {
        var hash = Mix(unchecked((ulong)seed) ^ 0x9E3779B97F4A7C15);
        foreach (var c in purpose)
            hash = Mix(hash ^ c);
        hash = Mix(hash ^ unchecked((ulong)first));
        return unchecked((long)Mix(hash ^ (unchecked((ulong)second) * 0xD1B54A32D192ED03)));
    }

    /// <summary>A generator for one purpose.</summary>
    public static Random Generator(long seed, string purpose, long first = 0, long second = 0) => new(Fold(For(seed, purpose, first, second)));

    /// <summary>A number from 0 up to 1 for one purpose: much cheaper than a generator where one number is all that is needed.</summary>
    public static double Unit(long seed) => (Mix(unchecked((ulong)seed)) >> 11) * (1.0 / (1UL << 53));

    /// <summary>SplitMix64's finaliser (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).</summary>
    private static ulong Mix(ulong x)
    {
        unchecked
        {
            x += 0x9E3779B97F4A7C15;
            x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
            x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
            return x ^ (x >> 31);
        }
    }
}
