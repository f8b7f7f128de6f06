using QueueMaaS.Contracts;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.BatchJobs;

/// <summary>
/// How many items of a batch job are computed together where the job does not say. What decides is written in the model's file, nothing that is measured: the last digits of an answer may depend on the rows
/// beside it, and the same job has to give the same bytes whenever and wherever it runs.
/// </summary>
internal static class GroupSizes
{
    private const int Usual = 64;

    /// <summary>Where a row costs next to nothing, the call itself counts: more rows share it.</summary>
    private const int Light = 256;

    /// <summary>Where a row takes milliseconds, an interactive request should not have to wait for many.</summary>
    private const int Heavy = 16;

    private const long LightRowBytes = 4 << 10;
    private const long LightModelBytes = 4 << 20;
    private const long HeavyRowBytes = 256 << 10;
    private const long HeavyModelBytes = 64 << 20;

    /// <summary>The size of a group.</summary>
    /// <param name="model">The version; one whose rows must not be put together gets groups of one.</param>
    /// <param name="asked">What the job says.</param>
    public static int Choose(ServedModel model, int? asked)
    {
        if (model.IsSingle)
            return 1;
        if (asked is { } size)
            return size;
        var weights = new FileInfo(model.Path).Length;
        if (RowBytes(model.Signature) is not { } row)
            return weights > HeavyModelBytes ? Heavy : Usual;
        if (row > HeavyRowBytes || weights > HeavyModelBytes)
            return Heavy;
        return row <= LightRowBytes && weights <= LightModelBytes ? Light : Usual;
    }

    /// <summary>Bytes of one row of all inputs; null where a free axis leaves that open.</summary>
    private static long? RowBytes(ModelSignature signature)
    {
        var total = 0L;
        foreach (var input in signature.Inputs)
        {
            var bytes = (long)Math.Max(1, TensorDatatype.Find(input.Datatype)?.Size ?? 1);
            foreach (var size in input.Shape.Skip(1))
            {
                if (size < 0)
                    return null;
                bytes *= size;
            }

            total += bytes;
        }

        return total;
    }
}
