using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Client;
using QueueMaaS.Contracts;

namespace QueueMaaS.Perf;

/// <summary>Runs batch jobs over one file, one after the other, and shows how fast each was from its submission to its end.</summary>
internal sealed class BatchRun(PerfSettings settings)
{
    /// <returns>Whether every job succeeded without a failed item.</returns>
    public async Task<bool> RunAsync(CancellationToken cancellationToken)
    {
        using var http = new HttpClient { BaseAddress = settings.Url, Timeout = TimeSpan.FromHours(24), DefaultRequestHeaders = { Authorization = settings.Authorization } };
        var api = new QueueMaaSClient(http);
        var artifact = await UploadAsync(api, http, cancellationToken);
        Console.WriteLine($"{"run",4} {"items",12} {"seconds",9} {"items/s",11} {"mean batch",11} {"failed",8}");
        var rates = new List<double>();
        var clean = true;
        for (var run = 1; run <= settings.Runs; run++)
        {
            var job = await EndAsync(api, (await api.SubmitAsync(QueueMaaSClient.Batch(new BatchInput { Model = settings.Model, Artifact = artifact }), cancellationToken: cancellationToken)).Id, cancellationToken);
            if (job.State != JobState.Succeeded)
                throw new PerfException($"Batch job `{job.Id}` ended as {job.State.ToString().ToLowerInvariant()}: {job.Error?.Code}: {job.Error?.Message}");
            var output = job.Output!.Value.Deserialize<BatchOutput>(QueueMaaSJson.Relaxed)!;
            var seconds = (job.FinishedAt!.Value - job.CreatedAt).TotalSeconds;
            rates.Add(output.Items / seconds);
            clean &= output.Failed == 0;
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{run,4} {output.Items,12:n0} {seconds,9:0.00} {rates[^1],11:n0} {(output.MeanBatchSize is { } mean ? mean.ToString("0.0", CultureInfo.InvariantCulture) : "?"),11} {output.Failed,8:n0}"));
            if (settings.Csv is { } csv)
                await File.AppendAllTextAsync(csv, string.Create(CultureInfo.InvariantCulture, $"{(run == 1 ? "run,items,seconds,items_per_second,mean_batch,failed\n" : "")}{run},{output.Items},{seconds:0.###},{rates[^1]:0.#},{output.MeanBatchSize:0.##},{output.Failed}\n"), cancellationToken);
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Median: {rates.Order().ElementAt(rates.Count / 2):n0} items/s. The first run also loads the model."));
        return clean;
    }

    private static async Task<Job> EndAsync(QueueMaaSClient api, string id, CancellationToken cancellationToken)
    {
        using var cancelled = cancellationToken.Register(() => Console.Error.WriteLine($"Batch job {id} goes on; POST /v1/jobs/{id}/cancel stops it."));
        return await api.WaitAsync(id, cancellationToken);
    }

    private async Task<string> UploadAsync(QueueMaaSClient api, HttpClient http, CancellationToken cancellationToken)
    {
        try
        {
            if (settings.BatchFile is { } given)
            {
                await using var own = File.OpenRead(given);
                return (await api.UploadArtifactAsync(own, cancellationToken)).Id;
            }

            var inputs = await OpenInferenceTarget.DescribeAsync(http, settings, cancellationToken);
            string[] lines = [.. SampleInputs.Make(inputs, settings.Shapes).Select(static tensors => new JsonObject { ["inputs"] = tensors }.ToJsonString())];
            var path = Path.GetTempFileName();
            try
            {
                await using (var file = new StreamWriter(path))
                {
                    for (var item = 0; item < settings.BatchItems; item++)
                        await file.WriteAsync($"{lines[item % lines.Length]}\n".AsMemory(), cancellationToken);
                }

                await using var made = File.OpenRead(path);
                return (await api.UploadArtifactAsync(made, cancellationToken)).Id;
            }
            finally
            {
                File.Delete(path);
            }
        }
        catch (FileNotFoundException)
        {
            throw new PerfException($"--batch-file: there is no file `{settings.BatchFile}`.");
        }
        catch (ProblemException exception)
        {
            throw new PerfException($"The file was not taken: {exception.Problem.Message}");
        }
    }
}
