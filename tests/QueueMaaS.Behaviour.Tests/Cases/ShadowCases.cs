using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using DataType = QueueMaaS.Onnx.TensorProto.Types.DataType;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Shadow traffic: another version computes beside, and callers notice nothing.</summary>
public abstract class ShadowCases(ServiceFixture service)
{
    private const string Infer = """{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[3,4]}]}""";
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Answers_of_the_shadow_are_compared_with_those_that_callers_got()
    {
        // y = 2x, and y = x: of [3, 4] the numbers differ by 3 and 4.
        var model = Requests.NewId();
        await UploadAsync(model, TestModels.Double());
        await UploadAsync(model, TestModels.Identity(DataType.Float, 2));
        (await PutAsync(model, """{"version":2}""")).Requests.ShouldBe(0);

        var shadow = await DriveAsync(model, () => AskAsync(model), static s => s.Computed >= 5);

        (shadow.MaxDeviation, shadow.MeanDeviation, shadow.Failed).ShouldBe((4.0, 3.5, 0L));
        shadow.LabelledRows.ShouldBe(shadow.Computed, "without a pipeline the likeliest of several numbers is the label");
        shadow.Agreement.ShouldBe(1);
        (shadow.ServedP50Ms > 0, shadow.ShadowP99Ms > 0).ShouldBe((true, true));
        shadow.Requests.ShouldBeGreaterThanOrEqualTo(shadow.Computed + shadow.Dropped);
        var answer = await AskAsync(model);
        answer.GetProperty("model_version").GetString().ShouldBe("1", "callers get the production version's answer");

        using var ended = await service.Http.DeleteAsync($"v1/models/{model}/shadow", Cancel);
        ended.IsSuccessStatusCode.ShouldBeTrue();
        using var gone = await service.Http.GetAsync($"v1/models/{model}/shadow", Cancel);
        (await Requests.ProblemAsync(gone)).Code.ShouldBe(ProblemCodes.ShadowNotFound);
    }

    [Fact]
    public async Task Labels_that_differ_are_counted_each_version_with_its_own_preparation()
    {
        const string Pipeline = """{"table":{"columns":[{"name":"a","kind":"number"},{"name":"b","kind":"number"}]},"labels":["low","high"]}""";
        var model = Requests.NewId();
        await UploadAsync(model, TestModels.Identity(DataType.Float, 2), Pipeline);
        // The other version takes 10 from b first, so it says `low` where the first one says `high`.
        await UploadAsync(model, TestModels.Identity(DataType.Float, 2), Pipeline.Replace("\"b\",\"kind\":\"number\"", "\"b\",\"kind\":\"number\",\"mean\":10", StringComparison.Ordinal));
        await PutAsync(model, """{"version":2,"share":1}""");
        var row = JsonElement.Parse("""{"a":1,"b":2}""");

        var shadow = await DriveAsync(model, async () =>
        {
            var job = await service.Api.SubmitAsync(QueueMaaSClient.Inference(new InferenceInput { Model = model, Row = row }), cancellationToken: Cancel);
            Requests.Output<InferenceOutput>(await service.Api.WaitAsync(job.Id, Cancel)).Labels![0][0].Label.ShouldBe("high");
        }, static s => s.Computed >= 3);

        (shadow.Agreement, shadow.MaxDeviation).ShouldBe((0.0, 10.0));
    }

    [Fact]
    public async Task A_shadow_that_fails_is_counted_and_fails_no_caller()
    {
        var model = Requests.NewId();
        await UploadAsync(model, TestModels.Double());
        await UploadAsync(model, TestModels.SquareRoot(), batching: """{"rejectNonFinite":true}""");
        await PutAsync(model, """{"version":2}""");
        var shadow = await DriveAsync(model, () => AskAsync(model, Infer.Replace("3,4", "-3,4", StringComparison.Ordinal)), static s => s.Failed >= 2);
        (shadow.Computed, shadow.FirstError!.Length > 10).ShouldBe((0, true));
    }

    [Fact]
    public async Task Under_load_shadows_are_dropped_and_counted_so_that_callers_do_not_wait()
    {
        var model = Requests.NewId();
        await UploadAsync(model, TestModels.Double());
        await UploadAsync(model, TestModels.Slow());
        await PutAsync(model, """{"version":2}""");
        // So many callers at once that the worker is never without one.
        var shadow = await DriveAsync(model, () => Task.WhenAll(Enumerable.Range(0, 128).Select(_ => AskAsync(model))), static s => s.Dropped >= 20);
        shadow.Requests.ShouldBeGreaterThan(shadow.Computed);
    }

    [Fact]
    public async Task What_cannot_shadow_is_refused()
    {
        var model = Requests.NewId();
        await UploadAsync(model, TestModels.Double());
        await UploadAsync(model, TestModels.Zeros(3));
        foreach (var (body, code) in new (string, string)[]
        {
            ("{}", ProblemCodes.InvalidRequest),
            ("""{"version":1}""", ProblemCodes.InvalidValue),
            ("""{"version":2}""", ProblemCodes.InvalidValue),
            ("""{"version":7}""", ProblemCodes.ModelNotFound),
            ("""{"version":1,"alias":"nobody"}""", ProblemCodes.ModelNotFound),
            ("""{"version":1,"share":0}""", ProblemCodes.InvalidValue),
            ("""{"version":1,"part":0}""", ProblemCodes.UnknownField),
        })
        {
            using var response = await service.Http.PutAsync($"v1/models/{model}/shadow", Requests.Json(body), Cancel);
            (await Requests.ProblemAsync(response)).Code.ShouldBe(code, body);
        }

        using var unknown = await service.Http.GetAsync($"v1/models/{Requests.NewId()}/shadow", Cancel);
        unknown.StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    private async Task<Shadow> DriveAsync(string model, Func<Task> ask, Func<Shadow, bool> enough)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            await ask();
            var shadow = (await service.Http.GetFromJsonAsync<Shadow>($"v1/models/{model}/shadow", QueueMaaSJson.Relaxed, Cancel))!;
            if (enough(shadow))
                return shadow;
            await Task.Delay(20, limit.Token);
        }
    }

    private async Task<JsonElement> AskAsync(string model, string body = Infer)
    {
        using var response = await service.Http.PostAsync($"v2/models/{model}/infer", Requests.Json(body), Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue();
        return JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel));
    }

    private async Task<Shadow> PutAsync(string model, string body)
    {
        using var response = await service.Http.PutAsync($"v1/models/{model}/shadow", Requests.Json(body), Cancel);
        var text = await response.Content.ReadAsStringAsync(Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(text);
        return JsonSerializer.Deserialize<Shadow>(text, QueueMaaSJson.Relaxed)!;
    }

    private async Task UploadAsync(string name, byte[] model, string? pipeline = null, string? batching = null)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(model), "model", "model.onnx" } };
        if (pipeline is not null)
            form.Add(new StringContent(pipeline), "pipeline");
        if (batching is not null)
            form.Add(new StringContent(batching), "batching");
        using var response = await service.Http.PutAsync($"v1/models/{name}", form, Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
    }
}
