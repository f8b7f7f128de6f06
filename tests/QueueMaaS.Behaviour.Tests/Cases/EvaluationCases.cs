using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;
using QueueMaaS.Data.Demo;
using DataType = QueueMaaS.Onnx.TensorProto.Types.DataType;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Evaluations: how good a model is, whose ever it is.</summary>
public abstract partial class EvaluationCases(ServiceFixture service)
{
    private const string LowHigh = """{"table":{"columns":[{"name":"a","kind":"number"},{"name":"b","kind":"number"}]},"labels":["low","high"]}""";
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_table_gives_every_figure_of_a_classification_with_its_lineage()
    {
        var (model, data) = await LowHighAsync();
        var output = await RunAsync(new EvaluationInput { Model = model, Dataset = data, Slices = ["region", "a"] });

        // Rows 1 to 200: the model says `high` where b > a; every tenth row's truth is turned round.
        var figures = output.Model.Classification!;
        (output.Task, output.Items, output.Failed, output.Dataset.Target, output.Dataset.Split).ShouldBe((EvaluationTask.Classification, 200, 0, "truth", "all"));
        figures.Accuracy.ShouldBe(0.9, 1e-12);
        (figures.AccuracyInterval.Low, figures.AccuracyInterval.High).ShouldSatisfyAllConditions(i => i.Low.ShouldBeInRange(0.83, 0.9), i => i.High.ShouldBeInRange(0.9, 0.96));
        figures.Confusion.Sum(row => row.Sum()).ShouldBe(200);
        (figures.Confusion[0][1] + figures.Confusion[1][0]).ShouldBe(20);
        figures.RocAuc!.Value.ShouldBeInRange(0.5, 1);
        figures.Calibration.Bins.Sum(bin => bin.Items).ShouldBe(200);
        figures.Calibration.LogLossAfter.ShouldBeLessThanOrEqualTo(figures.LogLoss + 1e-9);
        output.Model.Slices.Where(slice => slice.Column == "region").Sum(slice => slice.Items).ShouldBe(200);
        output.Model.Slices.Count(slice => slice.Column == "a").ShouldBe(4);
        output.Model.Worst.Count.ShouldBe(20);
        output.Model.Worst.ShouldAllBe(mistake => mistake.Item % 10 == 0 && mistake.Truth != mistake.Answer && mistake.Row!.ContainsKey("region"));
        (output.Model.Name, output.Dataset.Name).ShouldBe(($"{model}@1", $"{data}@1"));
        output.Model.Artifact.ShouldStartWith("sha256:");

        (await RunAsync(new EvaluationInput { Model = model, Dataset = data, Slices = ["region", "a"] })).Model.Classification!.MacroF1Interval.ShouldBe(figures.MacroF1Interval, "the same seed draws the same items");
    }

    [Fact]
    public async Task The_page_needs_nothing_else_and_encodes_what_stands_in_the_data()
    {
        var (model, data) = await LowHighAsync("<script>alert(1)</script>");
        var job = await SubmitAsync(new EvaluationInput { Model = model, Dataset = data, Slices = ["region"] });
        var output = Requests.Output<EvaluationOutput>(await service.Api.WaitAsync(job.Id, Cancel));

        using var response = await service.Http.GetAsync($"v1/jobs/{job.Id}/report", Cancel);
        response.Content.Headers.ContentType!.ToString().ShouldBe("text/html; charset=utf-8");
        response.Headers.GetValues("Content-Security-Policy").Single().ShouldStartWith("default-src 'none'");
        var page = await response.Content.ReadAsStringAsync(Cancel);
        page.ShouldContain("<svg");
        page.ShouldContain("Reliability");
        page.ShouldContain("&lt;script&gt;alert(1)&lt;/script&gt;");
        page.ShouldNotContain("<script");
        Addresses().Matches(page).ShouldBeEmpty("nothing is loaded from elsewhere");
        await using var artifact = await service.Api.OpenArtifactAsync(output.ReportArtifact!, Cancel);
        (await new StreamReader(artifact).ReadToEndAsync(Cancel)).ShouldBe(page);
    }

    [Fact]
    public async Task A_model_that_was_trained_here_shows_how()
    {
        var (_, data) = await LowHighAsync();
        var name = Requests.NewId();
        using var response = await service.Http.PostAsync("v1/jobs", Requests.Json($$$$"""{"kind":"training","input":{"model":"{{{{name}}}}","dataset":"{{{{data}}}}","recipe":"tabular-default@1","epochs":3,"seed":41}}"""), Cancel);
        var training = JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel)).GetProperty("id").GetString()!;
        Requests.Output<TrainingOutput>(await service.Api.WaitAsync(training, Cancel));

        var job = await SubmitAsync(new EvaluationInput { Model = name, Dataset = data });
        var told = Requests.Output<EvaluationOutput>(await service.Api.WaitAsync(job.Id, Cancel)).Model.Training!;
        (told.Job, told.Recipe, told.History.Count, told.Settings!.Value.GetProperty("seed").GetInt32()).ShouldBe((training, "tabular-default@1", 3, 41));
        var page = await service.Http.GetStringAsync($"v1/jobs/{job.Id}/report", Cancel);
        foreach (var part in (string[])[">Loss</text>", ">Accuracy</text>", ">Precision over recall</text>", "<b>tabular-default@1</b>", $"<b>{data}@1</b>", "<td>seed</td><td>41</td>"])
            page.ShouldContain(part);
        Addresses().Matches(page).ShouldBeEmpty("nothing is loaded from elsewhere");
    }

    [Fact]
    public async Task Images_are_divided_by_brightness_and_size_and_the_worst_are_shown()
    {
        var (name, classes) = (Requests.NewId(), ShapesDataset.Classes);
        await UploadModelAsync(
            name, TestModels.Constant([1, 1, 2, 2], [1, classes.Count], [2, .. new float[classes.Count - 1]]),
            $$$"""{"image":{"width":2,"height":2,"channels":1},"labels":[{{{string.Join(",", classes.Select(c => $"\"{c}\""))}}}]}""");
        var data = await UploadDataAsync(TestImages.Shapes(2, 10, 0));

        var job = await SubmitAsync(new EvaluationInput { Model = name, Dataset = data });
        var output = Requests.Output<EvaluationOutput>(await service.Api.WaitAsync(job.Id, Cancel));

        (output.Dataset.Split, output.Items).ShouldBe(("test", 10 * classes.Count));
        output.Model.Classification!.Accuracy.ShouldBe(1.0 / classes.Count, 1e-12);
        output.Model.Classification.Classes[0].Recall.ShouldBe(1);
        output.Model.Classification.Classes[1].Precision.ShouldBeNull("it was never said");
        output.Model.Classification.RocAuc.ShouldBe(0.5, "a constant model tells nothing apart");
        output.Model.Slices.Where(slice => slice.Column == "brightness").Sum(slice => slice.Items).ShouldBe(output.Items);
        // All shapes have one size, which is a category then: quarters of it would say nothing.
        output.Model.Slices.Where(slice => slice.Column == "size").ShouldHaveSingleItem().Items.ShouldBe(output.Items);
        output.EmptySlices.ShouldNotContain(slice => slice.StartsWith("size: ", StringComparison.Ordinal));
        output.Model.Worst.Count.ShouldBe(20);
        (await service.Http.GetStringAsync($"v1/jobs/{job.Id}/report", Cancel)).Split("src=\"data:image/png;base64,").Length.ShouldBe(21);
    }

    [Fact]
    public async Task Two_models_are_told_apart_only_where_the_difference_is_real()
    {
        var (model, data) = await LowHighAsync();
        var worse = Requests.NewId();
        await UploadModelAsync(worse, TestModels.Identity(DataType.Float, 2), LowHigh.Replace("""["low","high"]""", """["high","low"]""", StringComparison.Ordinal));

        var output = await RunAsync(new EvaluationInput { Model = model, CompareWith = worse, Dataset = data });
        (output.Comparison!.Test, output.Comparison.OnlyModel, output.Comparison.OnlyCompared, output.Comparison.Significant).ShouldBe(("mcnemar", 180, 20, true));
        output.Comparison.Sentence.ShouldContain($"{model}@1 is right more often");
        output.Compared!.Classification!.Accuracy.ShouldBe(0.1, 1e-12);

        var same = await RunAsync(new EvaluationInput { Model = model, CompareWith = model, Dataset = data });
        (same.Comparison!.Test, same.Comparison.PValue, same.Comparison.Significant).ShouldBe(("mcnemarExact", 1.0, false));
    }

    [Fact]
    public async Task Numbers_are_held_against_numbers()
    {
        var name = Requests.NewId();
        await UploadModelAsync(name, TestModels.Identity(DataType.Float, 1), """{"table":{"columns":[{"name":"x","kind":"number"}]},"postprocess":{"values":{"offset":1}}}""");
        var off = Requests.NewId();
        await UploadModelAsync(off, TestModels.Identity(DataType.Float, 1), """{"table":{"columns":[{"name":"x","kind":"number"}]},"postprocess":{"values":{"offset":3}}}""");
        var csv = new StringBuilder("x,y\n");
        for (var i = 0; i < 100; i++)
            csv.Append(System.Globalization.CultureInfo.InvariantCulture, $"{i},{(i == 7 ? i + 5 : i)}\n");

        var output = await RunAsync(new EvaluationInput { Model = name, CompareWith = off, Dataset = await UploadDataAsync(Encoding.UTF8.GetBytes(csv.ToString())) });

        // Residuals are 1 but for one of −4.
        var figures = output.Model.Regression!;
        figures.Mae.ShouldBe(1.03, 1e-9);
        figures.Rmse.ShouldBe(Math.Sqrt((99 + 16) / 100.0), 1e-9);
        figures.Bias.ShouldBe(0.95, 1e-9);
        figures.Residuals.Select(r => r.Residual).ShouldBe([-4, 1, 1, 1, 1, 1, 1]);
        (output.Model.Worst[0].Item, output.Model.Worst[0].Truth, output.Model.Worst[0].Answer).ShouldBe((8, "12", "8"));
        (output.Comparison!.Test, output.Comparison.Significant).ShouldBe(("pairedBootstrap", true));
        output.Comparison.Sentence.ShouldContain($"the mean absolute error of {name}@1 is smaller by");
    }

    [Fact]
    public async Task An_array_is_read_by_a_model_without_a_pipeline()
    {
        var name = Requests.NewId();
        using (var response = await service.Http.PutAsync($"v1/models/{name}", new ByteArrayContent(TestModels.Identity(DataType.Float, 2)), Cancel))
            response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
        float[] rows = [.. Enumerable.Range(0, 300).SelectMany(i => new[] { i % 2 == 0 ? 2f : -1, 0.5f, i % 2 == 0 ? 0 : i % 3 == 0 ? 0 : 1f })];
        var data = await UploadDataAsync([.. NpyHeader.Write(Datatypes.Fp32, [300, 3]), .. MemoryMarshal.AsBytes(rows.AsSpan())]);

        var output = await RunAsync(new EvaluationInput { Model = name, Dataset = data });

        // Of the odd rows, every third has the truth 0, which the model takes for 1.
        output.Model.Classification!.Classes.Select(c => c.Name).ShouldBe(["0", "1"]);
        output.Model.Classification.Confusion.SelectMany(row => row).ShouldBe([150, 50, 0, 100]);

        var wide = await UploadDataAsync([.. NpyHeader.Write(Datatypes.Fp32, [75, 12]), .. MemoryMarshal.AsBytes(rows.AsSpan())]);
        (await service.Api.WaitAsync((await SubmitAsync(new EvaluationInput { Model = name, Dataset = wide })).Id, Cancel)).Error!.Code.ShouldBe(ProblemCodes.TensorShapeMismatch);
    }

    [Fact]
    public async Task A_label_that_the_model_has_never_seen_fails_the_job_and_a_bad_row_only_itself()
    {
        var (model, _) = await LowHighAsync();
        var unknown = await UploadDataAsync("a,b,truth\n1,2,low\n2,1,sideways\n"u8.ToArray());
        var failed = await service.Api.WaitAsync((await SubmitAsync(new EvaluationInput { Model = model, Dataset = unknown })).Id, Cancel);
        failed.Error!.Code.ShouldBe(ProblemCodes.LabelUnknown);
        failed.Error.Message.ShouldContain("'sideways'");

        var other = await UploadDataAsync("p,q,truth\n1,2,low\n2,1,high\n"u8.ToArray());
        (await service.Api.WaitAsync((await SubmitAsync(new EvaluationInput { Model = model, Dataset = other })).Id, Cancel)).Error!.Code.ShouldBe(ProblemCodes.TableInvalid);

        var lenient = Requests.NewId();
        await UploadModelAsync(lenient, TestModels.Identity(DataType.Float, 2), LowHigh.Replace("\"number\"", "\"number\",\"missing\":0", StringComparison.Ordinal));
        (await service.Api.WaitAsync((await SubmitAsync(new EvaluationInput { Model = lenient, Dataset = other })).Id, Cancel)).Error!.Code.ShouldBe(ProblemCodes.TableInvalid);

        var bad = await UploadDataAsync("a,b,truth\n1,2,high\nx,1,low\n2,1,low\n"u8.ToArray());
        var output = await RunAsync(new EvaluationInput { Model = model, Dataset = bad });
        (output.Items, output.Failed, output.FirstError!.Code).ShouldBe((2, 1, ProblemCodes.RowInvalid));
    }

    [Fact]
    public async Task A_model_without_a_pipeline_is_fed_the_columns_that_the_job_names()
    {
        var name = Requests.NewId();
        using (var response = await service.Http.PutAsync($"v1/models/{name}", new ByteArrayContent(TestModels.Identity(DataType.Float, 2)), Cancel))
            response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
        // The truth is the place of the larger of b and a, in this order.
        var data = await UploadDataAsync("id,a,b,truth\n1,2,1,1\n2,1,2,0\n3,5,1,1\n4,1,5,0\n"u8.ToArray());

        var refused = (await service.Api.WaitAsync((await SubmitAsync(new EvaluationInput { Model = name, Dataset = data })).Id, Cancel)).Error!;
        refused.Code.ShouldBe(ProblemCodes.TableInvalid);
        refused.Message.ShouldContain("`id`, `a`, `b`");
        refused.Message.ShouldContain("in the `columns` of the job");
        refused.Message.ShouldNotContain("idColumn");

        (await RunAsync(new EvaluationInput { Model = name, Dataset = data, Columns = ["b", "a"] })).Model.Classification!.Accuracy.ShouldBe(1);
        (await RunAsync(new EvaluationInput { Model = name, Dataset = data, Columns = ["a", "b"] })).Model.Classification!.Accuracy.ShouldBe(0, "the order is that of the input");
        var (pipelined, other) = await LowHighAsync();
        foreach (var (input, code, words) in new (string, string, string)[]
        {
            ($$"""{"model":"{{name}}@1","dataset":"{{data}}","columns":["a","c"]}""", ProblemCodes.ColumnNotFound, "`id`, `a`, `b`"),
            ($$"""{"model":"{{name}}@1","dataset":"{{data}}","columns":["a"]}""", ProblemCodes.InvalidValue, "takes 2 numbers"),
            ($$"""{"model":"{{name}}@1","dataset":"{{data}}","columns":["a","truth"],"target":"truth"}""", ProblemCodes.InvalidValue, "holds the truth"),
            ($$"""{"model":"{{pipelined}}@1","dataset":"{{other}}","columns":["a","b"]}""", ProblemCodes.InvalidValue, "leave it out"),
        })
        {
            using var response = await service.Http.PostAsync("v1/jobs", Requests.Json($$"""{"kind":"evaluation","input":{{input}}}"""), Cancel);
            var problem = await Requests.ProblemAsync(response);
            (problem.Status, problem.Code).ShouldBe((422, code), input);
            problem.Detail.ShouldContain(words);
        }
    }

    [Fact]
    public async Task What_cannot_be_evaluated_is_refused_at_once()
    {
        var (model, data) = await LowHighAsync();
        var embedder = Requests.NewId();
        await UploadModelAsync(embedder, TestModels.Identity(DataType.Float, 2), """{"table":{"columns":[{"name":"a","kind":"number"},{"name":"b","kind":"number"}]},"postprocess":{"embeddings":{}}}""");
        foreach (var (input, status, code) in new (string, int, string)[]
        {
            ($$"""{"model":"nobody","dataset":"{{data}}"}""", 404, ProblemCodes.ModelNotFound),
            ($$"""{"model":"{{model}}","compareWith":"nobody","dataset":"{{data}}"}""", 404, ProblemCodes.ModelNotFound),
            ($$"""{"model":"{{model}}","dataset":"nothing"}""", 404, ProblemCodes.DatasetNotFound),
            ($$"""{"model":"{{model}}","dataset":"{{data}}","split":"test"}""", 422, ProblemCodes.DatasetEmpty),
            ($$"""{"model":"{{model}}","dataset":"{{data}}","split":"some"}""", 422, ProblemCodes.InvalidValue),
            ($$"""{"model":"{{model}}","dataset":"{{data}}","slices":["planet"]}""", 422, ProblemCodes.ColumnNotFound),
            ($$"""{"model":"{{model}}","dataset":"{{data}}","target":"planet"}""", 422, ProblemCodes.ColumnNotFound),
            ($$"""{"model":"{{model}}","dataset":"{{data}}","bootstrap":5}""", 422, ProblemCodes.InvalidValue),
            ($$"""{"model":"{{embedder}}","dataset":"{{data}}"}""", 422, ProblemCodes.EvaluationUnsupported),
            ($$"""{"model":"{{model}}","dataset":"{{data}}","slice":"a"}""", 400, ProblemCodes.UnknownField),
        })
        {
            using var response = await service.Http.PostAsync("v1/jobs", Requests.Json($$"""{"kind":"evaluation","input":{{input}}}"""), Cancel);
            var problem = await Requests.ProblemAsync(response);
            (problem.Status, problem.Code).ShouldBe((status, code), input);
        }
    }

    private async Task<(string Model, string Data)> LowHighAsync(string region = "north")
    {
        var model = Requests.NewId();
        await UploadModelAsync(model, TestModels.Identity(DataType.Float, 2), LowHigh);
        var csv = new StringBuilder("a,b,region,truth\n");
        for (var i = 1; i <= 200; i++)
        {
            var (a, b) = (i % 7, i % 2 == 0 ? (i % 7) + 0.5 + (i % 3) : (i % 7) - 0.5 - (i % 5));
            csv.Append(System.Globalization.CultureInfo.InvariantCulture, $"{a + (i / 1000.0)},{b},{(i % 3 == 0 ? region : "south")},{((b > a) != (i % 10 == 0) ? "high" : "low")}\n");
        }

        return (model, await UploadDataAsync(Encoding.UTF8.GetBytes(csv.ToString())));
    }

    private async Task<EvaluationOutput> RunAsync(EvaluationInput input) => Requests.Output<EvaluationOutput>(await service.Api.WaitAsync((await SubmitAsync(input)).Id, Cancel));

    private Task<Job> SubmitAsync(EvaluationInput input) => service.Api.SubmitAsync(QueueMaaSClient.Evaluation(input with { Model = input.Model.Contains('@', StringComparison.Ordinal) ? input.Model : $"{input.Model}@1", CompareWith = input.CompareWith is { } other ? $"{other}@1" : null }), cancellationToken: Cancel);

    private async Task<string> UploadDataAsync(byte[] file)
    {
        var name = Requests.NewId();
        using var response = await service.Http.PutAsync($"v1/datasets/{name}", new ByteArrayContent(file), Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
        return name;
    }

    private async Task UploadModelAsync(string name, byte[] model, string pipeline)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(model), "model", "model.onnx" }, { new StringContent(pipeline), "pipeline" } };
        using var response = await service.Http.PutAsync($"v1/models/{name}", form, Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
    }

    [GeneratedRegex("""(?:src|href|url)\s*[=(]\s*["']?(?!data:)[^"'\s>]+""", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Addresses();
}
