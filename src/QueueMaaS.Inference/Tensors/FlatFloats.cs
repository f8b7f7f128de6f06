using System.Globalization;

namespace QueueMaaS.Inference.Tensors;

/// <summary>
/// Reads a JSON array of numbers, flat or of one row, into floats, each rounded to the nearest as <see cref="float.Parse(string)"/> does, without a reader of tokens between: most requests are of this form, and reading them took
/// a sixth of the service's processor time in jobs of a small model. Exact by William Clinger, "How to Read Floating Point Numbers Accurately" (PLDI 1990): digits that fit into the significand, divided by a power
/// of ten that is itself exact, are rounded once. What has more digits goes by the standard parser.
/// </summary>
internal static class FlatFloats
{
    // A double holds every whole number up to here, and every power of ten up to the last of these.
    private const ulong MostExact = 1UL << 53;

    // A float keeps 29 bits less of the significand than a double. Where these are just half, rounding twice could differ from rounding once.
    private const ulong Dropped = (1UL << 29) - 1;
    private const ulong Half = 1UL << 28;

    private static ReadOnlySpan<double> Powers => [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22];

    /// <summary>
    /// False where the text is anything but an array of just so many finite numbers, flat or in one row nested as <paramref name="shape"/>; it is then read again by whoever can say
    /// what is wrong.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> json, ReadOnlySpan<long> shape, Span<float> values)
    {
        var (at, depth) = (0, 0);
        while (Take(json, ref at, (byte)'['))
            depth++;
        if (depth != 1 && (depth == 0 || depth != shape.Length || shape[..^1].ContainsAnyExcept(1)))
            return false;
        for (var i = 0; i < values.Length; i++)
        {
            if ((i > 0 && !Take(json, ref at, (byte)',')) || !TryNumber(json, ref at, out values[i]))
                return false;
        }

        for (; depth > 0; depth--)
        {
            if (!Take(json, ref at, (byte)']'))
                return false;
        }

        return At(json, at) == json.Length;
    }

    private static bool TryNumber(ReadOnlySpan<byte> json, ref int at, out float value)
    {
        value = 0;
        at = At(json, at);
        var start = at;
        var isNegative = at < json.Length && json[at] == '-';
        if (isNegative)
            at++;
        var (digits, first) = (0UL, at);
        if (!Digits(json, ref at, ref digits) || (json[first] == '0' && at > first + 1))
            return false;
        var length = at - first;
        var decimals = 0;
        if (at < json.Length && json[at] == '.')
        {
            first = ++at;
            if (!Digits(json, ref at, ref digits))
                return false;
            decimals = at - first;
            length += decimals;
        }

        // 19 digits fit into 64 bits; leading zeros count as if they were others, which only sends some by the longer way.
        var hasExponent = at < json.Length && (json[at] | 0x20) == 'e';
        if (hasExponent || length > 19 || digits > MostExact || decimals >= Powers.Length)
            return TryStandard(json, start, ref at, hasExponent, out value);
        var exact = digits / Powers[decimals];
        if ((BitConverter.DoubleToUInt64Bits(exact) & Dropped) == Half || (exact < 1e-37 && digits != 0))
            return TryStandard(json, start, ref at, hasExponent, out value);
        value = isNegative ? -(float)exact : (float)exact;
        return true;
    }

    /// <summary>Reads on to the end of the exponent, if there is one, and has the whole number parsed.</summary>
    private static bool TryStandard(ReadOnlySpan<byte> json, int start, ref int at, bool hasExponent, out float value)
    {
        value = 0;
        if (hasExponent)
        {
            at++;
            if (at < json.Length && json[at] is (byte)'+' or (byte)'-')
                at++;
            var ignored = 0UL;
            if (!Digits(json, ref at, ref ignored))
                return false;
        }

        return float.TryParse(json[start..at], NumberStyles.Float, CultureInfo.InvariantCulture, out value) && float.IsFinite(value);
    }

    /// <summary>At least one digit; more than 64 bits can hold overflow unseen, and are told by their number.</summary>
    private static bool Digits(ReadOnlySpan<byte> json, ref int at, ref ulong digits)
    {
        var first = at;
        for (; at < json.Length && (uint)(json[at] - '0') <= 9; at++)
            digits = unchecked((digits * 10) + (uint)(json[at] - '0'));
        return at > first;
    }

    private static bool Take(ReadOnlySpan<byte> json, ref int at, byte wanted)
    {
        at = At(json, at);
        if (at >= json.Length || json[at] != wanted)
            return false;
        at++;
        return true;
    }

    /// <summary>The next place that is no white space.</summary>
    private static int At(ReadOnlySpan<byte> json, int at)
    {
        while (at < json.Length && json[at] is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t')
            at++;
        return at;
    }
}
