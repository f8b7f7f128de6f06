using System.CommandLine;
using System.Globalization;
using QueueMaaS.Perf;

namespace QueueMaaS.Commands;

/// <summary><c>queuemaas perf</c>: puts load on a running service and measures it, in the manner of Triton's perf_analyzer.</summary>
internal static class PerfCommand
{
    public static Command Create(Func<Func<Task>, CancellationToken, Task<int>> guard)
    {
        var model = new Argument<string>("model") { Description = "name, name@3 or name@alias." };
        var url = new Option<string>("--url") { Description = "A process with the inference role (with --rabbitmq: the api role).", DefaultValueFactory = _ => "http://127.0.0.1:8080" };
        var rabbit = new Option<string?>("--rabbitmq") { Description = "Send jobs over this broker (amqp://…) and hear of their end by its events, instead of the Open Inference Protocol." };
        var key = new Option<string?>("--key") { Description = "An API key with the scopes read and submit, where the service asks for one. Default: the environment variable QUEUEMAAS_API_KEY." };
        var concurrency = new Option<string?>("--concurrency") { Description = "Callers that each wait for their answer: 8, or 1,4,16, or 1:64 (doubling), or 10:50:10. Default 1:64." };
        var rate = new Option<string?>("--rate") { Description = "Instead of callers, requests a second at random moments (Poisson), in the same form." };
        var bound = new Option<double?>("--latency-bound") { Description = "Search between the first and the last level for the highest load whose p99 is at most so many milliseconds." };
        var window = new Option<double>("--window") { Description = "Seconds of a measurement window.", DefaultValueFactory = _ => 5 };
        var stability = new Option<double>("--stability") { Description = "Three windows within this share of their mean end a level.", DefaultValueFactory = _ => 0.1 };
        var windows = new Option<int>("--max-windows") { Description = "After so many windows a level ends as not stable.", DefaultValueFactory = _ => 10 };
        var shapes = new Option<string[]>("--shape") { Description = "For inputs with free sizes: name:1,16,64, with | between shapes that are sent in turn. May be repeated.", DefaultValueFactory = _ => [] };
        var batch = new Option<int?>("--batch") { Description = "Instead of single requests, run batch jobs of so many made-up items, from their submission to their joined files. --url is a process with the api role (and inference, to describe the model)." };
        var batchFile = new Option<string?>("--batch-file") { Description = "As --batch, over a file of your own: JSONL, CSV, Parquet, .npy, .npz or a zip of images." };
        var runs = new Option<int>("--runs") { Description = "With --batch or --batch-file: how many jobs, one after the other.", DefaultValueFactory = _ => 3 };
        var base64 = new Option<bool>("--base64") { Description = "With --rabbitmq: send FP32 tensors as base64 of their bytes instead of as numbers." };
        var csv = new Option<string?>("--csv") { Description = "Write the table to this file as well." };
        var command = new Command("perf", "Measure a running service under load.") { model, url, rabbit, key, concurrency, rate, bound, window, stability, windows, shapes, batch, batchFile, runs, base64, csv };
        command.SetAction((result, cancellationToken) => guard(async () =>
        {
            if (result.GetValue(concurrency) is not null && result.GetValue(rate) is not null)
                throw new PerfException("Give --concurrency or --rate, not both.");
            if (result.GetValue(batch) is not null && result.GetValue(batchFile) is not null)
                throw new PerfException("Give --batch or --batch-file, not both.");
            if (result.GetValue(base64) && result.GetValue(rabbit) is null)
                throw new PerfException("--base64 is a form of jobs: give --rabbitmq as well.");
            var byRate = result.GetValue(rate) is not null;
            var settings = new PerfSettings
            {
                Model = result.GetValue(model)!,
                Url = Uri.TryCreate(result.GetValue(url)!.TrimEnd('/') + "/", UriKind.Absolute, out var address) ? address : throw new PerfException("--url must be an address such as http://127.0.0.1:8080."),
                Key = result.GetValue(key) ?? Environment.GetEnvironmentVariable("QUEUEMAAS_API_KEY"),
                RabbitMq = result.GetValue(rabbit),
                Levels = byRate ? LoadRange.Parse(result.GetValue(rate)!, "--rate") : LoadRange.Parse(result.GetValue(concurrency) ?? "1:64", "--concurrency"),
                IsRate = byRate,
                LatencyBound = result.GetValue(bound) is { } ms ? TimeSpan.FromMilliseconds(Within(ms, 0.01, 3_600_000, "--latency-bound")) : null,
                Window = TimeSpan.FromSeconds(Within(result.GetValue(window), 0.1, 3600, "--window")),
                Stability = Within(result.GetValue(stability), 0.001, 1, "--stability"),
                MaxWindows = (int)Within(result.GetValue(windows), 3, 1000, "--max-windows"),
                Shapes = result.GetValue(shapes)!.Select(ReadShapes).ToDictionary(StringComparer.Ordinal),
                BatchItems = result.GetValue(batch) is { } items ? (int)Within(items, 1, 100_000_000, "--batch") : null,
                BatchFile = result.GetValue(batchFile),
                Runs = (int)Within(result.GetValue(runs), 1, 1000, "--runs"),
                AsBase64 = result.GetValue(base64),
                Csv = result.GetValue(csv),
            };
            if (settings.BatchItems is not null || settings.BatchFile is not null)
            {
                if (!await new BatchRun(settings).RunAsync(cancellationToken))
                    throw new PerfException("Some items failed; each job's error file says which, and why.");
                return;
            }

            await using ILoadTarget target = settings.RabbitMq is null ? await OpenInferenceTarget.ConnectAsync(settings, cancellationToken) : await BusTarget.ConnectAsync(settings, cancellationToken);
            if (!await new PerfRun(settings, target).RunAsync(cancellationToken))
                throw new PerfException("Some requests failed; the table says how many, and the first reason.");
        }, cancellationToken));
        return command;
    }

    private static double Within(double value, double least, double most, string option) => value >= least && value <= most
        ? value
        : throw new PerfException(string.Create(CultureInfo.InvariantCulture, $"{option} is {value}; it has to be from {least} to {most}."));

    private static KeyValuePair<string, IReadOnlyList<long[]>> ReadShapes(string text)
    {
        var colon = text.LastIndexOf(':');
        var shapes = colon < 1 ? [] : text[(colon + 1)..].Split('|').Select(shape => shape.Split(',').Select(size => long.TryParse(size.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : -1).ToArray()).ToArray();
        return shapes.Length > 0 && shapes.All(shape => shape.All(size => size >= 0) && shape.Aggregate(1.0, (product, size) => product * size) <= 10_000_000)
            ? new(text[..colon], shapes)
            : throw new PerfException($"--shape is `{text}`. Write the input's name, a colon and its sizes: x:1,16,64, with | between shapes that are sent in turn.");
    }
}
