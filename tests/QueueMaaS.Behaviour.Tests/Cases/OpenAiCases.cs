using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;
using DataType = QueueMaaS.Onnx.TensorProto.Types.DataType;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>OpenAI's clients work with another base address.</summary>
public abstract class OpenAiCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_published_client_runs_a_batch_and_gets_both_files_by_custom_id()
    {
        var lines = Enumerable.Range(1, 40).Select(i => i == 13
            ? """{"custom_id":"r13","method":"POST","url":"/v1/inference","body":{"model":"double","inputs":[]}}"""
            : $$"""{"custom_id":"r{{i}}","method":"POST","url":"/v1/inference","body":{"model":"double","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[{{i}},0]}] } }""");

        var result = await RunAsync("/v1/inference", string.Join('\n', lines));

        var batch = result.GetProperty("batch");
        batch.GetProperty("status").GetString().ShouldBe("completed");
        batch.GetProperty("object").GetString().ShouldBe("batch");
        batch.GetProperty("metadata").GetProperty("team").GetString().ShouldBe("red");
        batch.GetProperty("request_counts").GetRawText().ShouldBe("""{"total":40,"completed":39,"failed":1}""");
        batch.GetProperty("completed_at").GetInt64().ShouldBeGreaterThanOrEqualTo(batch.GetProperty("created_at").GetInt64());
        var output = result.GetProperty("output").EnumerateArray().ToArray();
        output.Length.ShouldBe(39);
        output[^1].GetProperty("custom_id").GetString().ShouldBe("r40");
        output[^1].GetProperty("response").GetProperty("status_code").GetInt32().ShouldBe(200);
        output[^1].GetProperty("response").GetProperty("body").GetProperty("outputs")[0].GetProperty("data").GetRawText().ShouldBe("[80,0]");
        output[^1].GetProperty("error").ValueKind.ShouldBe(JsonValueKind.Null);
        var error = result.GetProperty("errors").EnumerateArray().ShouldHaveSingleItem();
        (error.GetProperty("custom_id").GetString(), error.GetProperty("error").GetProperty("code").GetString()).ShouldBe(("r13", ProblemCodes.TensorNameMismatch));
        result.GetProperty("listed").EnumerateArray().Select(id => id.GetString()).ShouldContain(batch.GetProperty("id").GetString());
        result.GetProperty("deleted").GetBoolean().ShouldBeTrue();
        result.GetProperty("missing").GetProperty("status").GetInt32().ShouldBe(404);
    }

    [Fact]
    public async Task Embeddings_come_in_the_form_that_their_clients_read()
    {
        var vocabulary = await service.Api.UploadArtifactAsync(new MemoryStream("[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n"u8.ToArray()), Cancel);
        using var form = new MultipartFormDataContent
        {
            { new ByteArrayContent(TestModels.Identity(DataType.Int64, 4)), "model", "model.onnx" },
            { new StringContent($$$"""{"text":{"kind":"wordPiece","vocabulary":"{{{vocabulary.Id}}}" },"postprocess":{"embeddings":{} } }"""), "pipeline" },
        };
        using (var uploaded = await service.Http.PutAsync("v1/models/embedder", form, Cancel))
            uploaded.IsSuccessStatusCode.ShouldBeTrue(await uploaded.Content.ReadAsStringAsync(Cancel));

        var result = await RunAsync("/v1/embeddings", """
            {"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"embedder","input":"hello"}}
            {"custom_id":"b","method":"POST","url":"/v1/embeddings","body":{"model":"embedder","input":["hello hello","other"]}}
            {"custom_id":"c","method":"POST","url":"/v1/embeddings","body":{"model":"another","input":"hello"}}
            """);

        var bodies = result.GetProperty("output").EnumerateArray().Select(line => line.GetProperty("response").GetProperty("body")).ToArray();
        bodies[0].GetProperty("data")[0].GetProperty("embedding").GetRawText().ShouldBe("[2,4,3,0]");
        bodies[1].GetProperty("data").EnumerateArray().Select(one => one.GetProperty("embedding").GetRawText()).ShouldBe(["[2,4,4,3]", "[2,1,3,0]"]);
        result.GetProperty("errors").EnumerateArray().ShouldHaveSingleItem().GetProperty("error").GetProperty("message").GetString()!.ShouldContain("Line 3");
    }

    [Fact]
    public async Task A_custom_id_that_comes_twice_fails_the_batch_at_validation_with_its_line()
    {
        const string Line = """{"custom_id":"same","method":"POST","url":"/v1/inference","body":{"model":"double","inputs":[]}}""";

        var result = await RunAsync("/v1/inference", $"{Line}\n{Line}");

        var batch = result.GetProperty("batch");
        batch.GetProperty("status").GetString().ShouldBe("failed");
        var fault = batch.GetProperty("errors").GetProperty("data")[0];
        fault.GetProperty("code").GetString().ShouldBe(ProblemCodes.DuplicateId);
        fault.GetProperty("message").GetString()!.ShouldContain("Line 2");
    }

    [Theory]
    [InlineData("""{"input_file_id":"file-none","endpoint":"/v1/inference","completion_window":"24h"}""", 404)]
    [InlineData("""{"endpoint":"/v1/inference"}""", 400)]
    [InlineData("""not json""", 400)]
    public async Task What_cannot_be_done_is_told_in_the_form_that_their_clients_read(string body, int status)
    {
        using var response = await service.Http.PostAsync("v1/batches", Requests.Json(body), Cancel);

        ((int)response.StatusCode).ShouldBe(status);
        var error = JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel)).GetProperty("error");
        error.GetProperty("message").GetString().ShouldNotBeNullOrEmpty();
        error.GetProperty("code").GetString().ShouldNotBeNullOrEmpty();
    }

    [Fact]
    public async Task A_cancelled_batch_keeps_what_was_done_in_both_files()
    {
        await service.Api.UploadModelAsync("slow", new MemoryStream(TestModels.Slow()), Cancel);
        var lines = string.Join('\n', Enumerable.Range(1, 20_000).Select(i => $$"""{"custom_id":"r{{i}}","method":"POST","url":"/v1/inference","body":{"model":"slow","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[{{i}},0]}] } }"""));
        var file = await UploadAsync(lines, "v1/files");
        using var created = await service.Http.PostAsync("v1/batches", Requests.Json($$"""{"input_file_id":"{{file}}","endpoint":"/v1/inference","completion_window":"24h"}"""), Cancel);
        var id = JsonElement.Parse(await created.Content.ReadAsStringAsync(Cancel)).GetProperty("id").GetString()!;
        await foreach (var e in service.Api.EventsAsync(id, cancellationToken: Cancel))
        {
            if (e.Data?.Deserialize<BatchProgress>(QueueMaaSJson.Relaxed) is { Done: > 0 })
                break;
        }

        using var cancelled = await service.Http.PostAsync($"v1/batches/{id}/cancel", null, Cancel);

        var batch = JsonElement.Parse(await cancelled.Content.ReadAsStringAsync(Cancel));
        batch.GetProperty("status").GetString().ShouldBe("cancelled");
        var output = await service.Http.GetStringAsync($"v1/files/{batch.GetProperty("output_file_id").GetString()}/content", Cancel);
        output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[0].ShouldContain("\"custom_id\":\"r1\"");
        (await service.Http.GetStringAsync($"v1/files/{batch.GetProperty("error_file_id").GetString()}/content", Cancel)).ShouldBeEmpty();
    }

    private async Task<JsonElement> RunAsync(string endpoint, string lines)
    {
        var (exitCode, output) = await Node.RunAsync("openai-batch.mjs", lines, new Uri(service.Http.BaseAddress!, "v1").ToString(), endpoint);
        exitCode.ShouldBe(0, output);
        return JsonElement.Parse(output);
    }

    private async Task<string> UploadAsync(string lines, string path)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(Encoding.UTF8.GetBytes(lines)), "file", "requests.jsonl" }, { new StringContent("batch"), "purpose" } };
        using var response = await service.Http.PostAsync(path, form, Cancel);
        return (await response.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("id").GetString()!;
    }
}
