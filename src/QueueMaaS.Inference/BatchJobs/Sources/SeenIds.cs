using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using QueueMaaS.Contracts;

namespace QueueMaaS.Inference.BatchJobs.Sources;

/// <summary>
/// Tells ids that are given twice. The ids of tens of millions of items have to fit into memory, and to grow without ever needing twice of it at once: 76 bits of each
/// id's SHA-256 are kept, 12 of them by the place in which the other 64 stand, in small tables with open addressing (about 13 bytes for an id).
/// Two different ids among ten million agree in them with a chance of 1 in 10^9; that file would be refused, and nothing worse.
/// </summary>
internal sealed class SeenIds
{
    private const int Tables = 4096;
    private const int Smallest = 8;

    // An empty place is 0: a hash that is 0 is kept as 1.
    private readonly ulong[]?[] _tables = new ulong[]?[Tables];
    private readonly int[] _counts = new int[Tables];

    /// <exception cref="ProblemException"><c>duplicate_id</c>.</exception>
    public void Add(string id, long number, string where)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        Span<byte> bytes = Encoding.UTF8.GetMaxByteCount(id.Length) <= 512 ? stackalloc byte[512] : new byte[Encoding.UTF8.GetMaxByteCount(id.Length)];
        SHA256.HashData(bytes[..Encoding.UTF8.GetBytes(id, bytes)], hash);
        if (!Add(BinaryPrimitives.ReadUInt16LittleEndian(hash) % Tables, Math.Max(BinaryPrimitives.ReadUInt64LittleEndian(hash[8..]), 1)))
            throw new ProblemException(ProblemCodes.DuplicateId, $"{where} {number} has the id `{id}`, which an item before it has too. Results are told apart by their ids: give each one of its own.", ("id", id), ("item", number));
    }

    private bool Add(int table, ulong hash)
    {
        var places = _tables[table] ??= new ulong[Smallest];
        if (!Put(places, hash))
            return false;
        // Seven of eight places taken: the next one would be looked for too long.
        if (++_counts[table] >= places.Length / 8 * 7)
        {
            _tables[table] = new ulong[places.Length * 2];
            foreach (var kept in places.Where(kept => kept != 0))
                Put(_tables[table]!, kept);
        }

        return true;
    }

    private static bool Put(ulong[] places, ulong hash)
    {
        // The length is a power of two.
        for (var place = (int)hash & (places.Length - 1); ; place = (place + 1) & (places.Length - 1))
        {
            if (places[place] == hash)
                return false;
            if (places[place] == 0)
            {
                places[place] = hash;
                return true;
            }
        }
    }
}
