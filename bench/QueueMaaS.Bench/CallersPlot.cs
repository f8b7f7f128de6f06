namespace QueueMaaS.Bench;

/// <summary>Draws throughput and tail latency by the number of callers.</summary>
internal static class CallersPlot
{
    /// <param name="path">A PNG file to write.</param>
    /// <param name="title">Over the picture.</param>
    /// <param name="levels">Callers and what they measured, ascending.</param>
    public static void Draw(string path, string title, IReadOnlyList<(int Callers, Measured Measured)> levels)
    {
        UseSystemFont();
        using var plot = new ScottPlot.Plot();
        double[] at = [.. levels.Select(level => Math.Log2(level.Callers))];
        var throughput = plot.Add.Scatter(at, levels.Select(level => level.Measured.PerSecond / 1000).ToArray());
        throughput.LegendText = "thousand rows/s (left)";
        throughput.LineWidth = 2;
        var tail = plot.Add.Scatter(at, levels.Select(level => level.Measured.P99).ToArray());
        tail.LegendText = "p99 in ms (right)";
        tail.LineWidth = 2;
        tail.Axes.YAxis = plot.Axes.Right;
        plot.Axes.Bottom.SetTicks(at, [.. levels.Select(level => $"{level.Callers}")]);
        plot.Axes.Bottom.Label.Text = "callers";
        plot.Axes.Left.Label.Text = "thousand rows/s";
        plot.Axes.Right.Label.Text = "p99 in ms";
        plot.Title(title);
        plot.Axes.AutoScale();
        plot.Axes.SetLimitsY(0, levels.Max(level => level.Measured.PerSecond) / 1000 * 1.1);
        plot.Axes.SetLimitsY(0, levels.Max(level => level.Measured.P99) * 1.1, plot.Axes.Right);
        plot.Font.Set(ScottPlot.Fonts.Default);
        plot.ShowLegend(ScottPlot.Alignment.UpperLeft);
        plot.SavePng(path, 900, 500);
    }

    /// <summary>The drawing library here comes without the system's font search, so it is shown a file; without any the picture has no words.</summary>
    private static void UseSystemFont()
    {
        string[] folders = ["/usr/share/fonts", "/System/Library/Fonts", Environment.GetFolderPath(Environment.SpecialFolder.Fonts)];
        var file = folders.Where(Directory.Exists).SelectMany(static folder => Directory.EnumerateFiles(folder, "*.ttf", SearchOption.AllDirectories))
            .OrderByDescending(static file => Path.GetFileName(file) is "DejaVuSans.ttf" or "LiberationSans-Regular.ttf").FirstOrDefault();
        if (file is null)
            return;
        ScottPlot.Fonts.AddFontFile("words", file);
        ScottPlot.Fonts.Default = "words";
    }
}
