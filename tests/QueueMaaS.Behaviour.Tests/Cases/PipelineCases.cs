using System.Net;
using System.Net.Http.Json;
using System.Text;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using SkiaSharp;
using DataType = QueueMaaS.Onnx.TensorProto.Types.DataType;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>A client sends an image, a row or a text and gets an answer, not tensors.</summary>
public abstract class PipelineCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_row_is_answered_with_labels()
    {
        await UploadAsync("rows", TestModels.Identity(DataType.Float, 2), """{"table":{"columns":[{"name":"a","kind":"number","missing":0},{"name":"b","kind":"number"}]},"labels":["low","high"]}""");

        var output = await InferAsync("""{"model":"rows","row":{"b":3}}""");
        output.Labels!.ShouldHaveSingleItem()[0].Label.ShouldBe("high");
        output.Outputs.ShouldBeNull();
        (await InferAsync("""{"model":"rows","rows":[[1,0],[0,1]],"topK":1}""")).Labels!.Select(row => row.ShouldHaveSingleItem().Label).ShouldBe(["low", "high"]);
        (await RefusedAsync("""{"model":"rows","row":{"c":3}}""")).ShouldBe((422, ProblemCodes.RowInvalid));
    }

    [Fact]
    public async Task A_text_is_tokenised_by_the_uploaded_vocabulary()
    {
        var vocabulary = await service.Api.UploadArtifactAsync(new MemoryStream("[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n"u8.ToArray()), Cancel);
        await UploadAsync("texts", TestModels.Identity(DataType.Int64, -1), $$"""{"text":{"kind":"wordPiece","vocabulary":"{{vocabulary.Id}}" } }""");

        var output = await InferAsync("""{"model":"texts","texts":["Hello","hello hello"]}""");

        output.Outputs![0].Shape.ShouldBe([2L, 4]);
        output.Outputs[0].Data.EnumerateArray().Select(id => id.GetInt32()).ShouldBe([2, 4, 3, 0, 2, 4, 4, 3]);
        (await RefusedAsync("""{"model":"texts","text":" "}""")).ShouldBe((422, ProblemCodes.TextInvalid));
    }

    [Fact]
    public async Task An_image_is_seen_as_its_orientation_says_and_a_bad_one_fails_its_own_job_only()
    {
        await UploadAsync("images", TestModels.Identity(DataType.Float, 1, 2, 2), """{"image":{"width":2,"height":2,"channels":1,"scale":1}}""");
        var huge = new byte[33];
        new byte[] { 0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30, 8, 2, 0, 0, 0 }.CopyTo(huge, 0);
        var files = new[] { Turned(HalfBlack()), huge, HalfBlack(), HalfBlack()[..100] };

        var jobs = await Task.WhenAll(files.Select(file => service.Api.SubmitAsync(
            QueueMaaSClient.Inference(new InferenceInput { Model = "images", Image = new ImageSource { Base64 = Convert.ToBase64String(file) }, Outputs = ["y"] }), cancellationToken: Cancel)));
        var ended = await Task.WhenAll(jobs.Select(job => service.Api.WaitAsync(job.Id, Cancel)));

        // The turned one has its black half on top, the other on its left.
        Dark(ended[0]).ShouldBe([true, true, false, false]);
        Dark(ended[2]).ShouldBe([true, false, true, false]);
        ended[1].Error!.Code.ShouldBe(ProblemCodes.ImageUnreadable);
        ended[3].Error!.Code.ShouldBe(ProblemCodes.ImageUnreadable);
        ended.Count(job => job.State == JobState.Failed).ShouldBe(2);

        static bool[] Dark(Job job) => [.. Requests.Output<InferenceOutput>(job).Outputs![0].Data.EnumerateArray().Select(value => value.GetDouble() < 128)];
    }

    [Fact]
    public async Task Objects_are_found_in_an_image_and_placed_in_its_own_pixels()
    {
        // Whatever the image, the model says: one box from (1, 0) to (3, 2) of its 4 × 4 pixels, surely the second class.
        await UploadAsync("objects", TestModels.Constant([1, 3, 4, 4], [1, 1, 6], [1, 0, 3, 2, 0.1f, 0.9f]), """
            {"image":{"width":4,"height":4,"channels":3},"labels":["cat","dog"],"postprocess":{"detections":{"layout":"boxesFirst","format":"xyxy"}}}
            """);

        var output = await InferAsync($$"""{"model":"objects","image":{"base64":"{{Convert.ToBase64String(HalfBlack())}}" } }""");

        var found = output.Detections!.ShouldHaveSingleItem().ShouldHaveSingleItem();
        (found.Label, found.Score, found.Box).ShouldBe(("dog", 0.9, new Box(4, 0, 8, 8)));
        (await UploadProblemAsync(TestModels.Constant([1, 3, 4, 4], [1, 1, 6], new float[6]), """{"postprocess":{"detections":{"layout":"boxesFirst"}}}""")).ShouldBe((422, ProblemCodes.PipelineInvalid));
    }

    [Fact]
    public async Task Items_of_a_batch_job_may_be_rows()
    {
        await UploadAsync("batch-rows", TestModels.Identity(DataType.Float, 2), """{"table":{"columns":[{"name":"a","kind":"number"},{"name":"b","kind":"number"}]},"labels":["low","high"]}""");
        var lines = string.Join('\n', Enumerable.Range(0, 20).Select(i => i == 11 ? """{"row":{"a":"x","b":1}}""" : $$"""{"row":{"a":{{i % 2}},"b":0.5},"label":"{{(i % 2 == 1 ? "low" : "high")}}"}"""));
        var file = await service.Api.UploadArtifactAsync(new MemoryStream(Encoding.UTF8.GetBytes(lines)), Cancel);

        var job = await service.Api.SubmitAsync(QueueMaaSClient.Batch(new BatchInput { Model = "batch-rows", Artifact = file.Id, ChunkSize = 6 }), cancellationToken: Cancel);

        var output = Requests.Output<BatchOutput>(await service.Api.WaitAsync(job.Id, Cancel));
        (output.Succeeded, output.Failed, output.Accuracy).ShouldBe((19, 1, 1d));
    }

    [Fact]
    public async Task A_pipeline_that_does_not_fit_its_model_is_refused_with_the_place()
    {
        (await UploadProblemAsync(TestModels.Double(), """{"table":{"columns":[{"name":"a","kind":"number"}]}}""")).ShouldBe((422, ProblemCodes.PipelineInvalid));
        (await UploadProblemAsync(TestModels.Double(), """{"tabel":{}}""")).ShouldBe((400, ProblemCodes.UnknownField));
        (await UploadProblemAsync(TestModels.Double(), """{"labels":["a","b","c"]}""")).ShouldBe((422, ProblemCodes.PipelineInvalid));
    }

    private async Task<InferenceOutput> InferAsync(string input)
    {
        using var response = await service.Http.PostAsync("v1/jobs?wait=30", Requests.Json($$"""{"kind":"inference","input":{{input}}}"""), Cancel);
        return Requests.Output<InferenceOutput>((await response.Content.ReadFromJsonAsync<Job>(QueueMaaSJson.Relaxed, Cancel))!);
    }

    private async Task<(int Status, string Code)> RefusedAsync(string input)
    {
        using var response = await service.Http.PostAsync("v1/jobs", Requests.Json($$"""{"kind":"inference","input":{{input}}}"""), Cancel);
        var problem = await Requests.ProblemAsync(response);
        return (problem.Status, problem.Code);
    }

    private async Task UploadAsync(string name, byte[] model, string pipeline)
    {
        using var response = await PutAsync(name, model, pipeline);
        response.StatusCode.ShouldBe(HttpStatusCode.Created, await response.Content.ReadAsStringAsync(Cancel));
    }

    private async Task<(int Status, string Code)> UploadProblemAsync(byte[] model, string pipeline)
    {
        using var response = await PutAsync("unfit", model, pipeline);
        var problem = await Requests.ProblemAsync(response);
        return (problem.Status, problem.Code);
    }

    private async Task<HttpResponseMessage> PutAsync(string name, byte[] model, string pipeline)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(model), "model", "model.onnx" }, { new StringContent(pipeline), "pipeline" } };
        return await service.Http.PutAsync($"v1/models/{name}", form, Cancel);
    }

    private static byte[] HalfBlack()
    {
        using var bitmap = new SKBitmap(new SKImageInfo(16, 16, SKColorType.Rgba8888, SKAlphaType.Opaque));
        bitmap.Erase(SKColors.White);
        using (var canvas = new SKCanvas(bitmap))
        using (var paint = new SKPaint { Color = SKColors.Black })
            canvas.DrawRect(0, 0, 8, 16, paint);
        using var data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 95);
        return data.ToArray();
    }

    /// <summary>With EXIF orientation 6: to be turned a quarter clockwise.</summary>
    private static byte[] Turned(byte[] jpeg) =>
        [.. jpeg[..2], 0xFF, 0xE1, 0, 34, .. "Exif\0\0"u8, .. "MM\0*"u8, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, .. jpeg[2..]];
}
