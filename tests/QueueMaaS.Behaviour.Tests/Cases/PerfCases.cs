using System.Globalization;
using QueueMaaS.Behaviour.Tests.Setup;

namespace QueueMaaS.Behaviour.Tests.Cases;

/// <summary><c>queuemaas perf</c> against a running service.</summary>
public abstract class PerfCases(ServiceFixture service)
{
    [Fact]
    public async Task Load_over_the_open_inference_protocol_is_measured_level_by_level()
    {
        var csv = Path.GetTempFileName();

        var (exitCode, output) = await RunAsync("double", "--concurrency", "1,16", "--window", "0.3", "--csv", csv);

        exitCode.ShouldBe(0, output);
        var rows = (await File.ReadAllLinesAsync(csv, TestContext.Current.CancellationToken)).Skip(1).Select(line => line.Split(',').ToArray()).ToArray();
        File.Delete(csv);
        rows.Select(row => row[0]).ShouldBe(["1", "16"]);
        rows.ShouldAllBe(row => Number(row[1]) > 0 && Number(row[2]) <= Number(row[5]) && row[8] == "0");
        Number(rows[0][6]).ShouldBe(1, "one caller is never in a batch with others");
        Number(rows[1][6]).ShouldBeGreaterThan(1);
    }

    [Fact]
    public async Task Batch_jobs_are_measured_from_submission_to_their_files()
    {
        var csv = Path.GetTempFileName();
        File.Delete(csv);
        var (exitCode, output) = await RunAsync("double", "--batch", "3000", "--runs", "2", "--csv", csv);

        exitCode.ShouldBe(0, output);
        output.ShouldContain("Median: ");
        var rows = (await File.ReadAllLinesAsync(csv, TestContext.Current.CancellationToken)).Skip(1).Select(line => line.Split(',').ToArray()).ToArray();
        File.Delete(csv);
        rows.Select(row => (row[0], row[1], row[5])).ShouldBe([("1", "3000", "0"), ("2", "3000", "0")]);
        rows.ShouldAllBe(row => Number(row[3]) > 0 && Number(row[4]) > 1);

        var own = Path.GetTempFileName();
        await File.WriteAllTextAsync(own, "a,b\n1,2\n3,x\n", TestContext.Current.CancellationToken);
        var (failed, told) = await RunAsync("double", "--batch-file", own, "--runs", "1");
        File.Delete(own);
        failed.ShouldBe(1, told);
        told.ShouldContain("Some items failed");
    }

    [Fact]
    public async Task Requests_can_come_at_random_moments()
    {
        var (exitCode, output) = await RunAsync("double", "--rate", "50", "--window", "1");

        exitCode.ShouldBe(0, output);
    }

    [Fact]
    public async Task The_highest_load_within_a_latency_is_searched_for()
    {
        var (exitCode, output) = await RunAsync("double", "--concurrency", "1:4", "--latency-bound", "10000", "--window", "0.2");

        exitCode.ShouldBe(0, output);
        output.ShouldContain("The highest load with p99 within 10000 ms: 4 callers");
    }

    [Fact]
    public async Task Jobs_over_the_bus_are_measured_to_their_end()
    {
        // Another process can reach a broker only; the in-process bus has no address.
        if (service.RabbitMq is not { } address)
        {
            var (refused, told) = await RunAsync("double", "--rabbitmq", "amqp://guest:guest@127.0.0.1:1/", "--concurrency", "1");
            refused.ShouldBe(1, told);
            told.ShouldContain("RabbitMQ cannot be used");
            return;
        }

        var (exitCode, output) = await RunAsync("double", "--rabbitmq", address, "--concurrency", "8", "--window", "0.5");

        exitCode.ShouldBe(0, output);
        (exitCode, output) = await RunAsync("double", "--rabbitmq", address, "--concurrency", "8", "--window", "0.5", "--base64");
        exitCode.ShouldBe(0, output);
    }

    [Theory]
    [InlineData("give --rabbitmq", "double", "--base64")]
    [InlineData("answers 404", "no-such-model")]
    [InlineData("--concurrency is `0`", "double", "--concurrency", "0")]
    [InlineData("not both", "double", "--concurrency", "1", "--rate", "1")]
    [InlineData("--shape is", "double", "--shape", "x=1")]
    [InlineData("names the input `z`", "double", "--shape", "z:1,2")]
    [InlineData("tensor_shape_mismatch", "double", "--shape", "x:1,3", "--concurrency", "1", "--window", "0.2")]
    public async Task What_cannot_be_measured_is_said_in_a_sentence(string words, params string[] arguments)
    {
        var (exitCode, output) = await RunAsync(arguments);

        exitCode.ShouldBe(1, output);
        output.ShouldContain(words);
        output.ShouldNotContain("   at ", customMessage: "no stack trace");
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    private Task<(int ExitCode, string Output)> RunAsync(params string[] arguments) => ProgramRun.RunAsync(["perf", .. arguments, "--url", service.Http.BaseAddress!.ToString()]);
}
