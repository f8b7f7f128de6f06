using SkiaSharp;

namespace QueueMaaS.Data.Demo;

/// <summary>The outlines of <see cref="ShapesDataset"/>'s classes, within a circle of radius 1 around the origin.</summary>
internal static class ShapePaths
{
    public static SKPath Create(int label) => label switch
    {
        0 => Polygon([(0, -1), (0.75f, -0.1f), (0.26f, -0.1f), (0.26f, 1), (-0.26f, 1), (-0.26f, -0.1f), (-0.75f, -0.1f)]),
        1 => Circle(0.92f),
        2 => Polygon([(-0.8f, -0.9f), (-0.2f, -0.9f), (-0.2f, 0.26f), (0.8f, 0.26f), (0.8f, 0.9f), (-0.8f, 0.9f)]),
        3 => Polygon([(-0.26f, -1), (0.26f, -1), (0.26f, -0.26f), (1, -0.26f), (1, 0.26f), (0.26f, 0.26f), (0.26f, 1), (-0.26f, 1), (-0.26f, 0.26f), (-1, 0.26f), (-1, -0.26f), (-0.26f, -0.26f)]),
        4 => Parse("M 0 1 C -0.6 0.5 -1 0.15 -1 -0.35 C -1 -1 -0.2 -1.05 0 -0.45 C 0.2 -1.05 1 -1 1 -0.35 C 1 0.15 0.6 0.5 0 1 Z"),
        5 => Parse("M 0.35 -0.95 A 1 1 0 1 0 0.35 0.95 A 0.8 0.95 0 0 1 0.35 -0.95 Z"),
        6 => Ring(),
        7 => Polygon([(-0.8f, -0.8f), (0.8f, -0.8f), (0.8f, 0.8f), (-0.8f, 0.8f)]),
        8 => Star(),
        9 => Polygon([At(1, 0), At(1, MathF.Tau / 3), At(1, 2 * MathF.Tau / 3)]),
        _ => throw new ArgumentOutOfRangeException(nameof(label), label, "There are ten shapes, 0 to 9."),
    };

    private static SKPath Parse(string svg) => SKPath.ParseSvgPathData(svg) ?? throw new InvalidOperationException($"Not a path: {svg}");

    private static SKPath Polygon((float X, float Y)[] corners) =>
        Parse("M " + string.Join(" L ", corners.Select(c => $"{c.X} {c.Y}")) + " Z");

    private static SKPath Circle(float radius) => Parse($"M {-radius} 0 A {radius} {radius} 0 1 0 {radius} 0 A {radius} {radius} 0 1 0 {-radius} 0 Z");

    /// <summary>Two circles that run in opposite directions leave the inner one empty.</summary>
    private static SKPath Ring() => Parse("M -1 0 A 1 1 0 1 0 1 0 A 1 1 0 1 0 -1 0 Z M -0.55 0 A 0.55 0.55 0 1 1 0.55 0 A 0.55 0.55 0 1 1 -0.55 0 Z");

    private static SKPath Star() => Polygon([.. Enumerable.Range(0, 10).Select(i => At(i % 2 == 0 ? 1 : 0.4f, i * MathF.Tau / 10))]);

    private static (float X, float Y) At(float radius, float angle) => (radius * MathF.Sin(angle), -radius * MathF.Cos(angle));
}
