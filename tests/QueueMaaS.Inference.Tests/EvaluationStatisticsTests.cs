using QueueMaaS.Contracts;
using QueueMaaS.Inference.Evaluation.Statistics;

namespace QueueMaaS.Inference.Tests;

/// <summary>Every statistic against values that were computed apart from it: in Python by the definitions (pairs for the AUC, thresholds for the average precision, a fine grid for the temperature), or by hand.</summary>
public sealed class EvaluationStatisticsTests
{
    private const double Close = 1e-6;

    [Fact]
    public void The_curves_take_equal_scores_together()
    {
        var curves = RankCurves.Of([0.9, 0.8, 0.8, 0.7, 0.4, 0.4, 0.1], [true, true, false, false, true, false, false])!;

        curves.RocAuc.ShouldBe(0.75, Close);
        curves.AveragePrecision.ShouldBe(0.7222222222222222, Close);
        curves.Roc[0].ShouldBe(new CurvePoint(0, 0));
        curves.Roc[^1].ShouldBe(new CurvePoint(1, 1));
        RankCurves.Of([0.5, 0.2], [true, true]).ShouldBeNull("there is nothing to tell apart");
    }

    [Fact]
    public void Labels_give_the_figures_of_their_definitions()
    {
        var figures = Classification.Measure(Five(), ["a", "b", "c"], 200, 1, TestContext.Current.CancellationToken);

        figures.Accuracy.ShouldBe(0.6, Close);
        figures.LogLoss.ShouldBe(0.7661758863589482, 1e-5);
        figures.Classes.Select(c => (c.Support, c.Predicted)).ShouldBe([(1, 3), (2, 1), (2, 1)]);
        figures.Classes.Select(c => Math.Round(c.F1!.Value, 6)).ShouldBe([0.5, 0.666667, 0.666667]);
        figures.MacroF1.ShouldBe(0.611111111111111, Close);
        figures.MacroPrecision.ShouldBe((1.0 / 3 + 1 + 1) / 3, Close);
        figures.MacroRecall.ShouldBe((1 + 0.5 + 0.5) / 3, Close);
        figures.Top5Accuracy.ShouldBeNull("there are only three labels");
        figures.Confusion.SelectMany(row => row).ShouldBe([1, 0, 0, 1, 1, 0, 1, 0, 1]);
    }

    [Fact]
    public void Calibration_is_that_of_fifteen_bins_and_the_temperature_that_of_the_least_loss()
    {
        var figures = Calibration.Measure(Five());

        figures.Ece.ShouldBe(0.2724866108360163, Close);
        figures.Temperature.ShouldBe(0.8028501656560205, 1e-3);
        figures.LogLossAfter.ShouldBe(0.7567460541413943, 1e-5);
        figures.Bins.Count.ShouldBe(15);
        figures.Bins.Where(bin => bin.Items == 0).ShouldAllBe(bin => bin.Accuracy == null && bin.Confidence == null);
    }

    [Fact]
    public void The_five_likeliest_labels_count_where_there_are_more()
    {
        // The truth is the sixth likeliest of six, then the fifth.
        var predictions = new LabelPredictions([6, 5, 4, 3, 2, 1, 6, 5, 4, 3, 2, 1], [5, 4], 6);

        Classification.Measure(predictions, ["a", "b", "c", "d", "e", "f"], 100, 1, TestContext.Current.CancellationToken).Top5Accuracy.ShouldBe(0.5);
    }

    [Fact]
    public void A_class_that_never_occurs_has_no_recall_and_nothing_is_divided_by_zero()
    {
        var figures = Classification.Measure(new([1, 0, 0, 1, 0, 0], [0, 0], 3), ["a", "b", "c"], 100, 1, TestContext.Current.CancellationToken);

        (figures.Classes[2].Recall, figures.Classes[2].Precision, figures.Classes[2].F1, figures.Classes[2].RocAuc).ShouldBe((null, null, null, null));
        (figures.Accuracy, figures.MacroF1, figures.RocAuc).ShouldBe((1, 1, null));
        (figures.AccuracyInterval.Low, figures.AccuracyInterval.High).ShouldBe((1, 1));
    }

    // 2·Σ C(n, i)/2ⁿ for few, erfc(√(χ²/2)) for many.
    [Theory]
    [InlineData(5, 2, true, 0.453125)]
    [InlineData(1, 9, true, 0.021484375)]
    [InlineData(0, 0, true, 1.0)]
    [InlineData(3, 3, true, 1.0)]
    [InlineData(30, 12, false, 0.008711912962379598)]
    [InlineData(40, 40, false, 1.0)]
    [InlineData(24, 1, false, 1.0825087815407715e-05)]
    public void McNemar_is_exact_for_few_and_chi_square_for_many(int onlyFirst, int onlySecond, bool exact, double p)
    {
        var test = Comparison.McNemar(onlyFirst, onlySecond);

        test.Exact.ShouldBe(exact);
        test.PValue.ShouldBe(p, 1e-10);
    }

    [Fact]
    public void Numbers_give_the_figures_of_their_definitions()
    {
        // Residuals 1, −1, 2, 0 over truths 1, 2, 3, 4: squares 6, variation 5.
        var figures = Regression.Measure(new([2, 1, 5, 4], [1, 2, 3, 4]), 500, 1, TestContext.Current.CancellationToken);

        (figures.Mae, figures.Bias).ShouldBe((1, 0.5));
        figures.Rmse.ShouldBe(Math.Sqrt(1.5), Close);
        figures.R2!.Value.ShouldBe(1 - (6.0 / 5), Close);
        figures.Residuals.Select(r => Math.Round(r.Residual, 6)).ShouldBe([-1, -0.85, -0.25, 0.5, 1.25, 1.85, 2]);
        Regression.Measure(new([2, 1], [3, 3]), 100, 1, TestContext.Current.CancellationToken).R2.ShouldBeNull("all truths are equal");
    }

    [Fact]
    public void The_bootstraps_interval_is_near_that_of_theory_and_the_same_for_a_seed()
    {
        // 1,000 items, 800 right: 0.8 ± 1.96·√(0.8·0.2/1000) = 0.7752 … 0.8248.
        double[] right = [.. Enumerable.Range(0, 1000).Select(i => i < 800 ? 1.0 : 0)];
        double[] Draw(int seed) => Resampling.Draw(1000, 2000, seed, 1, (drawn, figures) => figures[0] = drawn.Average(i => right[i]), TestContext.Current.CancellationToken)[0];

        var interval = Resampling.Middle(Draw(1));
        interval.Low.ShouldBe(0.7752, 0.003);
        interval.High.ShouldBe(0.8248, 0.003);
        Resampling.Middle(Draw(1)).ShouldBe(interval);
        Draw(2).ShouldNotBe(Draw(1));
    }

    [Fact]
    public void The_paired_bootstrap_finds_a_difference_and_no_difference()
    {
        double[] truth = [.. Enumerable.Range(0, 200).Select(i => (double)i)];
        NumberPredictions Off(double by) => new([.. truth.Select((t, i) => t + (i % 2 == 0 ? by : -by) + (i % 5 * 0.01))], truth);

        var real = Comparison.OfNumbers(Off(1), Off(2), "one", "two", 500, 1, TestContext.Current.CancellationToken);
        (real.Significant, real.DifferenceInterval.High < -0.9).ShouldBe((true, true));
        real.Sentence.ShouldContain("one is smaller by 1 (95 % interval 1 to 1,");
        var none = Comparison.OfNumbers(Off(1), Off(1), "one", "two", 500, 1, TestContext.Current.CancellationToken);
        (none.Significant, none.PValue).ShouldBe((false, 1));
    }

    [Fact]
    public void Slices_are_quarters_or_categories_and_the_empty_ones_are_named()
    {
        int[] items = [0, 1, 2, 3, 4, 5, 6, 7];
        Slicing.Divide(new("n", null, [1, 2, 3, 4, 5, 6, 7, double.NaN], []), items).Select(s => (s.Name, s.Items.Length))
            .ShouldBe([("[1, 2.5)", 2), ("[2.5, 4)", 1), ("[4, 5.5)", 2), ("[5.5, 7]", 2), ("(missing)", 1)]);
        Slicing.Divide(new("c", ["x", "x", null, "x", "y", "x", "x", "x"], null, ["x", "y", "z"]), items).Select(s => (s.Name, s.Items.Length))
            .ShouldBe([("x", 6), ("y", 1), ("z", 0), ("(missing)", 1)]);
    }

    [Fact]
    public void The_interval_of_a_difference_has_the_sign_of_its_sentence()
    {
        double[] truth = [.. Enumerable.Range(0, 100).Select(i => (double)i)];
        NumberPredictions Off(double by) => new([.. truth.Select((t, i) => t + (by * (1 + (i % 3))))], truth);
        string Said(ModelComparison comparison) => comparison.Sentence[(comparison.Sentence.IndexOf("the mean", StringComparison.Ordinal))..comparison.Sentence.IndexOf(", paired", StringComparison.Ordinal)];

        var better = Comparison.OfNumbers(Off(1), Off(1.5), "one", "two", 500, 1, TestContext.Current.CancellationToken);
        var worse = Comparison.OfNumbers(Off(1.5), Off(1), "two", "one", 500, 1, TestContext.Current.CancellationToken);

        (better.Difference, better.DifferenceInterval.High, worse.DifferenceInterval.Low).ShouldSatisfyAllConditions(d => d.Item1.ShouldBe(-0.995, 1e-9), d => d.Item2.ShouldBeLessThan(0), d => d.Item3.ShouldBeGreaterThan(0));
        Said(better).ShouldBe(Said(worse), "whichever comes first, one is better by as much");
        Said(better).ShouldStartWith("the mean absolute error of one is smaller by 0.995 (95 % interval 0.9");
    }

    [Fact]
    public void Numbers_of_few_values_are_categories_and_no_two_slices_have_the_same_bounds()
    {
        static IEnumerable<(string, int)> Divide(params double[] numbers) => Slicing.Divide(new("n", null, numbers, []), [.. Enumerable.Range(0, numbers.Length)]).Select(s => (s.Name, s.Items.Length));

        Divide([.. Enumerable.Repeat(1024.0, 8)]).ShouldBe([("1024", 8)]);
        Divide(1024, 1024, 4096, 1024, double.NaN).ShouldBe([("1024", 3), ("4096", 1), ("(missing)", 1)]);
        Divide(7).ShouldBe([("7", 1)]);
        // Most are equal, the others are many.
        Divide([.. Enumerable.Repeat(0.0, 40), .. Enumerable.Range(1, 12).Select(i => (double)i)]).ShouldBe([("0", 40), ("(0, 12]", 12)]);
        Divide([.. Enumerable.Range(1, 12).Select(i => (double)i), .. Enumerable.Repeat(99.0, 40)]).ShouldBe([("[1, 99)", 12), ("99", 40)]);
        // Quarters that part further behind the point.
        Divide([.. Enumerable.Range(0, 16).Select(i => 0.5 + (i * 0.000001))]).Select(s => s.Item1).ShouldBeUnique();
    }

    [Fact]
    public void Great_logits_give_no_infinities()
    {
        var predictions = new LabelPredictions([100, -100, -100, 100], [1, 1], 2);

        predictions.Loss.ShouldAllBe(loss => double.IsFinite(loss));
        predictions.Confidence.ShouldBe([1, 1]);
        Calibration.Measure(predictions).LogLossAfter.ShouldBeLessThan(predictions.Loss.Average());
    }

    private static LabelPredictions Five() => new([2, 1, 0, 0, 3, 1, 1, 1, 2, 0.5f, 0, 0, 2, 0, 1], [0, 1, 2, 1, 2], 3);
}
