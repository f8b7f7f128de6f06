using System.Globalization;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Sweeps;

/// <summary>One field of a search space, checked: which points a grid takes of it, and how a random one is drawn.</summary>
internal sealed class SearchDimension
{
    private readonly SearchRange _range;
    private readonly (double Least, double Most) _bounds;

    private SearchDimension(FieldPath path, SearchRange range)
    {
        Path = path;
        _range = range;
        if (range.Values is not null)
            return;
        var (kind, bounds) = range switch
        {
            { Uniform: { } uniform } => ("uniform", uniform),
            { LogUniform: { } log } => ("logUniform", log),
            { Integer: { } whole } => ("integer", whole.Select(v => (double)v).ToArray()),
            _ => ("logInteger", (IReadOnlyList<double>)[.. range.LogInteger!.Select(v => (double)v)]),
        };
        if (bounds.Count != 2)
            throw Invalid($"`{kind}` must have two numbers, the least and the greatest, not {bounds.Count}.");
        _bounds = (bounds[0], bounds[1]);
        if (!double.IsFinite(_bounds.Least) || !double.IsFinite(_bounds.Most))
            throw Invalid($"`{kind}` must have two finite numbers.");
        if (_bounds.Least >= _bounds.Most)
            throw Invalid($"`{kind}` goes from {_bounds.Least:R} to {_bounds.Most:R}, which is upside down or empty: the first number must be the smaller one.");
        if (IsLog && _bounds.Least <= 0)
            throw Invalid($"`{kind}` begins at {_bounds.Least:R}; on a logarithmic scale it must begin above 0.");
        if (Math.Max(Math.Abs(_bounds.Least), Math.Abs(_bounds.Most)) > 1e15)
            throw Invalid($"`{kind}` must stay within ±1e15.");
    }

    /// <summary>The field.</summary>
    public FieldPath Path { get; }

    /// <summary>How many points there are to draw from; infinite for a range of real numbers.</summary>
    public double Count => _range.Values?.Count ?? (IsInteger ? _bounds.Most - _bounds.Least + 1 : double.PositiveInfinity);

    /// <summary>How many points a grid takes; null where nothing says it.</summary>
    public double? GridCount => _range switch
    {
        { Values: { } values } => values.Count,
        { Points: { } points } => Math.Min(points, Count),
        { Integer: not null } => Count,
        _ => null,
    };

    private bool IsLog => _range.LogUniform is not null || _range.LogInteger is not null;

    private bool IsInteger => _range.Integer is not null || _range.LogInteger is not null;

    /// <exception cref="ProblemException"><c>search_invalid</c>, naming the field.</exception>
    public static SearchDimension Of(string field, SearchRange? range)
    {
        var path = FieldPath.Parse(field);
        if (range is null || new object?[] { range.Values, range.Uniform, range.LogUniform, range.Integer, range.LogInteger }.Count(given => given is not null) != 1)
            throw Invalid(field, "Give exactly one of `values`, `uniform`, `logUniform`, `integer` and `logInteger`.");
        if (range.Values is { Count: 0 })
            throw Invalid(field, "`values` is empty, so there is nothing to try.");
        if (range.Points is not null && range.Values is not null)
            throw Invalid(field, "`points` is for ranges; leave it out beside `values`.");
        if (range.Points is < 2)
            throw Invalid(field, $"`points` is {range.Points}; it must be at least 2, the range's ends.");
        return new(path, range);
    }

    /// <summary>Refuses values that stand there twice. Sweeps that were accepted with such are led on.</summary>
    /// <exception cref="ProblemException"><c>search_invalid</c>, naming the field and the value.</exception>
    public static void RequireDifferent(string field, SearchRange? range)
    {
        if (range?.Values?.GroupBy(static value => value, SameValue.Comparer).FirstOrDefault(static same => same.Count() > 1) is { Key: var twice } same)
            throw Invalid(field, $"`values` has {Short(twice.GetRawText())} {same.Count()} times. A value that is tried twice tells nothing new; give each once.");
    }

    /// <summary>The grid's point of this number, from 0.</summary>
    public JsonElement At(long index)
    {
        if (_range.Values is { } values)
            return values[(int)index];
        var count = GridCount!.Value;
        return Number(index / Math.Max(1, count - 1));
    }

    /// <summary>A random point: a function of the seed, the field and the trial's number (and of how often it was drawn in vain), so that it is the same in every process.</summary>
    public JsonElement Draw(long seed, int trial, int again)
    {
        var unit = Seeds.Unit(Seeds.For(seed, $"sweep {Path.Text}", trial, again));
        if (_range.Values is { } values)
            return values[(int)(unit * values.Count)];
        if (!IsInteger)
            return Number(unit);
        // Every whole number has a stretch of its own.
        var (from, to) = IsLog ? (Math.Log(_bounds.Least - 0.5), Math.Log(_bounds.Most + 0.5)) : (_bounds.Least - 0.5, _bounds.Most + 0.5);
        var at = from + (unit * (to - from));
        return JsonSerializer.SerializeToElement((long)Math.Clamp(Math.Round(IsLog ? Math.Exp(at) : at), _bounds.Least, _bounds.Most));
    }

    private JsonElement Number(double share)
    {
        // The ends are exactly what was asked for.
        var value = share switch
        {
            0 => _bounds.Least,
            1 => _bounds.Most,
            _ => IsLog ? Math.Exp(Math.Log(_bounds.Least) + (share * (Math.Log(_bounds.Most) - Math.Log(_bounds.Least)))) : _bounds.Least + (share * (_bounds.Most - _bounds.Least)),
        };
        // Twelve digits are more than a setting needs, and 0.001 stays 0.001.
        return IsInteger ? JsonSerializer.SerializeToElement((long)Math.Round(value)) : JsonSerializer.SerializeToElement(double.Parse(value.ToString("G12", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture));
    }

    private static string Short(string text) => text.Length <= 60 ? text : $"{text[..57]}…";

    private ProblemException Invalid(string fault) => Invalid(Path.Text, fault);

    private static ProblemException Invalid(string field, string fault) => new(ProblemCodes.SearchInvalid, $"The field `{field}` of `search.space` is at fault: {fault}", ("field", field), ("path", "input.search.space"));

    /// <summary>Values that are the same however they are written: 0.1 and 0.10, an object with its members in another order.</summary>
    private sealed class SameValue : IEqualityComparer<JsonElement>
    {
        public static readonly SameValue Comparer = new();

        public bool Equals(JsonElement one, JsonElement other) => JsonElement.DeepEquals(one, other);

        public int GetHashCode(JsonElement value) => (int)value.ValueKind;
    }
}
