using System.IO.Compression;
using System.Net.Http.Json;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Parquet;
using Parquet.Schema;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Arrays;
using QueueMaaS.Data.Tables;
using SkiaSharp;
using DataType = QueueMaaS.Onnx.TensorProto.Types.DataType;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Batch jobs: whole files in, whole files out.</summary>
public abstract class BatchCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_rows_of_an_array_come_back_as_an_array_in_their_order()
    {
        var rows = Enumerable.Range(0, 1000).SelectMany(i => new[] { i, -i * 0.5f }).ToArray();
        var output = await RunAsync(new BatchInput { Model = "double", Artifact = await UploadAsync(Npy([1000, 2], rows)), Output = BatchOutputFormat.Npy, ChunkSize = 300 });

        (output.Items, output.Succeeded, output.Failed, output.Partial).ShouldBe((1000, 1000, 0, false));
        var (header, values) = await ReadNpyAsync(output.OutputArtifact);
        header.Shape.ShouldBe([1000L, 2]);
        values.ShouldBe([.. rows.Select(value => value * 2)]);
        output.MeanBatchSize!.Value.ShouldBeGreaterThan(30);
    }

    [Fact]
    public async Task Chunks_and_items_done_are_measured_and_logged()
    {
        var job = await SubmitAsync(new BatchInput { Model = "double", Artifact = await UploadAsync(Npy([1000, 2], new float[2000])), ChunkSize = 300 });
        var events = new List<JobEvent>();
        await foreach (var e in service.Api.EventsAsync(job.Id, cancellationToken: Cancel))
            events.Add(e);

        var last = events.Last(e => e.Type == "metrics").Data!.Value;
        (last.GetProperty("done").GetDouble(), last.GetProperty("failed").GetDouble(), last.GetProperty("chunksDone").GetDouble()).ShouldBe((1000, 0, 4));
        var lines = events.Where(e => e.Type == "log").Select(e => e.Data!.Value.GetProperty("text").GetString()).ToList();
        lines[0].ShouldBe("1000 items for double.");
        lines[^1].ShouldBe("1000 of 1000 items are done in 4 chunks, 0 failed; the files are joined.");
    }

    [Fact]
    public async Task Every_output_form_says_the_same()
    {
        var artifact = await UploadAsync(Npy([70, 2], [.. Enumerable.Range(0, 140).Select(i => (float)i)]));
        var csv = await RunAsync(new BatchInput { Model = "double", Artifact = artifact, Output = BatchOutputFormat.Csv, ChunkSize = 32 });
        var parquet = await RunAsync(new BatchInput { Model = "double", Artifact = artifact, Output = BatchOutputFormat.Parquet, ChunkSize = 32 });
        var jsonl = await RunAsync(new BatchInput { Model = "double", Artifact = artifact, ChunkSize = 32 });

        var lines = await LinesAsync(csv.OutputArtifact);
        lines[0].ShouldBe("id,y_0,y_1");
        lines[70].ShouldBe("70,276,278");
        lines.Length.ShouldBe(71);
        await using var table = await ParquetTable.OpenAsync(await DownloadAsync(parquet.OutputArtifact), Cancel);
        table.RowGroups.Sum().ShouldBe(70);
        (await table.ReadNumbersAsync(table.RowGroups.Count - 1, "y_1", Cancel))[^1].ShouldBe(278);
        (await table.ReadTextsAsync(0, "id", Cancel))[0].ShouldBe("1");
        var last = JsonSerializer.Deserialize<BatchItemResult>((await LinesAsync(jsonl.OutputArtifact))[^1], QueueMaaSJson.Relaxed)!;
        (last.Id, last.Outputs![0].Data.GetRawText()).ShouldBe(("70", "[276,278]"));
    }

    [Fact]
    public async Task A_table_feeds_a_models_pipeline_and_bad_rows_fail_alone_with_their_place()
    {
        await UploadModelAsync("people", TestModels.Identity(DataType.Float, 2), """{"table":{"columns":[{"name":"a","kind":"number"},{"name":"b","kind":"number","missing":0}]},"labels":["low","high"]}""");
        var text = new StringBuilder("\uFEFFname,a,b,truth\r\n");
        for (var i = 1; i <= 200; i++)
        {
            text.Append(i switch
            {
                57 => "\"anna, \"\"the\nsecond\"\"\",1,2,high\r\n",
                100 => "p100,x,1,low\r\n",
                150 => "p150,1\r\n",
                _ => $"p{i},{i % 2},{(i % 3 == 0 ? "" : "0.5")},{(i % 2 == 1 ? "low" : "high")}\r\n",
            });
        }

        var output = await RunAsync(new BatchInput { Model = "people", Artifact = await UploadAsync(Encoding.UTF8.GetBytes(text.ToString())), IdColumn = "name", LabelColumn = "truth", Output = BatchOutputFormat.Csv, ChunkSize = 40 });

        (output.Items, output.Succeeded, output.Failed).ShouldBe((200, 198, 2));
        var lines = await File.ReadAllTextAsync(await DownloadAsync(output.OutputArtifact), Cancel);
        lines.ShouldStartWith("id,truth,label,score\np1,low,low,");
        lines.ShouldContain("\"anna, \"\"the\nsecond\"\"\",high,high,");
        var errors = (await LinesAsync(output.ErrorArtifact)).Select(line => JsonSerializer.Deserialize<BatchItemError>(line, QueueMaaSJson.Relaxed)!).ToArray();
        errors.Select(error => (error.Id, error.Item, error.Error.Code)).ShouldBe([("p100", 100, ProblemCodes.RowInvalid), ("150", 150, ProblemCodes.RowInvalid)]);
        errors[0].Error.Message.ShouldContain("row 100.a");
        errors[1].Error.Message.ShouldContain("2 fields");
        output.LabelCounts!.Values.Sum().ShouldBe(198);
        output.Accuracy!.Value.ShouldBeGreaterThan(0.4);
    }

    [Fact]
    public async Task A_parquet_file_feeds_a_model_of_plain_numbers()
    {
        var path = Path.Combine(service.ImportFolder, $"{Guid.NewGuid():n}.parquet");
        var (id, a, b) = (new DataField<long>("id"), new DataField<double?>("a"), new DataField<float>("b"));
        await using (var file = File.Create(path))
        await using (var writer = await ParquetWriter.CreateAsync(new ParquetSchema(id, a, b), file, cancellationToken: Cancel))
        {
            for (var group = 0; group < 3; group++)
            {
                using var rows = writer.CreateRowGroup();
                await rows.WriteAsync<long>(id, Enumerable.Range(group * 100, 100).Select(i => (long)i).ToArray());
                await rows.WriteAsync<double>(a, Enumerable.Range(group * 100, 100).Select(i => i == 142 ? null : (double?)i).ToArray());
                await rows.WriteAsync<float>(b, Enumerable.Range(group * 100, 100).Select(i => 0.5f * i).ToArray());
            }
        }

        var output = await RunAsync(new BatchInput { Model = "double", Artifact = await UploadAsync(await File.ReadAllBytesAsync(path, Cancel)), IdColumn = "id", ChunkSize = 70, Output = BatchOutputFormat.Csv });

        (output.Succeeded, output.Failed).ShouldBe((299, 1));
        (await LinesAsync(output.OutputArtifact))[^1].ShouldBe("299,598,299");
        (await LinesAsync(output.ErrorArtifact)).ShouldHaveSingleItem().ShouldContain("Row 143 of the Parquet file: `a` is empty");
    }

    [Fact]
    public async Task A_zip_of_images_is_labelled_by_its_folders_and_a_corrupt_one_is_an_error_of_its_own()
    {
        await UploadModelAsync("brightness", TestModels.Identity(DataType.Float, 1, 1, 2), """{"image":{"width":2,"height":1,"channels":1},"postprocess":{"values":{}}}""");
        var zip = Zip([.. Enumerable.Range(0, 100).Select(i => ($"pictures/{i:000}.png", i == 41 ? [1, 2, 3] : Grey((byte)i)))]);

        var output = await RunAsync(new BatchInput { Model = "brightness", Artifact = await UploadAsync(zip), Output = BatchOutputFormat.Npy, ChunkSize = 30 });

        (output.Items, output.Failed).ShouldBe((100, 1));
        var (header, values) = await ReadNpyAsync(output.OutputArtifact);
        header.Shape.ShouldBe([100L, 1, 1, 2]);
        values[99 * 2].ShouldBe(99 / 255f, 1e-6);
        float.IsNaN(values[41 * 2]).ShouldBeTrue("a failed item keeps its place");
        JsonElement.Parse((await LinesAsync(output.ErrorArtifact)).ShouldHaveSingleItem()).GetProperty("id").GetString().ShouldBe("pictures/041.png");
    }

    [Fact]
    public async Task Items_tell_their_ids_as_openais_files_do_or_by_their_line()
    {
        const string lines = """
            {"custom_id":"own","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}
            {"id":"ours","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}
            {"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}
            """;
        var output = await RunAsync(new BatchInput { Model = "double", Artifact = await UploadAsync(Encoding.UTF8.GetBytes(lines)) });
        (await LinesAsync(output.OutputArtifact)).Select(line => JsonElement.Parse(line).GetProperty("id").GetString()).ShouldBe(["own", "ours", "3"]);
        (await FailureAsync(Encoding.UTF8.GetBytes(lines.Replace("\"id\":\"ours\"", "\"custom_id\":\"own\"", StringComparison.Ordinal)))).ShouldBe(ProblemCodes.DuplicateId);
    }

    [Fact]
    public async Task A_file_of_openais_requests_is_known_by_its_first_line()
    {
        const string line = """{"custom_id":"r1","method":"POST","url":"/v1/inference","body":{"model":"double","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}}""";
        var output = await RunAsync(new BatchInput { Model = "double", Artifact = await UploadAsync(Encoding.UTF8.GetBytes(line)) });
        var answer = JsonElement.Parse((await LinesAsync(output.OutputArtifact)).ShouldHaveSingleItem());
        (answer.GetProperty("custom_id").GetString(), answer.GetProperty("response").GetProperty("status_code").GetInt32()).ShouldBe(("r1", 200));
    }

    [Fact]
    public async Task A_folder_of_images_on_the_service_is_read_as_its_zip_would_be()
    {
        await UploadModelAsync("brightness", TestModels.Identity(DataType.Float, 1, 1, 2), """{"image":{"width":2,"height":1,"channels":1},"postprocess":{"values":{}}}""");
        var folder = Directory.CreateDirectory(Path.Combine(service.ImportFolder, Requests.NewId(), "pictures")).Parent!;
        for (var i = 0; i < 20; i++)
            await File.WriteAllBytesAsync(Path.Combine(folder.FullName, "pictures", $"{i:00}.png"), Grey((byte)i), Cancel);
        File.CreateSymbolicLink(Path.Combine(folder.FullName, "outside.png"), "/etc/passwd");

        var output = await RunAsync(new BatchInput { Model = "brightness", Path = folder.Name, Output = BatchOutputFormat.Npy });

        (output.Items, output.Succeeded).ShouldBe((20, 20));
        var (_, values) = await ReadNpyAsync(output.OutputArtifact);
        values[19 * 2].ShouldBe(19 / 255f, 1e-6);
        // The same files are the same bytes: a second job stores nothing new.
        (await RunAsync(new BatchInput { Model = "brightness", Path = folder.Name, Output = BatchOutputFormat.Npy })).OutputArtifact.ShouldBe(output.OutputArtifact);

        var outside = await service.Api.WaitAsync((await SubmitAsync(new BatchInput { Model = "brightness", Path = "../.." })).Id, Cancel);
        outside.Error!.Code.ShouldBe(ProblemCodes.ImportRefused);
        var nowhere = await service.Api.WaitAsync((await SubmitAsync(new BatchInput { Model = "brightness", Path = "nowhere" })).Id, Cancel);
        nowhere.Error!.Code.ShouldBe(ProblemCodes.ImportFailed);
    }

    [Fact]
    public async Task The_rows_of_a_registered_table_are_compared_with_its_labels()
    {
        await UploadModelAsync("people", TestModels.Identity(DataType.Float, 2), """{"table":{"columns":[{"name":"a","kind":"number"},{"name":"b","kind":"number","missing":0}]},"labels":["low","high"]}""");
        var name = $"t{Guid.NewGuid():n}"[..20];
        string Rows(int count) => "a,b,note,label\n" + string.Concat(Enumerable.Range(0, count).Select(i => $"{i % 2},0.5,\"one, \"\"two\"\"\",{(i % 2 == 1 ? "low" : "high")}\n"));
        await service.Api.UploadDatasetAsync(name, new MemoryStream(Zip([("train.csv", Encoding.UTF8.GetBytes(Rows(60))), ("test.csv", Encoding.UTF8.GetBytes(Rows(40)))])), Cancel);

        var test = await RunAsync(new BatchInput { Model = "people", Dataset = name, Split = "test", Output = BatchOutputFormat.Csv });
        (test.Items, test.Failed, test.Accuracy).ShouldBe((40, 0, 1));
        var all = await RunAsync(new BatchInput { Model = "people", Dataset = name });
        (all.Items, all.Failed, all.ConfusionMatrix!.Sum(row => row.Sum())).ShouldBe((100, 0, 100));

        var none = await service.Api.WaitAsync((await SubmitAsync(new BatchInput { Model = "people", Dataset = name, Split = "val" })).Id, Cancel);
        (none.Error!.Code, none.State).ShouldBe((ProblemCodes.DatasetEmpty, JobState.Failed));
    }

    [Fact]
    public async Task The_inputs_of_registered_arrays_are_read()
    {
        var name = $"a{Guid.NewGuid():n}"[..20];
        await service.Api.UploadDatasetAsync(name, new MemoryStream(Zip([("x.npy", Npy([5, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])), ("y.npy", Npy([5], [0, 1, 0, 1, 0]))])), Cancel);
        var output = await RunAsync(new BatchInput { Model = "double", Dataset = name, Output = BatchOutputFormat.Npy });
        (await ReadNpyAsync(output.OutputArtifact)).Values.ShouldBe([2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
    }

    [Fact]
    public async Task Failed_items_of_a_job_that_was_stopped_are_computed_again_too()
    {
        var wide = $"w{Guid.NewGuid():n}"[..20];
        await service.Api.UploadModelAsync(wide, new MemoryStream(TestModels.Identity(DataType.Float, 3)), Cancel);
        var lines = string.Join('\n', Enumerable.Range(1, 500).Select(i => $$"""{"id":"r{{i}}","inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}"""));
        var stopped = await service.Api.WaitAsync((await SubmitAsync(new BatchInput { Model = "double", Artifact = await UploadAsync(Encoding.UTF8.GetBytes(lines)), ChunkSize = 10, Concurrency = 1, MaxErrorShare = 0.05 })).Id, Cancel);
        stopped.State.ShouldBe(JobState.Failed);
        var failed = stopped.Error!.Details!["output"].Deserialize<BatchOutput>(QueueMaaSJson.Relaxed)!.Failed;

        var again = await RunAsync(new BatchInput { RetryOf = stopped.Id, Model = wide });

        (again.Items, again.Succeeded).ShouldBe((failed, failed));
    }

    [Fact]
    public async Task Failed_items_of_an_earlier_job_are_computed_again_and_no_others()
    {
        var lines = string.Join('\n', Enumerable.Range(1, 100).Select(i => i % 20 == 0 ? $$"""{"id":"r{{i}}","inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}""" : $$"""{"id":"r{{i}}","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[{{i}},0]}]}"""));
        var first = await SubmitAsync(new BatchInput { Model = "double", Artifact = await UploadAsync(Encoding.UTF8.GetBytes(lines)), ChunkSize = 10 });
        var before = Requests.Output<BatchOutput>(await service.Api.WaitAsync(first.Id, Cancel));
        before.Failed.ShouldBe(5);
        // The wider model takes what the first could not.
        await service.Api.UploadModelAsync("wide", new MemoryStream(TestModels.Identity(DataType.Float, 3)), Cancel);

        var again = await RunAsync(new BatchInput { RetryOf = first.Id, Model = "wide" });

        (again.Items, again.Succeeded, again.Failed, again.Model).ShouldBe((5, 5, 0, "wide"));
        (await LinesAsync(again.OutputArtifact)).Select(line => JsonElement.Parse(line).GetProperty("id").GetString()).ShouldBe(["r20", "r40", "r60", "r80", "r100"]);
    }

    [Theory]
    [InlineData("""{"id":"a","inputs":[]}|{"id":"b","inputs":[]}|{"id":"a","inputs":[]}""", ProblemCodes.DuplicateId, "Line 3")]
    [InlineData("x,y|1,2|", ProblemCodes.TableInvalid, "`name`")]
    [InlineData("name,name|1,2|", ProblemCodes.TableInvalid, "2 times")]
    [InlineData("name,x|a,1|b,2|a,3|", ProblemCodes.TableInvalid, "takes 2 numbers")]
    [InlineData("name,x,y|a,1,2|b,1,2|a,1,2|", ProblemCodes.DuplicateId, "Row 3")]
    public async Task A_file_that_cannot_be_read_at_all_fails_at_validation_with_the_place(string file, string code, string place)
    {
        var artifact = await UploadAsync(Encoding.UTF8.GetBytes(file.Replace('|', '\n')));
        var job = await SubmitAsync(new BatchInput { Model = "double", Artifact = artifact, IdColumn = file[0] == '{' ? null : "name" });

        var failed = await service.Api.WaitAsync(job.Id, Cancel);

        failed.State.ShouldBe(JobState.Failed);
        failed.Error!.Code.ShouldBe(code, failed.Error.Message);
        failed.Error.Message.ShouldContain(place);
    }

    [Fact]
    public async Task Arrays_that_are_not_the_models_are_refused_and_an_empty_file_at_once()
    {
        (await FailureAsync(Npy([5, 3], new float[15]))).ShouldBe(ProblemCodes.TensorShapeMismatch);
        (await FailureAsync(Npy([5, 2], new float[9]))).ShouldBe(ProblemCodes.ArrayInvalid);
        var empty = await UploadAsync([]);
        using var response = await service.Http.PostAsync("v1/jobs", Requests.Json($$"""{"kind":"batch","input":{"model":"double","artifact":"{{empty}}" } }"""), Cancel);
        (await Requests.ProblemAsync(response)).Code.ShouldBe(ProblemCodes.DatasetEmpty);
    }

    [Fact]
    public async Task Too_many_errors_stop_the_job_early_and_what_is_done_is_kept()
    {
        var lines = string.Join('\n', Enumerable.Range(1, 1000).Select(i => "not json"));
        var job = await SubmitAsync(new BatchInput { Model = "double", Artifact = await UploadAsync(Encoding.UTF8.GetBytes(lines)), Format = BatchFormat.Jsonl, ChunkSize = 10, Concurrency = 1, MaxErrorShare = 0.05 });

        var failed = await service.Api.WaitAsync(job.Id, Cancel);

        failed.Error!.Code.ShouldBe(ProblemCodes.BatchFailed);
        var output = failed.Error.Details!["output"].Deserialize<BatchOutput>(QueueMaaSJson.Relaxed)!;
        output.Partial.ShouldBeTrue();
        output.Failed.ShouldBeInRange(51, 500);
        (await LinesAsync(output.ErrorArtifact)).Length.ShouldBe((int)output.Failed);
    }

    [Fact]
    public async Task A_cancelled_job_keeps_what_its_chunks_have_done()
    {
        var job = await SubmitAsync(new BatchInput { Model = "double", Artifact = await UploadAsync(Npy([200_000, 2], new float[400_000])), ChunkSize = 500, Concurrency = 1, Output = BatchOutputFormat.Npy });
        await foreach (var e in service.Api.EventsAsync(job.Id, cancellationToken: Cancel))
        {
            if (e.Data?.Deserialize<BatchProgress>(QueueMaaSJson.Relaxed) is { Done: > 0 })
                break;
        }

        (await service.Api.CancelAsync(job.Id, Cancel)).State.ShouldBe(JobState.Cancelled);

        var partial = (await service.Http.GetFromJsonAsync<BatchOutput>($"v1/jobs/{job.Id}/partial", QueueMaaSJson.Relaxed, Cancel))!;
        partial.Partial.ShouldBeTrue();
        partial.Succeeded.ShouldBeInRange(500, 199_999);
        var (header, _) = await ReadNpyAsync(partial.OutputArtifact);
        header.Shape[0].ShouldBe(partial.Succeeded);
    }

    [Fact]
    public async Task A_window_that_passes_ends_the_job_with_what_is_done()
    {
        var job = await SubmitAsync(new BatchInput { Model = "double", Artifact = await UploadAsync(Npy([400_000, 2], new float[800_000])), ChunkSize = 500, Concurrency = 1, CompletionWindow = "1s" });

        var ended = await service.Api.WaitAsync(job.Id, Cancel);

        ended.Error!.Code.ShouldBe(ProblemCodes.CompletionWindowPassed);
        ended.Error.Details!["output"].GetProperty("partial").GetBoolean().ShouldBeTrue();
    }

    [Fact]
    public async Task A_file_at_an_address_and_an_array_of_an_archive_are_read_too()
    {
        await using var source = await FileServer.StartAsync(Npy([3, 2], [1, 2, 3, 4, 5, 6]));
        (await RunAsync(new BatchInput { Model = "double", Url = source.Address })).Succeeded.ShouldBe(3);

        var npz = Zip([("first.npy", Npy([3, 2], new float[6])), ("second.npy", Npy([4, 2], new float[8]))]);
        (await RunAsync(new BatchInput { Model = "double", Artifact = await UploadAsync(npz), Array = "second" })).Succeeded.ShouldBe(4);
    }

    [Theory]
    [InlineData("""{"model":"double"}""", 400, ProblemCodes.InvalidRequest)]
    [InlineData("""{"model":"double","artifact":"a","url":"http://b"}""", 400, ProblemCodes.InvalidRequest)]
    [InlineData("""{"model":"double","url":"ftp://b"}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("""{"model":"double","url":"http://b","completionWindow":"soon"}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("""{"model":"double","url":"http://b","maxErrorShare":2}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("""{"model":"double","url":"http://b","chunkSize":0}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("""{"model":"double","url":"http://b","batchSize":5000}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("""{"url":"http://b"}""", 400, ProblemCodes.InvalidRequest)]
    [InlineData("""{"retryOf":"nothing"}""", 404, ProblemCodes.JobNotFound)]
    public async Task A_batch_job_that_cannot_be_is_refused_at_once(string input, int status, string code)
    {
        using var response = await service.Http.PostAsync("v1/jobs", Requests.Json($$"""{"kind":"batch","input":{{input}} }"""), Cancel);
        var problem = await Requests.ProblemAsync(response);
        (problem.Status, problem.Code).ShouldBe((status, code), problem.Detail);
    }

    private async Task<BatchOutput> RunAsync(BatchInput input) => Requests.Output<BatchOutput>(await service.Api.WaitAsync((await SubmitAsync(input)).Id, Cancel));

    private Task<Job> SubmitAsync(BatchInput input) => service.Api.SubmitAsync(QueueMaaSClient.Batch(input), cancellationToken: Cancel);

    private async Task<string> FailureAsync(byte[] file)
    {
        var job = await SubmitAsync(new BatchInput { Model = "double", Artifact = await UploadAsync(file) });
        return (await service.Api.WaitAsync(job.Id, Cancel)).Error!.Code;
    }

    private async Task<string> UploadAsync(byte[] file) => (await service.Api.UploadArtifactAsync(new MemoryStream(file), Cancel)).Id;

    private async Task UploadModelAsync(string name, byte[] model, string pipeline)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(model), "model", "model.onnx" }, { new StringContent(pipeline), "pipeline" } };
        using var response = await service.Http.PutAsync($"v1/models/{name}", form, Cancel);
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync(Cancel));
    }

    private async Task<string> DownloadAsync(string artifact)
    {
        var path = Path.Combine(service.ImportFolder, Guid.NewGuid().ToString("n"));
        await using var content = await service.Api.OpenArtifactAsync(artifact, Cancel);
        await using var file = File.Create(path);
        await content.CopyToAsync(file, Cancel);
        return path;
    }

    private async Task<string[]> LinesAsync(string artifact) => await File.ReadAllLinesAsync(await DownloadAsync(artifact), Cancel);

    private async Task<(NpyHeader Header, float[] Values)> ReadNpyAsync(string artifact)
    {
        using var file = NpyFile.Open(await DownloadAsync(artifact));
        var bytes = new byte[file.RowBytes * file.Header.Rows];
        file.Read(0, bytes);
        return (file.Header, MemoryMarshal.Cast<byte, float>(bytes).ToArray());
    }

    private static byte[] Npy(long[] shape, float[] values) => [.. NpyHeader.Write(Datatypes.Fp32, shape), .. MemoryMarshal.AsBytes(values.AsSpan())];

    private static byte[] Grey(byte level)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(2, 1, SKColorType.Rgba8888, SKAlphaType.Opaque));
        bitmap.Erase(new SKColor(level, level, level));
        using var data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
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
}
