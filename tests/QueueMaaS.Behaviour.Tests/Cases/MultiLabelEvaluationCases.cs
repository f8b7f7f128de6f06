using System.Globalization;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;
using DataType = QueueMaaS.Onnx.TensorProto.Types.DataType;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Evaluations of models that give any number of labels at once.</summary>
public abstract class MultiLabelEvaluationCases(ServiceFixture service)
{
    private const string Sigmoid = """{"table":{"columns":[{"name":"a","kind":"number"},{"name":"b","kind":"number"},{"name":"c","kind":"number"}]},"labels":["red","round","<big>"],"postprocess":{"labels":{"scores":"sigmoid","threshold":0.5}}}""";
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Labels_between_bars_give_every_figure_and_a_page()
    {
        var model = await ModelAsync(Sigmoid);
        var data = await DataAsync(Rows(60, byLabel: false));

        var job = await SubmitAsync(new EvaluationInput { Model = model, Dataset = data, Target = "labels", Slices = ["kind"] });
        var output = Requests.Output<EvaluationOutput>(await service.Api.WaitAsync(job.Id, Cancel));

        // Logits are ±2 by the truth, but for `red` of every fifth row up to 30, which is turned round; `<big>` occurs never, and the last row says it.
        var figures = output.Model.MultiLabel!;
        (output.Task, output.Items, output.Failed, output.Dataset.Target).ShouldBe((EvaluationTask.MultiLabel, 60, 0, "labels"));
        figures.SubsetAccuracy.ShouldBe(1 - (7 / 60.0), 1e-12);
        figures.HammingLoss.ShouldBe(7 / 180.0, 1e-12);
        figures.Labels.Select(l => (l.Name, l.Support, l.Predicted)).ShouldBe([("red", 30, 30), ("round", 20, 20), ("<big>", 0, 1)]);
        figures.Labels[0].F1!.Value.ShouldBe(0.9, 1e-12);
        figures.MacroF1.ShouldBe(1.9 / 3, 1e-12);
        figures.MicroF1.ShouldBe(2.0 * 47 / (50 + 51), 1e-12);
        figures.ThresholdsChosenOn.ShouldBe($"{data}@1, all");
        output.Notes.ShouldContain(note => note.Contains("No item has the label '<big>'", StringComparison.Ordinal));
        output.Model.Slices.Sum(slice => slice.Items).ShouldBe(60);
        output.Model.Slices.ShouldAllBe(slice => slice.SubsetAccuracy != null && slice.MacroF1 != null && slice.Accuracy == null);
        output.Model.Worst.Count.ShouldBe(7);
        output.Model.Worst.Single(m => m.Label == "<big>").Item.ShouldBe(60);
        output.Model.Worst.Count(m => m.Label == "red").ShouldBe(6);

        var page = await service.Http.GetStringAsync($"v1/jobs/{job.Id}/report", Cancel);
        foreach (var part in (string[])["subset accuracy", "Reliability: share true", ">ROC</text>", ">Precision over recall</text>", "best threshold", "&lt;big&gt;", "By kind", "<td>macro F1</td>"])
            page.ShouldContain(part);
        page.ShouldNotContain("<big>");
    }

    [Fact]
    public async Task A_column_for_each_label_gives_the_same_and_the_best_thresholds_hold_what_they_promise()
    {
        var model = await ModelAsync(Sigmoid);
        var bars = await RunAsync(new EvaluationInput { Model = model, Dataset = await DataAsync(Rows(60, byLabel: false)), Target = "labels" });
        var data = await DataAsync(Rows(60, byLabel: true));

        // The columns are found by the labels' names; rows whose truth cannot be read fail alone.
        var columns = await RunAsync(new EvaluationInput { Model = model, Dataset = data });
        (columns.Dataset.Target, JsonSerializer.Serialize(columns.Model.MultiLabel! with { ThresholdsChosenOn = "" })).ShouldBe(("red, round, <big>", JsonSerializer.Serialize(bars.Model.MultiLabel! with { ThresholdsChosenOn = "" })));

        var best = columns.Model.MultiLabel!;
        var thresholds = best.Labels.Where(l => l.BestThreshold is not null).ToDictionary(l => l.Name, l => l.BestThreshold!.Value);
        var tuned = (await RunAsync(new EvaluationInput { Model = model, Dataset = data, Threshold = 1, Thresholds = thresholds, Targets = ["red", "round", "<big>"] })).Model.MultiLabel!;
        tuned.MacroF1.ShouldBe(best.BestMacroF1, 1e-12);
        tuned.Labels[2].Predicted.ShouldBe(0, "no probability is 1");

        var odd = await DataAsync("a,b,c,red,round,<big>\n1,1,-1,1,1,0\n1,1,-1,1,maybe,0\n1,1,-1,1,,0\n"u8.ToArray());
        var some = await RunAsync(new EvaluationInput { Model = model, Dataset = odd });
        (some.Items, some.Failed, some.FirstError!.Code).ShouldBe((1, 2, ProblemCodes.RowInvalid));
        some.FirstError.Message.ShouldContain("'maybe'");
    }

    [Fact]
    public async Task A_foreign_model_is_told_to_give_several_labels()
    {
        var name = await ModelOfAsync(TestModels.Identity(DataType.Float, 3));
        var data = await DataAsync(Rows(60, byLabel: false));

        var output = await RunAsync(new EvaluationInput { Model = name, Dataset = data, Target = "labels", Task = EvaluationTask.MultiLabel, Labels = ["red", "round", "<big>"], Slices = ["kind"] });
        output.Model.MultiLabel!.Labels[0].F1!.Value.ShouldBe(0.9, 1e-12);

        // Numbers from 0 to 1 are probabilities; a threshold between them decides.
        var arrays = await DataAsync(Npz([0.9f, 0.2f, 0.6f, 0.8f], 2, [1, 0, 0, 1], 2));
        var two = await ModelOfAsync(TestModels.Identity(DataType.Float, 2));
        var of = (await RunAsync(new EvaluationInput { Model = two, Dataset = arrays, Task = EvaluationTask.MultiLabel, Threshold = 0.7 })).Model.MultiLabel!;
        (of.SubsetAccuracy, of.MicroF1, of.Labels[1].Name).ShouldBe((1, 1, "1"));
        of.LogLoss.ShouldBe(-(Math.Log(0.9) + Math.Log(0.8) + Math.Log(0.4) + Math.Log(0.8)) / 4, 1e-6);
        (await service.Api.WaitAsync((await SubmitAsync(new EvaluationInput { Model = name, Dataset = arrays, Task = EvaluationTask.MultiLabel })).Id, Cancel)).Error!.Code.ShouldBe(ProblemCodes.EvaluationUnsupported, "two targets for three labels");
    }

    [Fact]
    public async Task An_image_has_the_labels_of_its_folder_and_the_worst_is_shown()
    {
        var memory = new MemoryStream();
        using (var zip = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var folder in (string[])["train/red|round", "train/red", "test/red|round", "test/red"])
            {
                using var entry = zip.CreateEntry($"{folder}/1.png").Open();
                entry.Write(TestImages.OneShape());
            }
        }

        var name = Requests.NewId();
        using var form = new MultipartFormDataContent { { new ByteArrayContent(TestModels.Constant([1, 1, 2, 2], [1, 2], [2, -2])), "model", "model.onnx" }, { new StringContent("""{"image":{"width":2,"height":2,"channels":1},"labels":["red","round"],"postprocess":{"labels":{"scores":"sigmoid"}}}"""), "pipeline" } };
        using var response = await service.Http.PutAsync($"v1/models/{name}", form, Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
        var job = await SubmitAsync(new EvaluationInput { Model = name, Dataset = await DataAsync(memory.ToArray()) });
        var output = Requests.Output<EvaluationOutput>(await service.Api.WaitAsync(job.Id, Cancel));

        // It says `red` of everything.
        (output.Items, output.Model.MultiLabel!.SubsetAccuracy).ShouldBe((2, 0.5));
        output.Model.MultiLabel.Labels.Select(l => (l.Support, l.Predicted)).ShouldBe([(2, 2), (1, 0)]);
        output.Model.Worst.ShouldHaveSingleItem().ShouldSatisfyAllConditions(m => m.Truth.ShouldBe("red|round"), m => m.Answer.ShouldBe("red"), m => m.Label.ShouldBe("round"), m => m.Name!.ShouldContain("red|round"));
        (await service.Http.GetStringAsync($"v1/jobs/{job.Id}/report", Cancel)).ShouldContain("<b>red|round</b> taken for <b>red</b> (round 11.9 %)");
    }

    [Fact]
    public async Task What_was_trained_here_with_several_labels_is_evaluated_as_such()
    {
        var data = await DataAsync(Rows(120, byLabel: false));
        var name = Requests.NewId();
        using var response = await service.Http.PostAsync("v1/jobs", Requests.Json($$$$"""{"kind":"training","input":{"model":"{{{{name}}}}","dataset":"{{{{data}}}}","task":"multiLabel","epochs":12,"seed":3,"data":{"target":"labels","ignore":["kind"]}}}"""), Cancel);
        var training = JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel)).GetProperty("id").GetString()!;
        Requests.Output<TrainingOutput>(await service.Api.WaitAsync(training, Cancel));

        var output = await RunAsync(new EvaluationInput { Model = name, Dataset = data });
        (output.Task, output.Dataset.Target, output.Model.Training!.Job).ShouldBe((EvaluationTask.MultiLabel, "labels", training));
        output.Model.MultiLabel!.Labels.Select(l => l.Name).ShouldBe(["red", "round"]);
        output.Model.MultiLabel.PrAuc!.Value.ShouldBeGreaterThan(0.8);

        using var gate = await service.Http.PostAsync($"v1/models/{name}@1/promote?wait=60", Requests.Json($$$$"""{"alias":"checked","gate":{"metrics":[{"metric":"microF1","atLeast":0.1,"dataset":"{{{{data}}}}"},{"metric":"recall:round","atLeast":0,"dataset":"{{{{data}}}}"}]}}"""), Cancel);
        var decided = await gate.Content.ReadAsStringAsync(Cancel);
        JsonElement.Parse(decided).GetProperty("output").GetProperty("outcome").GetString().ShouldBe("promoted", decided);
    }

    [Fact]
    public async Task Two_models_are_compared_by_macro_F1_and_subset_accuracy()
    {
        var model = await ModelAsync(Sigmoid);
        var strict = await ModelAsync(Sigmoid.Replace("\"threshold\":0.5", "\"threshold\":0.99", StringComparison.Ordinal));
        var data = await DataAsync(Rows(60, byLabel: false));

        var output = await RunAsync(new EvaluationInput { Model = model, CompareWith = strict, Dataset = data, Target = "labels" });
        // Nothing reaches 0.99: all rows without a label are right.
        var comparison = output.Comparison!;
        (comparison.Test, comparison.Significant, comparison.SubsetAccuracy!.Significant).ShouldBe(("pairedBootstrap", true, true));
        comparison.Difference.ShouldBe(output.Model.MultiLabel!.MacroF1 - output.Compared!.MultiLabel!.MacroF1, 1e-12);
        comparison.SubsetAccuracy.Difference.ShouldBe(output.Model.MultiLabel.SubsetAccuracy - output.Compared.MultiLabel.SubsetAccuracy, 1e-12);
        comparison.Sentence.ShouldContain($"that of {model}@1 is greater");
    }

    [Fact]
    public async Task What_cannot_be_evaluated_is_refused_with_what_to_do()
    {
        var model = await ModelAsync(Sigmoid);
        var softmax = await ModelAsync(Sigmoid.Replace("\"sigmoid\"", "\"softmax\"", StringComparison.Ordinal));
        var other = await ModelAsync(Sigmoid.Replace("\"red\"", "\"blue\"", StringComparison.Ordinal));
        var data = await DataAsync(Rows(20, byLabel: true));
        foreach (var (input, status, code, told) in new (string, int, string, string)[]
        {
            ($$"""{"model":"{{softmax}}@1","dataset":"{{data}}","task":"multiLabel"}""", 422, ProblemCodes.EvaluationUnsupported, "softmax"),
            ($$"""{"model":"{{model}}@1","dataset":"{{data}}","task":"classification"}""", 422, ProblemCodes.EvaluationUnsupported, "sigmoid"),
            ($$"""{"model":"{{model}}@1","dataset":"{{data}}","compareWith":"{{softmax}}@1"}""", 422, ProblemCodes.EvaluationUnsupported, "several labels at once"),
            ($$"""{"model":"{{model}}@1","dataset":"{{data}}","compareWith":"{{other}}@1"}""", 422, ProblemCodes.EvaluationUnsupported, "'red'"),
            ($$"""{"model":"{{model}}@1","dataset":"{{data}}","targets":["red","round"]}""", 422, ProblemCodes.ColumnNotFound, "'<big>'"),
            ($$"""{"model":"{{model}}@1","dataset":"{{data}}","targets":["kind"]}""", 422, ProblemCodes.LabelUnknown, "'kind'"),
            ($$"""{"model":"{{model}}@1","dataset":"{{data}}","targets":["planet"]}""", 422, ProblemCodes.ColumnNotFound, "planet"),
            ($$"""{"model":"{{model}}@1","dataset":"{{data}}","target":"kind","targets":["red"]}""", 422, ProblemCodes.InvalidValue, "both"),
            ($$"""{"model":"{{model}}@1","dataset":"{{data}}","threshold":1.5}""", 422, ProblemCodes.InvalidValue, "0 to 1"),
            ($$"""{"model":"{{model}}@1","dataset":"{{data}}","thresholds":{"blue":0.5} }""", 422, ProblemCodes.LabelUnknown, "'blue'"),
            ($$"""{"model":"{{softmax}}@1","dataset":"{{data}}","target":"kind","threshold":0.5}""", 422, ProblemCodes.InvalidValue, "multiLabel"),
            ($$"""{"model":"{{model}}@1","dataset":"{{data}}","labels":["x","y","z"]}""", 422, ProblemCodes.InvalidValue, "labels of its own"),
        })
        {
            using var response = await service.Http.PostAsync("v1/jobs", Requests.Json($$"""{"kind":"evaluation","input":{{input}} }"""), Cancel);
            var problem = await Requests.ProblemAsync(response);
            (problem.Status, problem.Code).ShouldBe((status, code), input);
            problem.Detail.ShouldContain(told, Case.Sensitive, input);
        }

        var unknown = await DataAsync("a,b,c,labels\n1,1,1,red|round\n1,1,1,red|square\n"u8.ToArray());
        var failed = await service.Api.WaitAsync((await SubmitAsync(new EvaluationInput { Model = model, Dataset = unknown, Target = "labels" })).Id, Cancel);
        failed.Error!.Code.ShouldBe(ProblemCodes.LabelUnknown);
        failed.Error.Message.ShouldSatisfyAllConditions(m => m.ShouldContain("'square'"), m => m.ShouldContain("Item 2"));

        var narrow = await DataAsync("a,b,labels\n1,1,red\n"u8.ToArray());
        (await service.Api.WaitAsync((await SubmitAsync(new EvaluationInput { Model = model, Dataset = narrow, Target = "labels" })).Id, Cancel)).Error!.Code.ShouldBe(ProblemCodes.TableInvalid);
    }

    /// <summary>Logits as columns, the truth between bars or by label.</summary>
    private static byte[] Rows(int count, bool byLabel)
    {
        var csv = new StringBuilder(byLabel ? "a,b,c,kind,red,round,<big>\n" : "a,b,c,kind,labels\n");
        for (var i = 1; i <= count; i++)
        {
            var (red, round) = (i % 2 == 0, i % 3 == 0);
            csv.Append(CultureInfo.InvariantCulture, $"{(red != (i <= 30 && i % 5 == 0) ? 2 : -2)},{(round ? 2 : -2)},{(i == count ? 2 : -2)},{(i % 4 == 0 ? "x" : "y")},");
            csv.AppendLine(byLabel ? $"{(red ? 1 : 0)},{(round ? 1 : 0)},0" : string.Join('|', new[] { red ? "red" : null, round ? "round" : null }.OfType<string>()));
        }

        return Encoding.UTF8.GetBytes(csv.ToString().ReplaceLineEndings("\n"));
    }

    private static byte[] Npz(float[] x, int width, float[] y, int labels)
    {
        var memory = new MemoryStream();
        using (var zip = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, values, columns) in new[] { ("x.npy", x, width), ("y.npy", y, labels) })
            {
                using var entry = zip.CreateEntry(name).Open();
                entry.Write([.. NpyHeader.Write(Datatypes.Fp32, [values.Length / columns, columns]), .. MemoryMarshal.AsBytes(values.AsSpan())]);
            }
        }

        return memory.ToArray();
    }

    private async Task<EvaluationOutput> RunAsync(EvaluationInput input) => Requests.Output<EvaluationOutput>(await service.Api.WaitAsync((await SubmitAsync(input)).Id, Cancel));

    private Task<Job> SubmitAsync(EvaluationInput input) =>
        service.Api.SubmitAsync(QueueMaaSClient.Evaluation(input with { Model = $"{input.Model}@1", CompareWith = input.CompareWith is { } other ? $"{other}@1" : null }), cancellationToken: Cancel);

    private async Task<string> DataAsync(byte[] file)
    {
        var name = Requests.NewId();
        using var response = await service.Http.PutAsync($"v1/datasets/{name}", new ByteArrayContent(file), Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
        return name;
    }

    private async Task<string> ModelOfAsync(byte[] model)
    {
        var name = Requests.NewId();
        using var response = await service.Http.PutAsync($"v1/models/{name}", new ByteArrayContent(model), Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
        return name;
    }

    private async Task<string> ModelAsync(string pipeline)
    {
        var name = Requests.NewId();
        using var form = new MultipartFormDataContent { { new ByteArrayContent(TestModels.Identity(DataType.Float, 3)), "model", "model.onnx" }, { new StringContent(pipeline), "pipeline" } };
        using var response = await service.Http.PutAsync($"v1/models/{name}", form, Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
        return name;
    }
}
