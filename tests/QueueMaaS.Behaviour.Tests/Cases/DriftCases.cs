using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Demo;
using DataType = QueueMaaS.Onnx.TensorProto.Types.DataType;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Drift: what a version serves is compared with the data of its baseline, and told of when the two part and meet again.</summary>
public abstract class DriftCases(ServiceFixture service)
{
    private const string Table = """{"table":{"columns":[{"name":"a","kind":"number"},{"name":"b","kind":"number"}]},"labels":["low","high"]}""";
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Traffic_that_parts_from_the_training_data_is_told_of_and_so_is_its_return()
    {
        var path = Requests.NewId();
        await service.Http.PostAsJsonAsync("v1/webhook-endpoints", new { url = service.Webhooks.Url(path), events = new[] { "model.drift" } }, Cancel);
        var (model, data) = (Requests.NewId(), await UploadDataAsync(Rows(500)));
        await UploadModelAsync(model, TestModels.Identity(DataType.Float, 2), Table);
        var monitor = await MonitorAsync(model, $$$"""{"dataset":"{{{data}}}","settings":{"windowSeconds":2,"minRows":100}}""");
        (monitor.State, monitor.BaselineRows, monitor.Baseline, monitor.Rows).ShouldBe((DriftState.Waiting, 500L, $"{data}@1 (train)", 0L));
        monitor.Features.Select(feature => feature.Name).Order(StringComparer.Ordinal).ShouldBe(["a", "b", "output label", "output margin"]);

        monitor = await DriveAsync(model, 0, static m => m.State == DriftState.Steady);
        monitor.Features.ShouldAllBe(feature => !feature.Parted && feature.Psi < 0.2);

        // b is 3 greater than it was: the answers change with it.
        monitor = await DriveAsync(model, 3, static m => m.State == DriftState.Drifting && m.Features[0].Psi > 1);
        monitor.Features.Single(feature => feature.Name == "b").ShouldSatisfyAllConditions(b => b.Parted.ShouldBeTrue(), b => b.Ks!.Value.ShouldBeGreaterThan(0.3), b => b.Kind.ShouldBe("number"));
        monitor.Features.Single(feature => feature.Name == "output label").ShouldSatisfyAllConditions(label => label.Parted.ShouldBeTrue(), label => label.Kind.ShouldBe("category"));
        monitor.Features.Single(feature => feature.Name == "a").Parted.ShouldBeFalse();
        var told = JsonElement.Parse((await service.Webhooks.NextAsync(path)).Body);
        (told.GetProperty("type").GetString(), told.GetProperty("data").GetProperty("state").GetString()).ShouldBe(("model.drift", "drifting"));
        (await service.Http.GetStringAsync("metrics", Cancel)).ShouldContain($"model=\"{model}\"");

        await DriveAsync(model, 0, static m => m.State == DriftState.Steady);
        JsonElement.Parse((await service.Webhooks.NextAsync(path)).Body).GetProperty("data").GetProperty("state").GetString().ShouldBe("steady");
        service.Webhooks.Waiting(path).ShouldBe(0, "each change is told of once");

        using var ended = await service.Http.DeleteAsync($"v1/models/{model}/drift", Cancel);
        ended.StatusCode.ShouldBe(HttpStatusCode.NoContent);
        using var gone = await service.Http.GetAsync($"v1/models/{model}/drift", Cancel);
        (await Requests.ProblemAsync(gone)).Code.ShouldBe(ProblemCodes.MonitorNotFound);
    }

    [Fact]
    public async Task A_training_that_asks_for_it_keeps_what_its_data_was_like_with_the_version()
    {
        var (model, data) = (Requests.NewId(), await UploadDataAsync(Rows(300)));
        using var response = await service.Http.PostAsync("v1/jobs", Requests.Json($$$$"""{"kind":"training","input":{"model":"{{{{model}}}}","dataset":"{{{{data}}}}","epochs":1,"monitor":{"threshold":0.3}}}"""), Cancel);
        var id = JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel)).GetProperty("id").GetString()!;
        Requests.Output<TrainingOutput>(await service.Api.WaitAsync(id, Cancel));
        Requests.Output<DriftMonitor>(await service.Api.WaitAsync($"{id}:baseline", Cancel));
        var monitor = await GetAsync($"{model}@1");
        (monitor.Baseline, monitor.BaselineRows, monitor.Settings.Threshold, monitor.State).ShouldBe(($"{data}@1 (train)", 300L, 0.3, DriftState.Waiting));
        monitor.Features.Select(feature => feature.Name).ShouldBe(["output label", "output margin", "a", "b"], ignoreOrder: true);
    }

    [Fact]
    public async Task Images_are_summarised_by_their_channels_and_a_new_monitor_takes_the_place_of_the_old()
    {
        var (name, classes) = (Requests.NewId(), ShapesDataset.Classes);
        await UploadModelAsync(
            name, TestModels.Constant([1, 1, 2, 2], [1, classes.Count], [2, .. new float[classes.Count - 1]]),
            $$$"""{"image":{"width":2,"height":2,"channels":1},"labels":[{{{string.Join(",", classes.Select(c => $"\"{c}\""))}}}]}""");
        var data = Requests.NewId();
        await service.Api.UploadDatasetAsync(data, new MemoryStream(TestImages.Shapes(20, 5, 0)), Cancel);
        var first = await MonitorAsync(name, $$"""{"dataset":"{{data}}"}""");
        (first.Baseline, first.BaselineRows).ShouldBe(($"{data}@1 (train)", 20L * classes.Count));
        first.Features.Select(feature => feature.Name).ShouldBe(["output label", "output margin", "channel 1 mean", "channel 1 deviation"], ignoreOrder: true);
        var second = await MonitorAsync(name, $$"""{"dataset":"{{data}}","split":"test"}""");
        (second.Id == first.Id, second.Baseline).ShouldBe((false, $"{data}@1 (test)"));
        (await GetAsync(name)).Id.ShouldBe(second.Id);
    }

    [Fact]
    public async Task What_cannot_be_watched_is_refused_at_once()
    {
        var (model, data) = (Requests.NewId(), await UploadDataAsync(Rows(60)));
        await UploadModelAsync(model, TestModels.Identity(DataType.Float, 2), Table);
        foreach (var (body, code) in new (string, string)[]
        {
            ("{}", ProblemCodes.DatasetNotFound),
            ("""{"dataset":"nowhere"}""", ProblemCodes.DatasetNotFound),
            ($$"""{"dataset":"{{data}}","split":"test"}""", ProblemCodes.DatasetEmpty),
            ($$"""{"dataset":"{{data}}","split":"some"}""", ProblemCodes.InvalidValue),
            ($$"""{"dataset":"{{data}}","target":"planet"}""", ProblemCodes.ColumnNotFound),
            ($$"""{"dataset":"{{data}}","maxRows":5}""", ProblemCodes.InvalidValue),
            ($$$"""{"dataset":"{{{data}}}","settings":{"threshold":0}}""", ProblemCodes.InvalidValue),
            // What no double can hold.
            ($$$"""{"dataset":"{{{data}}}","settings":{"threshold":1e400}}""", ProblemCodes.InvalidValue),
            ($$$"""{"dataset":"{{{data}}}","settings":{"windowSeconds":1e400}}""", ProblemCodes.InvalidValue),
            ($$$"""{"dataset":"{{{data}}}","settings":{"windowSeconds":0}}""", ProblemCodes.InvalidValue),
            ($$$"""{"dataset":"{{{data}}}","settings":{"minRows":3}}""", ProblemCodes.InvalidValue),
            ($$"""{"dataset":"{{data}}","bins":3}""", ProblemCodes.UnknownField),
        })
        {
            using var response = await service.Http.PutAsync($"v1/models/{model}/drift", Requests.Json(body), Cancel);
            (await Requests.ProblemAsync(response)).Code.ShouldBe(code, body);
        }

        using var none = await service.Http.GetAsync($"v1/models/{model}/drift", Cancel);
        (await Requests.ProblemAsync(none)).ShouldSatisfyAllConditions(p => p.Status.ShouldBe(404), p => p.Code.ShouldBe(ProblemCodes.MonitorNotFound));
    }

    private static string Rows(int count)
    {
        var csv = new StringBuilder("a,b,truth\n");
        for (var i = 0; i < count; i++)
            csv.Append(CultureInfo.InvariantCulture, $"{A(i)},{B(i)},{(B(i) > A(i) ? "high" : "low")}\n");
        return csv.ToString();
    }

    private static double A(int row) => row * 37 % 100 / 25.0;

    private static double B(int row) => row * 61 % 100 / 25.0;

    /// <summary>Sends rows like those of the data, with b so much greater, until the monitor stands as wanted.</summary>
    private async Task<DriftMonitor> DriveAsync(string model, double shift, Func<DriftMonitor, bool> enough)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var row = 0;
        while (true)
        {
            await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => AskAsync(model, A(row), B(row++) + shift)));
            if (await GetAsync(model) is { } monitor && enough(monitor))
                return monitor;
            await Task.Delay(5, limit.Token);
        }
    }

    private async Task AskAsync(string model, double a, double b)
    {
        var body = string.Create(CultureInfo.InvariantCulture, $$"""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[{{a}},{{b}}]}]}""");
        using var response = await service.Http.PostAsync($"v2/models/{model}/infer", Requests.Json(body), Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue();
    }

    private async Task<DriftMonitor> GetAsync(string reference) => (await service.Http.GetFromJsonAsync<DriftMonitor>($"v1/models/{reference}/drift", QueueMaaSJson.Relaxed, Cancel))!;

    private async Task<DriftMonitor> MonitorAsync(string reference, string body)
    {
        using var response = await service.Http.PutAsync($"v1/models/{reference}/drift", Requests.Json(body), Cancel);
        var text = await response.Content.ReadAsStringAsync(Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(text);
        return Requests.Output<DriftMonitor>(await service.Api.WaitAsync(JsonElement.Parse(text).GetProperty("id").GetString()!, Cancel));
    }

    private async Task<string> UploadDataAsync(string csv)
    {
        var name = Requests.NewId();
        using var response = await service.Http.PutAsync($"v1/datasets/{name}", new ByteArrayContent(Encoding.UTF8.GetBytes(csv)), Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
        return name;
    }

    private async Task UploadModelAsync(string name, byte[] model, string pipeline)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(model), "model", "model.onnx" }, { new StringContent(pipeline), "pipeline" } };
        using var response = await service.Http.PutAsync($"v1/models/{name}", form, Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
    }
}
