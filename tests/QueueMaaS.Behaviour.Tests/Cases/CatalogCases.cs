using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary>Models, data sets, training and batch jobs.</summary>
public abstract class CatalogCases(ServiceFixture service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Uploading_again_makes_the_next_version_and_an_alias_deploys_it()
    {
        var first = await service.Api.UploadModelAsync("aliased", new MemoryStream(TestModels.Double()), Cancel);
        var second = await service.Api.UploadModelAsync("aliased", new MemoryStream(TestModels.Double()), Cancel);
        (second.Version - first.Version).ShouldBe(1);
        first.Aliases.ShouldBe(["production"]);
        await service.Api.DeployAsync("aliased", "canary", second.Version, Cancel);
        foreach (var number in (string[])["4", "007"])
            (await Should.ThrowAsync<ProblemException>(service.Api.DeployAsync("aliased", number, second.Version, Cancel))).Problem.Message.ShouldContain("not digits alone, which name a version");
        (await service.Api.GetModelAsync("aliased@canary", Cancel)).Version.ShouldBe(second.Version);
        (await service.Api.GetModelAsync("aliased", Cancel)).Version.ShouldBe(first.Version);
        var job = await service.Api.SubmitAsync(QueueMaaSClient.Inference(new InferenceInput { Model = "aliased@canary", Inputs = [Requests.Row(1, 2)] }), cancellationToken: Cancel);
        Requests.Output<InferenceOutput>(await service.Api.WaitAsync(job.Id, Cancel)).Version.ShouldBe(second.Version);
    }

    [Fact]
    public async Task A_batch_job_answers_every_line_in_order_and_names_the_bad_ones()
    {
        var lines = Enumerable.Range(1, 30).Select(i => i switch
        {
            7 => "this is not JSON",
            19 => """{"id":"row-19","inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}""",
            _ => $$"""{"id":"row-{{i}}","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[{{i}},0]}]}""",
        });
        var artifact = await service.Api.UploadArtifactAsync(new MemoryStream(Encoding.UTF8.GetBytes(string.Join("\r\n", lines))), Cancel);
        var id = await service.Bus.SubmitAsync(QueueMaaSClient.Batch(new BatchInput { Model = "double", Artifact = artifact.Id, ChunkSize = 4 }), Cancel);
        var output = Requests.Output<BatchOutput>(await service.WaitForBusJobAsync(id));
        (output.Items, output.Succeeded, output.Failed).ShouldBe((30, 28, 2));
        var results = (await ReadLinesAsync(output.OutputArtifact)).Select(line => JsonSerializer.Deserialize<BatchItemResult>(line, QueueMaaSJson.Relaxed)!).ToArray();
        results.Select(result => result.Id).ShouldBe(Enumerable.Range(1, 30).Where(i => i is not (7 or 19)).Select(i => $"row-{i}"));
        foreach (var result in results)
            result.Outputs![0].Data[0].GetSingle().ShouldBe(2 * int.Parse(result.Id[4..]));
        var errors = (await ReadLinesAsync(output.ErrorArtifact)).Select(line => JsonSerializer.Deserialize<BatchItemError>(line, QueueMaaSJson.Relaxed)!).ToArray();
        errors.Select(error => (error.Id, error.Error.Code)).ShouldBe([("7", ProblemCodes.InvalidRequest), ("row-19", ProblemCodes.TensorShapeMismatch)]);
        errors[1].Error.Message.ShouldContain("Line 19");
    }

    [Fact]
    public async Task A_trained_model_is_exported_checked_registered_and_used()
    {
        await service.Api.UploadDatasetAsync("small-shapes", new MemoryStream(TestImages.Shapes(trainPerClass: 20, testPerClass: 5, corrupt: 1)), Cancel);
        var training = QueueMaaSClient.Training(new TrainingInput { Model = "small", Dataset = "small-shapes", Epochs = 2, MaxCorruptShare = 0.05 });
        var id = await service.Bus.SubmitAsync(training, Cancel);
        var trained = Requests.Output<TrainingOutput>(await service.WaitForBusJobAsync(id));
        trained.Corrupt.Count.ShouldBe(1);
        trained.Corrupt.Examples.Count.ShouldBe(1);
        trained.History.Count.ShouldBe(2);
        trained.History[1].Loss.ShouldBeLessThan(trained.History[0].Loss);
        trained.Parity.MaxAbsolute.ShouldBeLessThan(1e-4);
        trained.Alias.ShouldBe("production");
        var version = await service.Api.GetModelAsync("small", Cancel);
        version.TrainedBy.ShouldBe(id);
        version.Pipeline!.Labels!.Count.ShouldBe(10);

        var batch = await service.Api.SubmitAsync(QueueMaaSClient.Batch(new BatchInput { Model = "small", Dataset = "small-shapes", Split = "test", ChunkSize = 16 }), cancellationToken: Cancel);
        var output = Requests.Output<BatchOutput>(await service.Api.WaitAsync(batch.Id, Cancel));
        output.Accuracy!.Value.ShouldBe(trained.ValidationAccuracy!.Value, 1e-9, "serving computes what validation computed");
        output.ConfusionMatrix!.Sum(row => row.Sum()).ShouldBe(50);
    }

    [Fact]
    public async Task Too_many_corrupt_images_fail_the_training_with_the_reason()
    {
        await service.Api.UploadDatasetAsync("corrupt-shapes", new MemoryStream(TestImages.Shapes(trainPerClass: 4, testPerClass: 2, corrupt: 10)), Cancel);
        var job = await service.Api.SubmitAsync(QueueMaaSClient.Training(new TrainingInput { Model = "never", Dataset = "corrupt-shapes", Epochs = 1 }), cancellationToken: Cancel);
        var failed = await service.Api.WaitAsync(job.Id, Cancel);
        failed.State.ShouldBe(JobState.Failed);
        failed.Error!.Code.ShouldBe(ProblemCodes.DatasetCorrupt);
    }

    [Theory]
    [InlineData("""{"kind":"inference","input":{"model":"nothing","inputs":[]}}""", 404, ProblemCodes.ModelNotFound)]
    [InlineData("""{"kind":"inference","input":{"model":"double@99","inputs":[]}}""", 404, ProblemCodes.ModelNotFound)]
    [InlineData("""{"kind":"inference","input":{"model":"Not A Name","inputs":[]}}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("""{"kind":"inference","input":{"model":"double"}}""", 400, ProblemCodes.InvalidRequest)]
    [InlineData("""{"kind":"inference","input":{"model":"double","inputs":[]}}""", 422, ProblemCodes.TensorNameMismatch)]
    [InlineData("""{"kind":"inference","input":{"model":"double","image":{"base64":"AAAA"}}}""", 422, ProblemCodes.ImageInputUnsupported)]
    [InlineData("""{"kind":"inference","input":{"model":"double","inputs":[{"name":"z","shape":[1,2],"datatype":"FP32","data":[1,2]}]}}""", 422, ProblemCodes.TensorNameMismatch)]
    [InlineData("""{"kind":"inference","input":{"model":"double","inputs":[{"name":"x","shape":[1,5],"datatype":"FP32","data":[1,2,3,4,5]}]}}""", 422, ProblemCodes.TensorShapeMismatch)]
    [InlineData("""{"kind":"inference","input":{"model":"double","inputs":[{"name":"x","shape":[1,2],"datatype":"INT8","data":[1,2]}]}}""", 422, ProblemCodes.TensorDatatypeMismatch)]
    [InlineData("""{"kind":"inference","input":{"model":"double","inputs":[],"extra":1}}""", 400, ProblemCodes.UnknownField)]
    [InlineData("""{"kind":"training","input":{"model":"m","dataset":"nothing"}}""", 404, ProblemCodes.DatasetNotFound)]
    [InlineData("""{"kind":"training","input":{"model":"m","dataset":"nothing","epochs":0}}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("""{"kind":"training","input":{"model":"m","dataset":"nothing","learningRate":1e9}}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("""{"kind":"batch","input":{"model":"double"}}""", 400, ProblemCodes.InvalidRequest)]
    [InlineData("""{"kind":"batch","input":{"model":"double","artifact":"sha256:12"}}""", 404, ProblemCodes.ArtifactNotFound)]
    [InlineData("""{"kind":"chunk","input":{}}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("""{"kind":"inference","input":{"model":"double","inputs":[]},"priority":10}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("""{"kind":"inference","input":{"model":"double","inputs":[]},"webhook":{"url":"nowhere"}}""", 422, ProblemCodes.InvalidValue)]
    [InlineData("""{"kind":"inference","inp""", 400, ProblemCodes.InvalidRequest)]
    public async Task A_bad_job_is_refused_before_it_is_queued(string body, int status, string code)
    {
        using var response = await service.Http.PostAsync("v1/jobs", Requests.Json(body), Cancel);
        var problem = await Requests.ProblemAsync(response);
        (problem.Status, problem.Code).ShouldBe((status, code), problem.Detail);
    }

    [Fact]
    public async Task A_body_over_the_limit_is_refused_with_the_limit()
    {
        using var response = await service.Http.PostAsync("v1/jobs", Requests.Json(new string(' ', 100_001)), Cancel);
        var problem = await Requests.ProblemAsync(response);
        (problem.Status, problem.Code).ShouldBe((413, ProblemCodes.TooLarge));
        problem.Detail.ShouldContain("100000");
        using var upload = await service.Http.PostAsync("v1/artifacts", new ByteArrayContent(new byte[4_000_001]), Cancel);
        (await Requests.ProblemAsync(upload)).Code.ShouldBe(ProblemCodes.TooLarge);
    }

    [Fact]
    public async Task A_file_that_cannot_be_served_is_refused_as_a_model()
    {
        (await UploadModelAsync("just some bytes"u8.ToArray())).ShouldBe((422, ProblemCodes.NotAnOnnxModel));
        (await UploadModelAsync([])).ShouldBe((422, ProblemCodes.NotAnOnnxModel));
        (await UploadModelAsync(TestModels.Double()[..20])).ShouldBe((422, ProblemCodes.NotAnOnnxModel));
        (await UploadModelAsync(TestModels.UnknownOperator())).ShouldBe((422, ProblemCodes.UnsupportedOperator));
        (await UploadModelAsync(TestModels.ExternalData())).ShouldBe((422, ProblemCodes.ExternalDataMissing));
    }

    [Fact]
    public async Task An_archive_that_cannot_be_trained_on_is_refused_as_a_data_set()
    {
        (await UploadDatasetAsync("not a zip"u8.ToArray())).ShouldBe((422, ProblemCodes.DatasetFormatUnknown));
        (await UploadDatasetAsync("PK\u0003\u0004 no more of it"u8.ToArray())).ShouldBe((422, ProblemCodes.ArchiveInvalid));
        (await UploadDatasetAsync(Zip(("train/a/1.png", 10), ("../../etc/1.png", 10)))).ShouldBe((422, ProblemCodes.ArchivePathEscape));
        (await UploadDatasetAsync(Zip(("train/a/1.png", 0), ("train/b/bomb.png", 300_000_000)))).ShouldBe((413, ProblemCodes.ArchiveTooLarge));
        (await UploadDatasetAsync(Zip())).Code.ShouldBeOneOf(ProblemCodes.DatasetEmpty, ProblemCodes.DatasetFormatUnknown);
        (await UploadDatasetAsync(Zip(("notes.txt", 10)))).ShouldBe((422, ProblemCodes.DatasetFormatUnknown));
    }

    [Theory]
    [InlineData("v1/jobs/none", 404, ProblemCodes.JobNotFound)]
    [InlineData("v1/jobs/none/events", 404, ProblemCodes.JobNotFound)]
    [InlineData("v1/models/none", 404, ProblemCodes.ModelNotFound)]
    [InlineData("v1/datasets/none", 404, ProblemCodes.DatasetNotFound)]
    [InlineData("v1/artifacts/sha256:../../secret", 404, ProblemCodes.ArtifactNotFound)]
    [InlineData("v1/jobs?limit=0", 422, ProblemCodes.InvalidValue)]
    [InlineData("v1/jobs?state=tired", 422, ProblemCodes.InvalidValue)]
    [InlineData("v1/jobs?cursor=!!!", 422, ProblemCodes.InvalidValue)]
    public async Task What_does_not_exist_or_make_sense_is_a_problem_with_a_code(string path, int status, string code)
    {
        using var response = await service.Http.GetAsync(path, Cancel);
        var problem = await Requests.ProblemAsync(response);
        (problem.Status, problem.Code).ShouldBe((status, code));
    }

    private async Task<(int Status, string Code)> UploadModelAsync(byte[] bytes)
    {
        using var response = await service.Http.PutAsync("v1/models/bad", new ByteArrayContent(bytes), Cancel);
        var problem = await Requests.ProblemAsync(response);
        problem.Detail.ShouldNotContain(Path.GetTempPath());
        return (problem.Status, problem.Code);
    }

    private async Task<(int Status, string Code)> UploadDatasetAsync(byte[] bytes)
    {
        using var response = await service.Http.PutAsync("v1/datasets/bad", new ByteArrayContent(bytes), Cancel);
        var problem = await Requests.ProblemAsync(response);
        return (problem.Status, problem.Code);
    }

    private async Task<string[]> ReadLinesAsync(string artifact)
    {
        using var reader = new StreamReader(await service.Api.OpenArtifactAsync(artifact, Cancel));
        return (await reader.ReadToEndAsync(Cancel)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static byte[] Zip(params (string Name, int Bytes)[] entries)
    {
        var memory = new MemoryStream();
        using (var zip = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, bytes) in entries)
            {
                using var entry = zip.CreateEntry(name, CompressionLevel.SmallestSize).Open();
                for (var left = bytes; left > 0; left -= 1_000_000)
                    entry.Write(new byte[Math.Min(left, 1_000_000)]);
            }
        }

        return memory.ToArray();
    }
}
