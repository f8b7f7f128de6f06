using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;

namespace QueueMaaS.Perf;

/// <summary>Sends <c>POST /v2/models/{name}/infer</c>.</summary>
internal sealed class OpenInferenceTarget : ILoadTarget
{
    private readonly HttpClient _http;
    private readonly string _path;
    private readonly byte[][] _bodies;
    private int _next;

    private OpenInferenceTarget(HttpClient http, string path, byte[][] bodies)
    {
        _http = http;
        _path = path;
        _bodies = bodies;
    }

    /// <exception cref="PerfException">The server or the model is not there, or its inputs cannot be made up.</exception>
    public static async Task<OpenInferenceTarget> ConnectAsync(PerfSettings settings, CancellationToken cancellationToken)
    {
        var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = int.MaxValue }) { BaseAddress = settings.Url, Timeout = TimeSpan.FromMinutes(2), DefaultRequestHeaders = { Authorization = settings.Authorization } };
        var inputs = await DescribeAsync(http, settings, cancellationToken);
        return new(http, $"{PathOf(settings.Model)}/infer", [.. SampleInputs.Make(inputs, settings.Shapes).Select(static tensors => JsonSerializer.SerializeToUtf8Bytes(new JsonObject { ["inputs"] = tensors }))]);
    }

    public async Task<Outcome> SendAsync(CancellationToken cancellationToken)
    {
        using var content = new ByteArrayContent(_bodies[(uint)Interlocked.Increment(ref _next) % _bodies.Length]);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        try
        {
            using var response = await _http.PostAsync(_path, content, cancellationToken);
            var body = await response.Content.ReadAsByteArrayAsync(cancellationToken);
            using var answer = JsonDocument.Parse(body);
            return response.IsSuccessStatusCode
                ? new(null, answer.RootElement.GetProperty("parameters").GetProperty("batch_size").GetInt32())
                : new(answer.RootElement.TryGetProperty("code", out var code) ? code.GetString() : $"HTTP {(int)response.StatusCode}", 0);
        }
        catch (HttpRequestException exception)
        {
            return new(exception.Message, 0);
        }
    }

    public ValueTask DisposeAsync()
    {
        _http.Dispose();
        return ValueTask.CompletedTask;
    }

    private static string PathOf(string model) => model.Split('@') is [var own, var number] && int.TryParse(number, out _)
        ? $"v2/models/{Uri.EscapeDataString(own)}/versions/{number}"
        : $"v2/models/{Uri.EscapeDataString(model)}";

    /// <summary>What the model takes, by its metadata.</summary>
    /// <exception cref="PerfException">The server or the model is not there.</exception>
    public static async Task<IReadOnlyList<TensorSignature>> DescribeAsync(HttpClient http, PerfSettings settings, CancellationToken cancellationToken)
    {
        var path = PathOf(settings.Model);
        try
        {
            using var response = await http.GetAsync(path, cancellationToken);
            var text = await response.Content.ReadAsStringAsync(cancellationToken);
            if (!response.IsSuccessStatusCode)
                throw new PerfException($"{settings.Url}{path} answers {(int)response.StatusCode}. The model `{settings.Model}` must be there, on a process with the inference role.");
            return JsonElement.Parse(text).GetProperty("inputs").Deserialize<IReadOnlyList<TensorSignature>>(QueueMaaSJson.Relaxed)!;
        }
        catch (HttpRequestException exception)
        {
            throw new PerfException($"{settings.Url} cannot be reached: {exception.Message}");
        }
    }
}
