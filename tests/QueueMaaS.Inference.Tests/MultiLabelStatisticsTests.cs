using QueueMaaS.Inference.Evaluation.Statistics;

namespace QueueMaaS.Inference.Tests;

/// <summary>Every statistic of several labels at once against values that were computed apart from it, in Python by the definitions: all pairs for the AUC, every threshold for average precision and best F1, a fine grid for the temperature. scikit-learn 1.2.1 gives the same for all that it has.</summary>
public sealed class MultiLabelStatisticsTests
{
    private const double Close = 1e-6;
    private static readonly string[] Names = ["a", "b", "c", "d"];
    private static readonly float[] Logits = [2, -1, 0.3f, -3, -0.5f, 1.5f, -2, -2, 1, 0.2f, -0.7f, -4, -2, -0.1f, 0.9f, -1, 0.4f, 2.2f, -1.1f, -2.5f, -1.5f, -2, -0.3f, 0.1f];
    private static readonly bool[] Truth = [.. new[] { 1, 0, 1, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0 }.Select(flag => flag == 1)];

    [Fact]
    public void Labels_give_the_figures_of_their_definitions()
    {
        var figures = MultiLabel.Measure(Six(), Names, "things@1, test", 200, 1, TestContext.Current.CancellationToken);

        figures.SubsetAccuracy.ShouldBe(0.5, Close);
        figures.HammingLoss.ShouldBe(4.0 / 24, Close);
        figures.LogLoss.ShouldBe(0.4184321737944439, Close);
        (figures.MicroPrecision, figures.MicroRecall, figures.MicroF1).ShouldBe((7.0 / 9, 7.0 / 9, 14.0 / 18));
        figures.MacroPrecision.ShouldBe(2.0 / 3, Close);
        figures.MacroRecall.ShouldBe(0.5833333333333333, Close);
        figures.MacroF1.ShouldBe(0.6166666666666667, Close);
        figures.RocAuc!.Value.ShouldBe(0.8888888888888888, Close);
        figures.PrAuc!.Value.ShouldBe(0.9444444444444443, Close);
        figures.MicroRocAuc!.Value.ShouldBe(0.8851851851851852, Close);
        figures.MicroPrAuc!.Value.ShouldBe(0.8764430014430015, Close);
        figures.Labels.Select(label => (label.Support, label.Predicted)).ShouldBe([(3, 3), (3, 3), (3, 2), (0, 1)]);
        figures.Labels.Select(label => Math.Round(label.F1!.Value, 6)).ShouldBe([0.666667, 1, 0.8, 0]);
        figures.Labels.Select(label => Math.Round(label.Ece, 6)).ShouldBe([0.404599, 0.265918, 0.331634, 0.175732]);
        (figures.SubsetAccuracyInterval.Low, figures.SubsetAccuracyInterval.High).ShouldSatisfyAllConditions(i => i.Low.ShouldBeInRange(0, 0.5), i => i.High.ShouldBeInRange(0.5, 1));
    }

    [Fact]
    public void A_label_that_no_item_has_has_no_recall_no_curve_and_no_best_threshold()
    {
        var absent = MultiLabel.Measure(Six(), Names, "", 100, 1, TestContext.Current.CancellationToken).Labels[3];

        (absent.Recall, absent.RocAuc, absent.PrAuc, absent.BestThreshold, absent.BestF1).ShouldBe((null, null, null, null, null));
        (absent.Precision, absent.F1).ShouldBe((0, 0));

        // Where nothing is true or said, nothing is divided by zero.
        var nothing = MultiLabel.Measure(new([-1, -1, -2, -1], true, new bool[4], [0.5, 0.5]), ["a", "b"], "", 100, 1, TestContext.Current.CancellationToken);
        (nothing.MacroF1, nothing.MicroF1, nothing.SubsetAccuracy, nothing.HammingLoss, nothing.RocAuc, nothing.MicroRocAuc, nothing.BestMacroF1).ShouldBe((0, 0, 1, 0, null, null, 0));
    }

    [Fact]
    public void The_best_threshold_makes_the_F1_that_it_promises()
    {
        var figures = MultiLabel.Measure(Six(), Names, "", 100, 1, TestContext.Current.CancellationToken);

        figures.Labels.Take(3).Select(label => Math.Round(label.BestThreshold!.Value, 6)).ShouldBe([0.664873, 0.512427, 0.378685]);
        figures.Labels.Take(3).Select(label => Math.Round(label.BestF1!.Value, 6)).ShouldBe([0.8, 1, 1]);
        figures.BestMacroF1.ShouldBe(0.9333333333333332, Close);

        var again = MultiLabel.Measure(new(Logits, true, Truth, [.. figures.Labels.Select(label => label.BestThreshold ?? 1)]), Names, "", 100, 1, TestContext.Current.CancellationToken);
        again.MacroF1.ShouldBe(figures.BestMacroF1, Close);
        again.Labels.Take(3).Select(label => label.F1).ShouldBe(figures.Labels.Take(3).Select(label => label.BestF1));
    }

    [Fact]
    public void Equal_probabilities_are_said_together_and_the_least_one_can_be_reached()
    {
        // Every cut: 1 of 1 right with 3 positives 0.5; both of 0.4 too: 2·2/(3+3) = 0.667; all: 2·3/(4+3) = 0.857.
        BestThreshold.Of([(0.9, true), (0.4, false), (0.4, true), (0.2, true)])!.Value.ShouldBe((0.1, 6.0 / 7));
        BestThreshold.Of([(0, true), (0, true)])!.Value.ShouldBe((0, 1));
        BestThreshold.Of([(0.3, false)]).ShouldBeNull();
    }

    [Fact]
    public void Calibration_is_over_the_probabilities_of_all_labels()
    {
        var figures = Calibration.Measure(Six());

        figures.Ece.ShouldBe(0.2084580237033072, Close);
        figures.Temperature.ShouldBe(0.6758920181993253, 1e-3);
        figures.LogLossAfter.ShouldBe(0.4013901778328472, 1e-5);
        figures.EceAfter.ShouldBe(0.1665400244248215, 1e-3);
        figures.Bins.Sum(bin => bin.Items).ShouldBe(24);
    }

    [Fact]
    public void Probabilities_give_what_their_logits_give()
    {
        float[] probabilities = [.. Logits.Select(z => (float)(1 / (1 + Math.Exp(-z))))];
        var (of, like) = (MultiLabel.Measure(new(probabilities, false, Truth, [0.5, 0.5, 0.5, 0.5]), Names, "", 100, 1, TestContext.Current.CancellationToken), MultiLabel.Measure(Six(), Names, "", 100, 1, TestContext.Current.CancellationToken));

        of.LogLoss.ShouldBe(like.LogLoss, Close);
        of.Calibration.Temperature.ShouldBe(like.Calibration.Temperature, 1e-3);
        of.MacroF1Interval.ShouldBe(like.MacroF1Interval);

        // Certain and wrong: a great loss, and no infinity.
        MultiLabelPredictions certain = new([1, 0], false, [false, true], [0.5]);
        certain.Loss.ShouldAllBe(loss => loss > 34 && loss < 35);
        double.IsFinite(Calibration.Measure(certain).LogLossAfter).ShouldBeTrue();
    }

    [Fact]
    public void The_paired_bootstrap_finds_a_difference_and_no_difference()
    {
        // Three labels over 300 items; one model turns every fifth item's first label round, the other every third item's.
        bool[] truth = [.. Enumerable.Range(0, 900).Select(i => i % 7 < 3)];
        MultiLabelPredictions Wrong(int every) => new([.. truth.Select((has, i) => has != (i % 3 == 0 && i / 3 % every == 0) ? 2f : -2f)], true, truth, [0.5, 0.5, 0.5]);

        var real = Comparison.OfLabelSets(Wrong(5), Wrong(3), "one", "two", 500, 1, TestContext.Current.CancellationToken);
        (real.Test, real.Significant, real.SubsetAccuracy!.Significant).ShouldBe(("pairedBootstrap", true, true));
        real.SubsetAccuracy.Difference.ShouldBe((240 - 200) / 300.0, Close);
        (real.Difference > 0, real.DifferenceInterval.Low > 0, real.PValue < 0.05).ShouldBe((true, true, true));
        real.Sentence.ShouldContain("that of one is greater");
        var none = Comparison.OfLabelSets(Wrong(5), Wrong(5), "one", "two", 500, 1, TestContext.Current.CancellationToken);
        (none.Significant, none.PValue, none.SubsetAccuracy!.PValue).ShouldBe((false, 1, 1));
    }

    private static MultiLabelPredictions Six() => new(Logits, true, Truth, [0.5, 0.5, 0.5, 0.5]);
}
