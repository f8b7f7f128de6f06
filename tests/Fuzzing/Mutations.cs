using QueueMaaS.Contracts;

namespace QueueMaaS.Fuzzing;

/// <summary>
/// Changes good files in the ways that break parsers (bits, lengths, cuts, repeats, whole blocks of another file) and demands of the parser that it reads each or refuses it with a problem, in a bounded time.
/// QUEUEMAAS_FUZZ sets how many, QUEUEMAAS_FUZZ_SEED where the random numbers begin. What failed once is kept in tests/corpus, and tried first for good.
/// </summary>
internal static class Mutations
{
    private const int Default = 400;
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);
    private static readonly byte[] Edges = [0, 1, 0x7F, 0x80, 0xFE, 0xFF];

    /// <summary>Tries the parser on the kept corpus and on changed <paramref name="seeds"/>.</summary>
    /// <param name="parser">Its name, and that of its folder in the corpus.</param>
    /// <param name="seeds">Good inputs.</param>
    /// <param name="parse">Reads one, or throws a <see cref="ProblemException"/>.</param>
    public static void Try(string parser, IReadOnlyList<byte[]> seeds, Action<byte[]> parse)
    {
        var folder = Path.Combine(Root(), "tests", "corpus", parser);
        if (Directory.Exists(folder))
        {
            foreach (var kept in Directory.GetFiles(folder))
                TryOne(parser, File.ReadAllBytes(kept), parse);
        }

        foreach (var seed in seeds)
            TryOne(parser, seed, parse);
        var count = int.TryParse(Environment.GetEnvironmentVariable("QUEUEMAAS_FUZZ"), out var asked) ? asked : Default;
        var random = new Random(int.TryParse(Environment.GetEnvironmentVariable("QUEUEMAAS_FUZZ_SEED"), out var start) ? start : 1);
        for (var i = 0; i < count; i++)
            TryOne(parser, Mutate(seeds[random.Next(seeds.Count)], seeds, random), parse);
    }

    private static void TryOne(string parser, byte[] input, Action<byte[]> parse)
    {
        // On a thread of its own: one that never comes back is told, too.
        var parsing = Task.Run(() => parse(input));
        try
        {
            if (!parsing.Wait(Longest))
                throw new InvalidOperationException($"{parser} was not done with {Keep(parser, input)} ({input.Length} bytes) after {Longest.TotalSeconds:0} s. Mend it, and keep the file in tests/corpus/{parser}.");
        }
        catch (AggregateException failed) when (failed.InnerException is ProblemException)
        {
            // Refused, with a code and a reason.
        }
        catch (AggregateException failed)
        {
            var exception = failed.InnerException!;
            throw new InvalidOperationException($"{parser} neither read nor refused {Keep(parser, input)} ({input.Length} bytes): {exception.GetType().Name}: {exception.Message} Mend it, and keep the file in tests/corpus/{parser}.", exception);
        }
    }

    private static string Keep(string parser, byte[] input)
    {
        var file = Path.Combine(Path.GetTempPath(), $"queuemaas-fuzz-{parser}-{Guid.NewGuid():n}");
        File.WriteAllBytes(file, input);
        return file;
    }

    private static byte[] Mutate(byte[] seed, IReadOnlyList<byte[]> all, Random random)
    {
        var bytes = seed.ToList();
        for (var changes = random.Next(1, 5); changes > 0 && bytes.Count > 0; changes--)
        {
            // Heads decide more than what follows them.
            var at = random.Next(3) == 0 ? random.Next(bytes.Count) : random.Next(Math.Min(bytes.Count, 200));
            switch (random.Next(8))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = Edges[random.Next(Edges.Length)];
                    break;
                case 2:
                    for (var i = at; i < Math.Min(bytes.Count, at + 4); i++)
                        bytes[i] = Edges[random.Next(Edges.Length)];
                    break;
                case 3:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                case 4:
                    bytes.RemoveRange(at, Math.Min(random.Next(1, 64), bytes.Count - at));
                    break;
                case 5:
                    bytes.InsertRange(at, bytes.GetRange(at, Math.Min(random.Next(1, 64), bytes.Count - at)));
                    break;
                case 6:
                    var fresh = new byte[random.Next(1, 16)];
                    random.NextBytes(fresh);
                    bytes.InsertRange(at, fresh);
                    break;
                default:
                    var other = all[random.Next(all.Count)];
                    var from = random.Next(Math.Max(1, other.Length));
                    bytes.InsertRange(at, other.AsSpan(from, Math.Min(random.Next(1, 256), other.Length - from)));
                    break;
            }
        }

        return [.. bytes];
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "QueueMaaS.sln")))
            folder = folder.Parent!;
        return folder.FullName;
    }
}
