using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Batching;

/// <summary>How large one answer may become (<see cref="InferenceOptions.MaxAnswerBytes"/>). A request of seventy bytes can ask a model that expands or repeats its input for gigabytes, and an answer is held several times on its way: as tensors, as text, in the store.</summary>
internal static class AnswerLimit
{
    /// <summary>Without a setting.</summary>
    public const long None = long.MaxValue;

    /// <summary>What a string costs beside its text.</summary>
    public const int PerText = 8;

    /// <summary>Most bytes that the outputs of a run may have: so many that none of its members, each of which gets its rows of them, has more than it may.</summary>
    public static long OfRun(long mostBytes, IReadOnlyList<BatchMember> members)
    {
        if (mostBytes == None || members.Count == 1)
            return mostBytes;
        var (rows, largest) = (0L, 1L);
        for (var i = 0; i < members.Count; i++)
        {
            rows += members[i].Rows;
            largest = Math.Max(largest, members[i].Rows);
        }

        return mostBytes * rows / largest;
    }

    /// <summary>The bytes of an answer.</summary>
    public static long BytesOf(IReadOnlyList<TensorBuffer> outputs)
    {
        var bytes = 0L;
        for (var i = 0; i < outputs.Count; i++)
        {
            bytes += outputs[i].Bytes.Length;
            foreach (var text in outputs[i].Texts.Span)
                bytes += PerText + text.Length;
        }

        return bytes;
    }

    /// <summary>The tensors are too large.</summary>
    public static ProblemException Exceeded(long mostBytes) => new(
        ProblemCodes.AnswerTooLarge,
        $"The model's answer to this request is larger than {mostBytes:N0} bytes, the most that one answer may have (Inference:MaxAnswerBytes). Send fewer rows at a time, or values that ask for a smaller output.",
        ("limit", mostBytes));

    /// <summary>The tensors would do, but not what they become when they are written as numbers.</summary>
    public static ProblemException ExceededAsText(long mostBytes) => new(
        ProblemCodes.AnswerTooLarge,
        $"Written as JSON the answer is larger than {mostBytes:N0} bytes, the most that one answer may have (Inference:MaxAnswerBytes). Ask for fewer outputs (`outputs`) or rows, or, at /v2, for binary ones (`binary_data_output`).",
        ("limit", mostBytes));
}
