using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>How models come in, and which version answers.</summary>
public abstract class RegistryCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_canary_takes_its_share_of_the_requests_that_name_no_version_until_it_is_taken_away()
    {
        var name = NewName();
        await service.Api.UploadModelAsync(name, new MemoryStream(TestModels.Double()), Cancel);
        await service.Api.UploadModelAsync(name, new MemoryStream(TestModels.Double()), Cancel);
        (await PutAsync($"v1/models/{name}/aliases/canary", """{"version":2,"share":0.25}""")).StatusCode.ShouldBe(HttpStatusCode.OK);

        var versions = await AskAsync(name, 400);
        // 100 of 400 are expected; six deviations of the binomial distribution are 52.
        versions.Count(version => version == "2").ShouldBeInRange(48, 152);
        (await AskAsync($"{name}@production", 20)).ShouldAllBe(version => version == "1");
        (await AskAsync($"{name}@canary", 20)).ShouldAllBe(version => version == "2");
        var aliases = await service.Http.GetFromJsonAsync<ModelAlias[]>($"v1/models/{name}/aliases", QueueMaaSJson.Relaxed, Cancel);
        aliases!.Select(alias => (alias.Alias, alias.Version, alias.Share)).ShouldBe([("canary", 2, 0.25), ("production", 1, null)]);

        (await service.Http.DeleteAsync($"v1/models/{name}/aliases/canary", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NoContent);
        (await AskAsync(name, 60)).ShouldAllBe(version => version == "1");
    }

    [Theory]
    [InlineData("canary", """{"version":2,"share":0}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("canary", """{"version":2,"share":1.01}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("production", """{"version":2,"share":0.5}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("canary", """{"version":3,"share":0.5}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("canary", """{"version":9,"share":0.5}""", 404, ProblemCodes.ModelNotFound)]
    [InlineData("canary", """{"version":2,"part":0.5}""", 400, ProblemCodes.UnknownField)]
    public async Task A_share_that_cannot_be_given_is_refused(string alias, string body, int status, string code)
    {
        var name = NewName();
        await service.Api.UploadModelAsync(name, new MemoryStream(TestModels.Double()), Cancel);
        await service.Api.UploadModelAsync(name, new MemoryStream(TestModels.Double()), Cancel);
        // The third takes other inputs, so requests for the first would fail at it.
        await service.Api.UploadModelAsync(name, new MemoryStream(TestModels.Zeros(4)), Cancel);
        var problem = await Requests.ProblemAsync(await PutAsync($"v1/models/{name}/aliases/{alias}", body));
        (problem.Status, problem.Code).ShouldBe((status, code), problem.Detail);
    }

    [Theory]
    [InlineData("application/x-www-form-urlencoded", "curl -T")]
    [InlineData("application/offset+octet-stream", "/v1/uploads")]
    public async Task A_model_sent_as_what_it_is_not_is_told_how_to_send_it(string contentType, string says)
    {
        using var content = new ByteArrayContent(TestModels.Double());
        content.Headers.ContentType = new(contentType);
        var problem = await Requests.ProblemAsync(await service.Http.PutAsync($"v1/models/{NewName()}", content, Cancel));
        (problem.Status, problem.Code).ShouldBe((415, ProblemCodes.UnsupportedMediaType));
        problem.Detail.ShouldContain(says);
    }

    [Fact]
    public async Task Production_does_not_move_to_a_version_whose_requests_a_canary_could_not_compute()
    {
        var name = NewName();
        await service.Api.UploadModelAsync(name, new MemoryStream(TestModels.Double()), Cancel);
        await service.Api.UploadModelAsync(name, new MemoryStream(TestModels.Double()), Cancel);
        await service.Api.UploadModelAsync(name, new MemoryStream(TestModels.Zeros(4)), Cancel);
        (await PutAsync($"v1/models/{name}/aliases/canary", """{"version":2,"share":0.3}""")).StatusCode.ShouldBe(HttpStatusCode.OK);

        var problem = await Requests.ProblemAsync(await PutAsync($"v1/models/{name}/aliases/production", """{"version":3}"""));
        (problem.Status, problem.Code).ShouldBe((422, ProblemCodes.CanaryConflict));
        problem.Detail.ShouldContain("canary");
        // With an upload, too; then there is no version either.
        problem = await Requests.ProblemAsync(await service.Http.PutAsync($"v1/models/{name}?alias=production", new ByteArrayContent(TestModels.Zeros(4)), Cancel));
        (problem.Status, problem.Code).ShouldBe((422, ProblemCodes.CanaryConflict));
        (await service.Http.GetAsync($"v1/models/{name}@4", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NotFound);

        (await PutAsync($"v1/models/{name}/aliases/canary", """{"version":2}""")).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await PutAsync($"v1/models/{name}/aliases/production", """{"version":3}""")).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Shares_add_up_to_the_whole_traffic_at_most_and_production_stays()
    {
        var name = NewName();
        await service.Api.UploadModelAsync(name, new MemoryStream(TestModels.Double()), Cancel);
        (await PutAsync($"v1/models/{name}/aliases/one", """{"version":1,"share":0.7}""")).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await Requests.ProblemAsync(await PutAsync($"v1/models/{name}/aliases/two", """{"version":1,"share":0.4}"""))).Code.ShouldBe(ProblemCodes.InvalidValue);
        (await Requests.ProblemAsync(await service.Http.DeleteAsync($"v1/models/{name}/aliases/production", Cancel))).Code.ShouldBe(ProblemCodes.InvalidValue);
        (await Requests.ProblemAsync(await service.Http.DeleteAsync($"v1/models/{name}/aliases/none", Cancel))).Code.ShouldBe(ProblemCodes.ModelNotFound);
    }

    [Fact]
    public async Task A_client_of_the_tus_protocol_uploads_a_model_in_parts_and_goes_on_after_breaking_off()
    {
        var model = TestModels.Zeros(300);
        var (exitCode, output) = await Node.RunAsync("upload.mjs", model, new Uri(service.Http.BaseAddress!, "v1/uploads").ToString());
        exitCode.ShouldBe(0, output);
        output.ShouldBe($"sha256:{Convert.ToHexStringLower(SHA256.HashData(model))}");

        var name = NewName();
        var version = await ImportAsync(name, $$"""{"artifact":"{{output}}","batching":{"maxBatchSize":8},"alias":"canary"}""");
        (version.Version, version.Batching.MaxBatchSize).ShouldBe((1, 8));
        version.Aliases.ShouldBe(["canary", "production"], ignoreOrder: true);
    }

    [Fact]
    public async Task What_arrived_of_a_broken_part_stays_and_the_upload_goes_on_from_there()
    {
        var bytes = RandomNumberGenerator.GetBytes(1_000_000);
        var upload = await BeginAsync(bytes.Length);
        using (var stop = new CancellationTokenSource())
        {
            using var broken = Part(new BreakingContent(bytes.AsMemory(0, 600_000), async () => await OffsetAsync(upload.Id) > 0, stop), 0);
            await Should.ThrowAsync<Exception>(() => service.Http.PatchAsync($"v1/uploads/{upload.Id}", broken, stop.Token));
        }

        var at = await WaitForOffsetAsync(upload.Id);
        at.ShouldBeInRange(1, 600_000);
        using (var conflict = await service.Http.PatchAsync($"v1/uploads/{upload.Id}", Part(new ByteArrayContent(bytes), 0), Cancel))
            (await Requests.ProblemAsync(conflict)).Code.ShouldBe(ProblemCodes.UploadOffsetConflict);
        using (var rest = await service.Http.PatchAsync($"v1/uploads/{upload.Id}", Part(new ByteArrayContent(bytes, (int)at, bytes.Length - (int)at), at), Cancel))
        {
            rest.StatusCode.ShouldBe(HttpStatusCode.NoContent);
            rest.Headers.GetValues("Upload-Artifact").Single().ShouldBe($"sha256:{Convert.ToHexStringLower(SHA256.HashData(bytes))}");
        }

        (await service.Http.DeleteAsync($"v1/uploads/{upload.Id}", Cancel)).StatusCode.ShouldBe(HttpStatusCode.NoContent);
        (await Requests.ProblemAsync(await service.Http.GetAsync($"v1/uploads/{upload.Id}", Cancel))).Code.ShouldBe(ProblemCodes.UploadNotFound);
    }

    [Fact]
    public async Task An_upload_that_cannot_be_is_refused()
    {
        (await BeginRawAsync("4000001")).Code.ShouldBe(ProblemCodes.TooLarge);
        (await BeginRawAsync("-1")).Code.ShouldBe(ProblemCodes.InvalidRequest);
        (await BeginRawAsync(null)).Code.ShouldBe(ProblemCodes.InvalidRequest);
        var upload = await BeginAsync(10);
        (await Requests.ProblemAsync(await service.Http.PatchAsync($"v1/uploads/{upload.Id}", Part(new ByteArrayContent(new byte[11]), 0), Cancel))).Code.ShouldBe(ProblemCodes.TooLarge);
        (await Requests.ProblemAsync(await service.Http.PatchAsync($"v1/uploads/{upload.Id}", new ByteArrayContent(new byte[1]), Cancel))).Code.ShouldBe(ProblemCodes.UnsupportedMediaType);
        (await Requests.ProblemAsync(await service.Http.GetAsync("v1/uploads/..%2F..%2Fsecret", Cancel))).Code.ShouldBe(ProblemCodes.UploadNotFound);
    }

    [Fact]
    public async Task A_model_is_imported_from_an_address_once_its_checksum_is_right()
    {
        await using var source = await FileServer.StartAsync(TestModels.Double());
        var sha = Convert.ToHexStringLower(SHA256.HashData(TestModels.Double()));
        var name = NewName();
        (await ImportAsync(name, $$"""{"url":"{{source.Address}}","sha256":"{{sha}}"}""")).Artifact.ShouldBe($"sha256:{sha}");
        (await ImportProblemAsync(name, $$"""{"url":"{{source.Address}}","sha256":"{{new string('0', 64)}}"}""")).ShouldBe((422, ProblemCodes.ChecksumMismatch));
        (await ImportProblemAsync(name, $$"""{"url":"{{source.Address}}/nothing"}""")).ShouldBe((422, ProblemCodes.ImportFailed));
        (await ImportProblemAsync(name, """{"url":"http://127.0.0.1:1/model.onnx"}""")).ShouldBe((422, ProblemCodes.ImportFailed));
        (await ImportProblemAsync(name, """{"url":"ftp://example.org/model.onnx"}""")).ShouldBe((422, ProblemCodes.InvalidValue));
        (await ImportProblemAsync(name, """{}""")).ShouldBe((400, ProblemCodes.InvalidRequest));
        (await ImportProblemAsync(name, """{"url":"http://a","path":"b"}""")).ShouldBe((400, ProblemCodes.InvalidRequest));
        // None of the refused ones made a version.
        (await service.Api.GetModelAsync(name, Cancel)).Version.ShouldBe(1);
        (await AskAsync(name, 1)).ShouldBe(["1"]);
    }

    [Fact]
    public async Task A_model_is_imported_from_the_import_folder_and_from_nowhere_else()
    {
        await File.WriteAllBytesAsync(Path.Combine(service.ImportFolder, "here.onnx"), TestModels.Double(), Cancel);
        var link = Path.Combine(service.ImportFolder, "link.onnx");
        if (!File.Exists(link))
            File.CreateSymbolicLink(link, "/etc/passwd");
        var name = NewName();
        (await ImportAsync(name, """{"path":"here.onnx"}""")).Version.ShouldBe(1);
        (await ImportProblemAsync(name, """{"path":"../queuemaas.db"}""")).ShouldBe((422, ProblemCodes.ImportRefused));
        (await ImportProblemAsync(name, """{"path":"/etc/passwd"}""")).ShouldBe((422, ProblemCodes.ImportRefused));
        (await ImportProblemAsync(name, """{"path":""}""")).ShouldBe((422, ProblemCodes.InvalidValue));
        (await ImportProblemAsync(name, """{"path":"a\u0000.onnx"}""")).ShouldBe((422, ProblemCodes.InvalidValue));
        (await ImportProblemAsync(name, """{"path":"link.onnx"}""")).ShouldBe((422, ProblemCodes.ImportRefused));
        (await ImportProblemAsync(name, """{"path":"nothing.onnx"}""")).ShouldBe((422, ProblemCodes.ImportFailed));
    }

    [Fact]
    public async Task A_model_with_its_weights_in_files_beside_it_comes_as_a_zip_and_computes_with_them()
    {
        var weights = MemoryMarshal.AsBytes<float>([10, 20]).ToArray();
        var name = NewName();
        var version = await service.Api.UploadModelAsync(name, new MemoryStream(Zip(("m/model.onnx", TestModels.WithWeightsBeside("w.bin")), ("m/w.bin", weights))), Cancel);
        version.Card!.Batch!.Batched.ShouldBeTrue(version.Card.Batch.Reason);
        using var answer = await InferAsync(name);
        JsonElement.Parse(await answer.Content.ReadAsStringAsync(Cancel)).GetProperty("outputs")[0].GetProperty("data").EnumerateArray().Select(value => value.GetDouble()).ShouldBe([11, 22]);
    }

    [Fact]
    public async Task A_form_over_the_limit_is_refused_with_the_limit()
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(new byte[4_100_000]), "model", "model.onnx" } };
        using var response = await service.Http.PutAsync("v1/models/bad", form, Cancel);
        var problem = await Requests.ProblemAsync(response);
        (problem.Status, problem.Code).ShouldBe((413, ProblemCodes.TooLarge));
    }

    [Fact]
    public async Task A_zip_that_is_no_whole_model_is_refused()
    {
        var model = TestModels.WithWeightsBeside("w.bin");
        (await UploadProblemAsync(Zip(("model.onnx", model)))).ShouldBe(ProblemCodes.ExternalDataMissing);
        (await UploadProblemAsync(Zip(("model.onnx", TestModels.WithWeightsBeside("../../w.bin")), ("w.bin", new byte[8])))).ShouldBe(ProblemCodes.ArchivePathEscape);
        (await UploadProblemAsync(Zip(("../model.onnx", model), ("w.bin", new byte[8])))).ShouldBe(ProblemCodes.ArchivePathEscape);
        (await UploadProblemAsync(Zip(("a.onnx", TestModels.Double()), ("b.onnx", TestModels.Double())))).ShouldBe(ProblemCodes.NotAnOnnxModel);
        (await UploadProblemAsync(Zip(("readme.txt", [1])))).ShouldBe(ProblemCodes.NotAnOnnxModel);
        (await UploadProblemAsync(Zip(("model.onnx", model), ("w.bin", new byte[4])))).ShouldBe(ProblemCodes.NotAnOnnxModel);
        (await UploadProblemAsync(Zip(("model.onnx", model), ("w.bin", new byte[8]))[..^40])).ShouldBe(ProblemCodes.ArchiveInvalid);
    }

    private static string NewName() => $"r-{Guid.NewGuid():n}";

    private Task<HttpResponseMessage> PutAsync(string path, string json) => service.Http.PutAsync(path, Requests.Json(json), Cancel);

    private Task<HttpResponseMessage> InferAsync(string model) => service.Http.PostAsync(
        $"v2/models/{model}/infer", Requests.Json("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}"""), Cancel);

    /// <summary>The versions that answered.</summary>
    private async Task<string[]> AskAsync(string model, int times)
    {
        var versions = new string[times];
        for (var i = 0; i < times; i++)
        {
            using var response = await InferAsync(model);
            versions[i] = JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel)).GetProperty("model_version").GetString()!;
        }

        return versions;
    }

    private async Task<ModelVersion> ImportAsync(string name, string json)
    {
        using var response = await service.Http.PostAsync($"v1/models/{name}/versions", Requests.Json(json), Cancel);
        response.StatusCode.ShouldBe(HttpStatusCode.Created, await response.Content.ReadAsStringAsync(Cancel));
        return (await response.Content.ReadFromJsonAsync<ModelVersion>(QueueMaaSJson.Relaxed, Cancel))!;
    }

    private async Task<(int Status, string Code)> ImportProblemAsync(string name, string json)
    {
        using var response = await service.Http.PostAsync($"v1/models/{name}/versions", Requests.Json(json), Cancel);
        var problem = await Requests.ProblemAsync(response);
        return (problem.Status, problem.Code);
    }

    private async Task<string> UploadProblemAsync(byte[] bytes)
    {
        using var response = await service.Http.PutAsync("v1/models/bad", new ByteArrayContent(bytes), Cancel);
        var problem = await Requests.ProblemAsync(response);
        problem.Detail.ShouldNotContain("artifacts", customMessage: "no path of the service reaches a client");
        return problem.Code;
    }

    private async Task<Upload> BeginAsync(long bytes)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/uploads") { Headers = { { "Upload-Length", bytes.ToString(CultureInfo.InvariantCulture) }, { "Tus-Resumable", "1.0.0" } } };
        using var response = await service.Http.SendAsync(request, Cancel);
        response.StatusCode.ShouldBe(HttpStatusCode.Created);
        return (await response.Content.ReadFromJsonAsync<Upload>(QueueMaaSJson.Relaxed, Cancel))!;
    }

    private async Task<(int Status, string Code, string Detail)> BeginRawAsync(string? length)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/uploads");
        if (length is not null)
            request.Headers.Add("Upload-Length", length);
        return await Requests.ProblemAsync(await service.Http.SendAsync(request, Cancel));
    }

    private static HttpContent Part(HttpContent content, long offset)
    {
        content.Headers.ContentType = new MediaTypeHeaderValue("application/offset+octet-stream");
        content.Headers.TryAddWithoutValidation("Upload-Offset", offset.ToString(CultureInfo.InvariantCulture));
        return content;
    }

    private async Task<long> OffsetAsync(string id)
    {
        using var head = await service.Http.SendAsync(new HttpRequestMessage(HttpMethod.Head, $"v1/uploads/{id}"), Cancel);
        return long.Parse(head.Headers.GetValues("Upload-Offset").Single(), CultureInfo.InvariantCulture);
    }

    /// <summary>The server hears of the broken connection a moment after the client has let go.</summary>
    private async Task<long> WaitForOffsetAsync(string id)
    {
        var last = -1L;
        while (true)
        {
            var now = await OffsetAsync(id);
            using var probe = await service.Http.PatchAsync($"v1/uploads/{id}", Part(new ByteArrayContent([]), now), Cancel);
            if (probe.IsSuccessStatusCode && now == last)
                return now;
            last = now;
        }
    }

    private static byte[] Zip(params (string Name, byte[] Bytes)[] entries)
    {
        var memory = new MemoryStream();
        using (var zip = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, bytes) in entries)
            {
                using var entry = zip.CreateEntry(name, CompressionLevel.Fastest).Open();
                entry.Write(bytes);
            }
        }

        return memory.ToArray();
    }

    /// <summary>Sends some bytes of a longer body and lets the connection break once something has arrived.</summary>
    private sealed class BreakingContent(ReadOnlyMemory<byte> bytes, Func<Task<bool>> hasArrived, CancellationTokenSource stop) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(bytes, Cancel);
            await stream.FlushAsync(Cancel);
            while (!await hasArrived())
                await Task.Yield();
            await stop.CancelAsync();
            stop.Token.ThrowIfCancellationRequested();
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 1_000_000;
            return true;
        }
    }
}
