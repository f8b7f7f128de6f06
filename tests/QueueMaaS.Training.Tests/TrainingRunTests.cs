using System.IO.Compression;
using QueueMaaS.Contracts;
using QueueMaaS.Data.Demo;
using QueueMaaS.Onnx;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Tests;

public sealed class TrainingRunTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private string ZipPath => _folder.File("shapes.zip");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_run_goes_from_the_archive_to_a_checked_model()
    {
        ShapesDataset.Write(ZipPath, 12, 4, seed: 1);
        var phases = new List<string>();
        var artifacts = await Run(report: (progress, _) =>
        {
            phases.Add(progress.Phase);
            return default;
        });
        (artifacts.Data.Examples.Split.Train.Length, artifacts.Data.Examples.Split.Validation.Length).ShouldBe((120, 40));
        artifacts.Labels.ShouldBe(ShapesDataset.Classes);
        artifacts.Data.Pipeline.Image.ShouldBe(new ImagePreparation(32, 32, 3) { Alpha = AlphaMode.Ignore }, "serving reads pixels as training did");
        artifacts.Exported!.Parity.Images.ShouldBe(40);
        artifacts.Exported!.Parity.SameLabel.ShouldBe(1);
        artifacts.Device.ShouldBe("cpu");
        artifacts.Final.ConfusionMatrix.Sum(r => r.Sum()).ShouldBe(40);
        phases[^1].ShouldBe("checking");
        var model = OnnxFile.Read(artifacts.Exported!.OnnxPath);
        model.MetadataProps.Single(p => p.Key == "queuemaas.dataset").Value.ShouldBe("d");
    }

    [Fact]
    public async Task A_truncated_image_is_counted_and_training_goes_on()
    {
        ShapesDataset.Write(ZipPath, 12, 4, seed: 1);
        using (var zip = ZipFile.Open(ZipPath, ZipArchiveMode.Update))
        {
            zip.GetEntry("train/heart/00003.png")!.Delete();
            using var stream = zip.CreateEntry("train/heart/00003.png").Open();
            stream.Write([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0]);
        }

        var artifacts = await Run();
        artifacts.Data.Corrupt.Count.ShouldBe(1);
        artifacts.Data.Corrupt.Examples.ShouldBe(["train/heart/00003.png"]);
        artifacts.Data.Examples.Split.Train.Length.ShouldBe(119);
    }

    [Fact]
    public async Task What_the_receiver_of_reports_throws_stops_the_training_and_reaches_the_caller()
    {
        ShapesDataset.Write(ZipPath, 12, 4, seed: 1);
        var e = await Should.ThrowAsync<InvalidOperationException>(() => Run(epochs: 1_000, report: (_, _) => throw new InvalidOperationException("the lease is gone")));
        e.Message.ShouldBe("the lease is gone");
    }

    [Fact]
    public async Task Cancelling_a_run_ends_it()
    {
        ShapesDataset.Write(ZipPath, 12, 4, seed: 1);
        using var stop = new CancellationTokenSource();
        await Should.ThrowAsync<OperationCanceledException>(() => Run(
            epochs: 1_000,
            report: (progress, _) =>
            {
                if (progress.Phase != "loading")
                    stop.Cancel();
                return default;
            },
            cancellationToken: stop.Token));
    }

    [Fact]
    public async Task An_archive_that_is_refused_says_so_with_its_own_code()
    {
        File.WriteAllText(ZipPath, "PK\u0003\u0004 and no more of a zip");
        (await Should.ThrowAsync<ProblemException>(() => Run())).Problem.Code.ShouldBe(ProblemCodes.ArchiveInvalid);
    }

    private Task<TrainingArtifacts> Run(
        int epochs = 1, Func<TrainingProgress, CancellationToken, ValueTask>? report = null, CancellationToken cancellationToken = default) =>
        new TrainingRun().ExecuteAsync(
            new() { Settings = Samples.Settings(epochs), DatasetZipPath = ZipPath, WorkFolder = _folder.File("work") }, report ?? ((_, _) => default), cancellationToken);
}
