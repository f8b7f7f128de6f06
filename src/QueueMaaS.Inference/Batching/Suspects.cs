using System.Globalization;
using System.Runtime.InteropServices;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Batching;

/// <summary>
/// Guesses from a runtime's message whose request made a batch fail: "idx=5000 must be within [-1000,999]" points at whoever sent 5000. Only a guess: the suspects are computed apart from the others, and
/// each is answered by what its own run gives.
/// </summary>
internal static class Suspects
{
    // More than that is no clue.
    private const int MostNumbers = 16;

    /// <summary>The parts that hold a whole number named in the message; null where none does, or more than a quarter of them.</summary>
    public static List<RequestPart>? Find(string message, List<RequestPart> parts)
    {
        List<RequestPart>? found = null;
        var numbers = 0;
        for (var at = 0; at < message.Length && numbers < MostNumbers; at++)
        {
            if (!char.IsAsciiDigit(message[at]))
                continue;
            var first = at > 0 && message[at - 1] == '-' ? at - 1 : at;
            while (at < message.Length && char.IsAsciiDigit(message[at]))
                at++;
            numbers++;
            if (!long.TryParse(message.AsSpan(first, at - first), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
                continue;
            var holders = Holding(value, parts);
            // The fewest holders are the best clue: the bounds of a table are in many a request.
            if (holders.Count > 0 && holders.Count <= parts.Count / 4 && (found is null || holders.Count < found.Count))
                found = holders;
        }

        return found;
    }

    private static List<RequestPart> Holding(long value, List<RequestPart> parts)
    {
        var holders = new List<RequestPart>();
        foreach (var part in parts)
        {
            foreach (var input in part.Member.Inputs)
            {
                if (!Holds(input, value))
                    continue;
                holders.Add(part);
                break;
            }
        }

        return holders;
    }

    private static bool Holds(TensorBuffer input, long value) => input.Datatype.Name switch
    {
        Datatypes.Int64 => MemoryMarshal.Cast<byte, long>(input.Bytes.Span).Contains(value),
        Datatypes.Int32 when value == (int)value => MemoryMarshal.Cast<byte, int>(input.Bytes.Span).Contains((int)value),
        _ => false,
    };
}
