using System.Diagnostics;
using QueueMaaS.Behaviour.Tests.Setup;
using QueueMaaS.Contracts;

namespace QueueMaaS.Behaviour.Tests;

/// <summary>The worked examples, as a reader runs them: another program, in Python, over HTTP.</summary>
[Collection("embedded")]
public sealed class ExampleTests(EmbeddedService service)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("one line of text", "5", "dataset_format_unknown", "in no known data set format")]
    [InlineData("x,label\n1,a\n2,b\n3,a\n4,b\n", "0", "invalid_value", "the time budget in minutes, above 0")]
    [InlineData("x,label\n1,a\n2,b\n3,a\n4,b\n", "0.00001", "budget_too_small", "is too small for one epoch")]
    public async Task The_script_for_own_data_shows_why_it_was_refused_and_goes_no_further(string file, string minutes, string code, string detail)
    {
        var folder = Directory.CreateTempSubdirectory("queuemaas-own-data-");
        try
        {
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, "own.csv"), file, Cancel);
            var start = new ProcessStartInfo("bash", [Path.Combine(Node.RepositoryRoot(), "examples", "own-data.sh"), "own.csv", minutes]) { WorkingDirectory = folder.FullName };
            start.Environment["QUEUEMAAS_URL"] = service.Http.BaseAddress!.ToString().TrimEnd('/');
            start.Environment.Remove("QUEUEMAAS_API_KEY");
            var (exitCode, told) = await ProgramRun.RunAsync(start);
            exitCode.ShouldNotBe(0, told);
            told.ShouldContain(code);
            told.ShouldContain(detail);
            told.ShouldNotContain("report:");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task The_table_example_trains_passes_its_gate_answers_and_writes_its_report()
    {
        var reports = Directory.CreateTempSubdirectory("queuemaas-reports-");
        try
        {
            var start = new ProcessStartInfo("python3", [Path.Combine(Node.RepositoryRoot(), "examples", "table.py"), "--people", "1500", "--epochs", "8"])
            {
                WorkingDirectory = reports.FullName,
            };
            start.Environment["QUEUEMAAS_URL"] = service.Http.BaseAddress!.ToString();
            start.Environment["QUEUEMAAS_REPORTS"] = reports.FullName;
            start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
            start.Environment.Remove("QUEUEMAAS_API_KEY");
            var (exitCode, told) = await ProgramRun.RunAsync(start);
            exitCode.ShouldBe(0, told);
            told.ShouldSatisfyAllConditions(
                text => text.ShouldContain("data set census@1: {'train': 1200, 'test': 300}"),
                text => text.ShouldContain("gate: done"),
                text => text.ShouldContain("  promoted: "),
                text => text.ShouldContain("baseline of the drift monitor: done"),
                text => text.ShouldContain("on 300 people"));

            var report = await File.ReadAllTextAsync(Path.Combine(reports.FullName, "table.html"), Cancel);
            foreach (var part in (string[])["<h1>Evaluation of income@1</h1>", "300 items of the split <b>test</b> of data set <b>census@1</b>", "<h3>By education</h3>", "<b>tabular-default@1</b>", ">Precision over recall</text>", "</html>"])
                report.ShouldContain(part);
            (await service.Api.GetModelAsync("income@production", Cancel)).Metrics!["validationAccuracy"].ShouldBeGreaterThan(0.75);
        }
        finally
        {
            reports.Delete(recursive: true);
        }
    }
}
