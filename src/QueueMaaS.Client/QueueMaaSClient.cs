using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Client;

/// <summary>The HTTP API. Errors that the service reports are thrown as <see cref="ProblemException"/> with their stable code.</summary>
/// <param name="http">A client whose base address is the service, such as <c>http://localhost:8080/</c>.</param>
public sealed class QueueMaaSClient(HttpClient http)
{
    private static readonly TimeSpan LongPoll = TimeSpan.FromSeconds(30);

    /// <summary>Submits a job. It is committed when the task completes.</summary>
    /// <param name="submission">The job.</param>
    /// <param name="idempotencyKey">Makes a repeat after a lost answer safe.</param>
    /// <param name="cancellationToken">Gives up waiting for the answer; the job may be accepted all the same.</param>
    public async Task<Job> SubmitAsync(JobSubmission submission, string? idempotencyKey = null, CancellationToken cancellationToken = default)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/jobs") { Content = JsonContent.Create(submission, options: QueueMaaSJson.Relaxed) };
        if (idempotencyKey is not null)
            request.Headers.Add("Idempotency-Key", idempotencyKey);
        using var response = await http.SendAsync(request, cancellationToken);
        return await ReadAsync<Job>(response, cancellationToken);
    }

    /// <summary>A submission of an inference job.</summary>
    public static JobSubmission Inference(InferenceInput input) => new() { Kind = JobKind.Inference, Input = ToElement(input) };

    /// <summary>A submission of a training job.</summary>
    public static JobSubmission Training(TrainingInput input) => new() { Kind = JobKind.Training, Input = ToElement(input) };

    /// <summary>A submission of a batch job.</summary>
    public static JobSubmission Batch(BatchInput input) => new() { Kind = JobKind.Batch, Input = ToElement(input) };

    /// <summary>A submission of a sweep.</summary>
    public static JobSubmission Sweep(SweepInput input) => new() { Kind = JobKind.Sweep, Input = ToElement(input) };

    /// <summary>A submission of a promotion.</summary>
    public static JobSubmission Promotion(PromotionInput input) => new() { Kind = JobKind.Promotion, Input = ToElement(input) };

    /// <summary>A submission of an evaluation.</summary>
    public static JobSubmission Evaluation(EvaluationInput input) => new() { Kind = JobKind.Evaluation, Input = ToElement(input) };

    /// <summary>The job as it is now.</summary>
    public Task<Job> GetAsync(string id, CancellationToken cancellationToken = default) => GetAsync<Job>($"v1/jobs/{Uri.EscapeDataString(id)}", cancellationToken);

    /// <summary>Waits until the job has ended.</summary>
    public async Task<Job> WaitAsync(string id, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            var job = await GetAsync<Job>($"v1/jobs/{Uri.EscapeDataString(id)}?wait={LongPoll.TotalSeconds}", cancellationToken);
            if (job.State is JobState.Succeeded or JobState.Failed or JobState.Cancelled or JobState.Expired)
                return job;
        }
    }

    /// <summary>The job's events from the first, or after one, until it has ended.</summary>
    public async IAsyncEnumerable<JobEvent> EventsAsync(string id, long after = 0, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"v1/jobs/{Uri.EscapeDataString(id)}/events");
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        if (after > 0)
            request.Headers.Add("Last-Event-ID", after.ToString(System.Globalization.CultureInfo.InvariantCulture));
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        await ThrowIfProblemAsync(response, cancellationToken);
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        await foreach (var item in SseParser.Create(stream).EnumerateAsync(cancellationToken))
            yield return JsonSerializer.Deserialize<JobEvent>(item.Data, QueueMaaSJson.Relaxed)!;
    }

    /// <summary>Cancels a job that has not ended.</summary>
    public async Task<Job> CancelAsync(string id, CancellationToken cancellationToken = default)
    {
        using var response = await http.PostAsync($"v1/jobs/{Uri.EscapeDataString(id)}/cancel", content: null, cancellationToken);
        return await ReadAsync<Job>(response, cancellationToken);
    }

    /// <summary>Uploads the next version of a data set (a zip).</summary>
    public Task<Dataset> UploadDatasetAsync(string name, Stream zip, CancellationToken cancellationToken = default) => PutAsync<Dataset>($"v1/datasets/{name}", zip, cancellationToken);

    /// <summary>Uploads the next version of a model (an ONNX file).</summary>
    public Task<ModelVersion> UploadModelAsync(string name, Stream onnx, CancellationToken cancellationToken = default) => PutAsync<ModelVersion>($"v1/models/{name}", onnx, cancellationToken);

    /// <summary>A model version by reference: <c>name</c>, <c>name@3</c> or <c>name@alias</c>.</summary>
    public Task<ModelVersion> GetModelAsync(string reference, CancellationToken cancellationToken = default) => GetAsync<ModelVersion>($"v1/models/{reference}", cancellationToken);

    /// <summary>Points an alias at a version.</summary>
    public async Task<ModelAlias> DeployAsync(string name, string alias, int version, CancellationToken cancellationToken = default)
    {
        using var response = await http.PutAsJsonAsync($"v1/models/{name}/aliases/{alias}", new { version }, QueueMaaSJson.Relaxed, cancellationToken);
        return await ReadAsync<ModelAlias>(response, cancellationToken);
    }

    /// <summary>Uploads a file to refer to.</summary>
    public async Task<Artifact> UploadArtifactAsync(Stream content, CancellationToken cancellationToken = default)
    {
        using var body = new StreamContent(content);
        using var response = await http.PostAsync("v1/artifacts", body, cancellationToken);
        return await ReadAsync<Artifact>(response, cancellationToken);
    }

    /// <summary>Opens a file for reading.</summary>
    public async Task<Stream> OpenArtifactAsync(string id, CancellationToken cancellationToken = default)
    {
        var response = await http.GetAsync($"v1/artifacts/{id}", HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        await ThrowIfProblemAsync(response, cancellationToken);
        return await response.Content.ReadAsStreamAsync(cancellationToken);
    }

    private static JsonElement ToElement<T>(T input) => JsonSerializer.SerializeToElement(input, QueueMaaSJson.Relaxed);

    private async Task<T> GetAsync<T>(string path, CancellationToken cancellationToken)
    {
        using var response = await http.GetAsync(path, cancellationToken);
        return await ReadAsync<T>(response, cancellationToken);
    }

    private async Task<T> PutAsync<T>(string path, Stream content, CancellationToken cancellationToken)
    {
        using var body = new StreamContent(content);
        body.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        using var response = await http.PutAsync(path, body, cancellationToken);
        return await ReadAsync<T>(response, cancellationToken);
    }

    private static async Task<T> ReadAsync<T>(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await ThrowIfProblemAsync(response, cancellationToken);
        return (await response.Content.ReadFromJsonAsync<T>(QueueMaaSJson.Relaxed, cancellationToken))!;
    }

    private static async Task ThrowIfProblemAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (response.IsSuccessStatusCode)
            return;
        using var failed = response;
        if (response.Content.Headers.ContentType?.MediaType?.EndsWith("json", StringComparison.Ordinal) != true)
            throw new HttpRequestException($"The service answered {(int)response.StatusCode}.", null, response.StatusCode);
        var body = await response.Content.ReadFromJsonAsync<ProblemBody>(QueueMaaSJson.Relaxed, cancellationToken);
        throw new ProblemException(new Problem(body?.Code ?? ProblemCodes.InternalError, body?.Detail ?? $"The service answered {(int)response.StatusCode}.", body?.Details))
        {
            IsTransient = (int)response.StatusCode is 429 or 503,
        };
    }

    private sealed record ProblemBody(string? Code, string? Detail, Dictionary<string, JsonElement>? Details);
}
