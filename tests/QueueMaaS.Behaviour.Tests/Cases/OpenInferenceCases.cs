using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>The Open Inference Protocol, as clients of KServe and Triton speak it.</summary>
public abstract class OpenInferenceCases(ServiceFixture service)
{
    private const string Length = "Inference-Header-Content-Length";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_model_is_described_as_the_protocol_says()
    {
        (await service.Http.GetAsync("v2/health/live", Cancel)).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await service.Http.GetAsync("v2/health/ready", Cancel)).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await GetAsync("v2")).GetProperty("extensions").EnumerateArray().Select(e => e.GetString()).ShouldContain("binary_tensor_data");
        var model = await GetAsync("v2/models/double");
        model.GetProperty("platform").GetString().ShouldBe("onnxruntime_onnx");
        model.GetProperty("versions").EnumerateArray().Select(v => v.GetString()).ShouldContain("1");
        model.GetProperty("inputs")[0].GetRawText().ShouldBe("""{"name":"x","datatype":"FP32","shape":[-1,2]}""");
        (await GetAsync("v2/models/double/versions/1/ready")).GetProperty("ready").GetBoolean().ShouldBeTrue();
        (await GetAsync("v2/models/double/config")).GetProperty("input")[0].GetProperty("data_type").GetString().ShouldBe("TYPE_FP32");
        using var index = await service.Http.PostAsync("v2/repository/index", null, Cancel);
        (await index.Content.ReadAsStringAsync(Cancel)).ShouldContain("\"double\"");
    }

    [Theory]
    [InlineData("[1,2.5,-3,4]")]
    [InlineData("[[1,2.5],[-3,4]]")]
    public async Task Tensors_in_json_are_computed(string data)
    {
        var (status, answer) = await InferAsync($$"""{"id":"mine","inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":{{data}}}],"outputs":[{"name":"y"}]}""");

        status.ShouldBe(HttpStatusCode.OK);
        answer.GetProperty("id").GetString().ShouldBe("mine");
        answer.GetProperty("model_version").GetString().ShouldBe("1");
        answer.GetProperty("outputs")[0].GetRawText().ShouldBe("""{"name":"y","datatype":"FP32","shape":[2,2],"data":[2,5,-6,8]}""");
    }

    [Theory]
    [InlineData(null)]
    [InlineData("gzip")]
    [InlineData("deflate")]
    public async Task Tensors_in_binary_are_computed_compressed_or_not(string? encoding)
    {
        var values = Enumerable.Range(0, 1000).Select(i => (float)i).ToArray();
        var json = """{"inputs":[{"name":"x","shape":[500,2],"datatype":"FP32","parameters":{"binary_data_size":4000}}],"parameters":{"binary_data_output":true}}""";
        byte[] body = [.. Encoding.UTF8.GetBytes(json), .. MemoryMarshal.AsBytes(values.AsSpan())];
        using var request = Request(Compress(body, encoding), json.Length, encoding);
        if (encoding is not null)
            request.Headers.AcceptEncoding.Add(new(encoding));

        using var response = await service.Http.SendAsync(request, Cancel);

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        response.Content.Headers.ContentEncoding.ShouldBe(encoding is null ? [] : [encoding]);
        var answer = Decompress(await response.Content.ReadAsByteArrayAsync(Cancel), encoding);
        var length = int.Parse(response.Headers.GetValues(Length).Single(), CultureInfo.InvariantCulture);
        JsonElement.Parse(answer.AsSpan(0, length)).GetProperty("outputs")[0].GetProperty("parameters").GetProperty("binary_data_size").GetInt32().ShouldBe(4000);
        MemoryMarshal.Cast<byte, float>(answer.AsSpan(length)).ToArray().ShouldBe(values.Select(value => value * 2).ToArray());
    }

    [Fact]
    public async Task The_best_classes_come_as_text_where_they_are_asked_for()
    {
        var (_, answer) = await InferAsync("""{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2,4,3]}],"outputs":[{"name":"y","parameters":{"classification":1}}]}""");

        answer.GetProperty("outputs")[0].GetProperty("data").GetRawText().ShouldBe("""["4.000000:1","8.000000:0"]""");
    }

    [Fact]
    public async Task Concurrent_requests_share_batches_and_statistics_tell_of_them()
    {
        var before = await StatisticsAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => InferAsync($$"""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[{{i}},0]}]}""")));

        answers.Select((one, i) => one.Answer.GetProperty("outputs")[0].GetProperty("data")[0].GetDouble() - (2 * i)).ShouldAllBe(difference => difference == 0);
        answers.Max(one => one.Answer.GetProperty("parameters").GetProperty("batch_size").GetInt32()).ShouldBeGreaterThan(1);
        var after = await StatisticsAsync();
        (after.GetProperty("inference_count").GetInt64() - before.GetProperty("inference_count").GetInt64()).ShouldBeGreaterThanOrEqualTo(200);
        after.GetProperty("batch_stats").EnumerateArray().Max(size => size.GetProperty("batch_size").GetInt32()).ShouldBeGreaterThan(1);
        after.GetProperty("execution_count").GetInt64().ShouldBeLessThan(after.GetProperty("inference_count").GetInt64());
        after.GetProperty("execution_count").GetInt64().ShouldBe(after.GetProperty("batch_stats").EnumerateArray().Sum(size => size.GetProperty("compute_infer").GetProperty("count").GetInt64()));
        var requests = after.GetProperty("inference_stats");
        foreach (var kind in (string[])["queue", "compute_input", "compute_infer", "compute_output"])
            requests.GetProperty(kind).GetProperty("count").GetInt64().ShouldBe(requests.GetProperty("success").GetProperty("count").GetInt64(), $"{kind}: each request counts, not each batch");
    }

    [Theory]
    [InlineData("not json", 400, "invalid_request")]
    [InlineData("[]", 400, "invalid_request")]
    [InlineData("{}", 400, "invalid_request")]
    [InlineData("""{"inputs":[{"name":"z","shape":[1,2],"datatype":"FP32","data":[1,2]}]}""", 400, "tensor_name_mismatch")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]},{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}""", 400, "tensor_name_mismatch")]
    [InlineData("""{"inputs":[]}""", 400, "tensor_name_mismatch")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"INT64","data":[1,2]}]}""", 400, "tensor_datatype_mismatch")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP33","data":[1,2]}]}""", 400, "tensor_datatype_mismatch")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}""", 400, "tensor_shape_mismatch")]
    [InlineData("""{"inputs":[{"name":"x","shape":[-1,2],"datatype":"FP32","data":[1,2]}]}""", 400, "tensor_shape_mismatch")]
    [InlineData("""{"inputs":[{"name":"x","shape":[9223372036854775807,2],"datatype":"FP32","data":[1,2]}]}""", 400, "tensor_shape_mismatch")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1]}]}""", 400, "tensor_shape_mismatch")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1.5,2],"datatype":"FP32","data":[1,2]}]}""", 400, "invalid_request")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":["NaN",2]}]}""", 400, "tensor_datatype_mismatch")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32"}]}""", 400, "invalid_request")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}""", 400, "invalid_request")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}],"outputs":[{"name":"nix"}]}""", 400, "tensor_name_mismatch")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}],"parameters":{"sequence_id":4}}""", 400, "invalid_request")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}],"parameters":{"timeout":-1}}""", 400, "invalid_request")]
    public async Task A_bad_request_is_told_what_is_wrong(string body, int status, string code)
    {
        var (answered, answer) = await InferAsync(body);

        ((int)answered).ShouldBe(status);
        answer.GetProperty("code").GetString().ShouldBe(code);
        answer.GetProperty("error").GetString()!.Length.ShouldBeGreaterThan(20);
        answer.GetProperty("error").GetString()!.ShouldNotContain(" at QueueMaaS");
    }

    [Theory]
    [InlineData("v2/models/no-such-model", "model_not_found")]
    [InlineData("v2/models/double/versions/99", "model_not_found")]
    [InlineData("v2/models/double/versions/x/ready", "model_not_found")]
    public async Task A_model_that_is_not_there_is_told(string address, string code)
    {
        using var response = await service.Http.GetAsync(address, Cancel);

        response.StatusCode.ShouldBe(HttpStatusCode.NotFound);
        JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel)).GetProperty("code").GetString().ShouldBe(code);
    }

    [Theory]
    [InlineData("POST", "v2/repository/models/double/load")]
    [InlineData("GET", "v2/systemsharedmemory/status")]
    [InlineData("GET", "v2/logging")]
    [InlineData("GET", "v2/models/double/infer")]
    public async Task What_is_not_served_is_told_in_the_protocols_form(string method, string address)
    {
        using var response = await service.Http.SendAsync(new HttpRequestMessage(new HttpMethod(method), address), Cancel);

        response.StatusCode.ShouldBe(HttpStatusCode.NotFound);
        var answer = JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel));
        answer.GetProperty("error").GetString()!.ShouldContain("is not served");
        answer.GetProperty("code").GetString().ShouldBe(ProblemCodes.NotFound);
    }

    [Fact]
    public async Task A_method_of_grpc_that_is_not_served_is_told_in_grpcs_form()
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{service.GrpcAddress}/inference.GRPCInferenceService/RepositoryModelLoad")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(new byte[5]),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");

        using var response = await http.SendAsync(request, Cancel);

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        response.Headers.GetValues("grpc-status").ShouldBe(["12"]);
        response.Headers.GetValues("grpc-message").Single().ShouldContain("RepositoryModelLoad");
    }

    [Fact]
    public async Task Binary_data_that_is_cut_short_or_too_long_is_refused()
    {
        var json = """{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}""";
        foreach (var bytes in (int[])[0, 7, 9])
        {
            using var request = Request([.. Encoding.UTF8.GetBytes(json), .. new byte[bytes]], json.Length, null);
            using var response = await service.Http.SendAsync(request, Cancel);
            response.StatusCode.ShouldBe(HttpStatusCode.BadRequest, $"{bytes} bytes");
        }
    }

    [Fact]
    public async Task A_body_that_grows_beyond_the_limit_is_refused_before_it_fills_the_memory()
    {
        using var request = Request(Compress(new byte[100_000_000], "gzip"), 0, "gzip");
        using var response = await service.Http.SendAsync(request, Cancel);
        response.StatusCode.ShouldBe(HttpStatusCode.RequestEntityTooLarge);

        using var unknown = Request([1, 2, 3], 0, "br");
        using var refused = await service.Http.SendAsync(unknown, Cancel);
        refused.StatusCode.ShouldBe(HttpStatusCode.UnsupportedMediaType);

        using var lie = Request([1, 2, 3], 0, "gzip");
        using var told = await service.Http.SendAsync(lie, Cancel);
        told.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        (await told.Content.ReadAsStringAsync(Cancel)).ShouldContain("The body is not gzip");
    }

    [Theory]
    [InlineData("gzip", 0.5)]
    [InlineData("gzip", 0.97)]
    [InlineData("deflate", 0.5)]
    public async Task A_compressed_body_that_was_cut_short_is_told_as_that(string encoding, double kept)
    {
        var numbers = string.Join(',', Enumerable.Range(0, 2000).Select(static i => i * 7919 % 10007));
        var whole = Compress(Encoding.UTF8.GetBytes($$"""{"inputs":[{"name":"x","shape":[1000,2],"datatype":"FP32","data":[{{numbers}}]}]}"""), encoding);
        using var request = Request(whole[..(int)(whole.Length * kept)], 0, encoding);
        using var told = await service.Http.SendAsync(request, Cancel);
        told.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        (await told.Content.ReadAsStringAsync(Cancel)).ShouldContain($"begins as {encoding}, but was cut short");
    }

    [Fact]
    public async Task A_grpc_client_in_another_language_is_served()
    {
        var (exitCode, output) = await Node.RunAsync("infer.mjs", "", service.GrpcAddress, "double");
        exitCode.ShouldBe(0, output);
        var said = output.Split('\n').Select(line => JsonElement.Parse(line)).ToDictionary(line => line.GetProperty("name").GetString()!, line => line.GetProperty("value"));

        said["live"].GetBoolean().ShouldBeTrue();
        said["ready"].GetBoolean().ShouldBeTrue();
        said["missing"].GetBoolean().ShouldBeFalse();
        said["metadata"].GetProperty("platform").GetString().ShouldBe("onnxruntime_onnx");
        said["unary"].GetRawText().ShouldBe("""{"id":"one","version":"1","shape":[1,2],"y":[2,5]}""");
        said["typed"].GetRawText().ShouldBe("[6,8]");
        (said["short"].GetProperty("code").GetInt32(), said["short"].GetProperty("own").GetString()).ShouldBe((3, ProblemCodes.TensorShapeMismatch));
        (said["unknown"].GetProperty("code").GetInt32(), said["unknown"].GetProperty("own").GetString()).ShouldBe((5, ProblemCodes.ModelNotFound));
        said["together"].GetProperty("right").GetBoolean().ShouldBeTrue();
        said["together"].GetProperty("largest").GetInt32().ShouldBeGreaterThan(1);
        said["stream"].GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ShouldBe(Enumerable.Range(0, 20), "answers come in the order of the requests");
        said["stream"].GetProperty("failed").GetArrayLength().ShouldBe(1, "one bad request ends neither the stream nor the others in it");
        said["stream"].GetProperty("last").GetRawText().ShouldBe("[38,38]");
        said["statistics"].GetInt64().ShouldBeGreaterThan(64);
    }

    private static HttpRequestMessage Request(byte[] body, int jsonLength, string? encoding)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "v2/models/double/infer") { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        if (jsonLength > 0)
            request.Headers.Add(Length, jsonLength.ToString(CultureInfo.InvariantCulture));
        if (encoding is not null)
            request.Content.Headers.ContentEncoding.Add(encoding);
        return request;
    }

    private static byte[] Compress(byte[] body, string? encoding)
    {
        if (encoding is null)
            return body;
        using var target = new MemoryStream();
        using (Stream stream = encoding == "gzip" ? new GZipStream(target, CompressionLevel.Fastest) : new ZLibStream(target, CompressionLevel.Fastest))
            stream.Write(body);
        return target.ToArray();
    }

    private static byte[] Decompress(byte[] body, string? encoding)
    {
        if (encoding is null)
            return body;
        using Stream stream = encoding == "gzip" ? new GZipStream(new MemoryStream(body), CompressionMode.Decompress) : new ZLibStream(new MemoryStream(body), CompressionMode.Decompress);
        using var target = new MemoryStream();
        stream.CopyTo(target);
        return target.ToArray();
    }

    private async Task<JsonElement> GetAsync(string address) => JsonElement.Parse(await service.Http.GetStringAsync(address, Cancel));

    private async Task<JsonElement> StatisticsAsync() => (await GetAsync("v2/models/double/versions/1/stats")).GetProperty("model_stats")[0];

    private async Task<(HttpStatusCode Status, JsonElement Answer)> InferAsync(string body)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await service.Http.PostAsync("v2/models/double/infer", content, Cancel);
        return (response.StatusCode, JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel)));
    }
}
