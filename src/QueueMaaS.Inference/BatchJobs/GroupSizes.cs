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

    /// <summary>Where rows are answered by so much, fewer of them go together: their answers are in memory at once, and an answer may not become too large.</summary>
    private const long MostOutputBytes = 32 << 20;

    /// <summary>The size of a group.</summary>
    /// <param name="model">The version; one whose rows must not be put together gets groups of one.</param>
    /// <param name="asked">What the job says.</param>
    public static int Choose(ServedModel model, int? asked)
    {
        if (model.IsSingle)
            return 1;
        if (asked is { } size)
            return size;
        var most = RowBytes(model.Signature.Outputs) is { } output and > 0 ? (int)Math.Clamp(MostOutputBytes / output, 1, Light) : Light;
        return Math.Min(most, ByInputs(model));
    }

    private static int ByInputs(ServedModel model)
    {
        var weights = new FileInfo(model.Path).Length;
        if (RowBytes(model.Signature.Inputs) is not { } row)
            return weights > HeavyModelBytes ? Heavy : Usual;
        if (row > HeavyRowBytes || weights > HeavyModelBytes)
            return Heavy;
        return row <= LightRowBytes && weights <= LightModelBytes ? Light : Usual;
    }

    /// <summary>Bytes of one row of all tensors; null where a free axis leaves that open.</summary>
    private static long? RowBytes(IReadOnlyList<TensorSignature> tensors)
    {
        var total = 0L;
        foreach (var tensor in tensors)
        {
            var bytes = (long)Math.Max(1, TensorDatatype.Find(tensor.Datatype)?.Size ?? 1);
            foreach (var size in tensor.Shape.Skip(1))
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
