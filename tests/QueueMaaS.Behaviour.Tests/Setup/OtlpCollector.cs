using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using QueueMaaS.Behaviour.Tests.Otlp;

namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>One span as it arrived, with the process that sent it.</summary>
public sealed record ArrivedSpan(string Name, string Trace, string Id, string Parent, long Process, IReadOnlyDictionary<string, string> Tags);

/// <summary>An OpenTelemetry collector for tests: takes OTLP over gRPC and over HTTP, and keeps what came.</summary>
public sealed class OtlpCollector : IAsyncDisposable
{
    private readonly WebApplication _app;

    public OtlpCollector()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0, endpoint => endpoint.Protocols = HttpProtocols.Http1);
            // gRPC without TLS needs an address of its own.
            kestrel.Listen(IPAddress.Loopback, 0, endpoint => endpoint.Protocols = HttpProtocols.Http2);
        });
        _app = builder.Build();
        _app.MapPost("/v1/{signal}", async (string signal, HttpRequest request) =>
        {
            Keep(signal, await ReadAsync(request), request.Headers["x-collector-key"]);
            return Results.Bytes([], "application/x-protobuf");
        });
        _app.MapPost("/opentelemetry.proto.collector.{rest}/Export", async (string rest, HttpContext http) =>
        {
            // Five bytes before the message: whether it is compressed, and its length.
            Keep(rest.Split('.')[0], (await ReadAsync(http.Request))[5..], http.Request.Headers["x-collector-key"]);
            http.Response.ContentType = "application/grpc";
            await http.Response.Body.WriteAsync(new byte[5]);
            http.Response.AppendTrailer("grpc-status", "0");
        });
    }

    public string HttpAddress => _app.Urls.First();

    public string GrpcAddress => _app.Urls.Last();

    public ConcurrentQueue<ArrivedSpan> Spans { get; } = new();

    /// <summary>Names of metrics that arrived.</summary>
    public ConcurrentDictionary<string, string> Metrics { get; } = new();

    /// <summary>The log's lines that arrived, each with the trace it belongs to.</summary>
    public ConcurrentQueue<(string Trace, string Text)> Logs { get; } = new();

    /// <summary>Keys that the requests brought.</summary>
    public ConcurrentDictionary<string, bool> Keys { get; } = new();

    public Task StartAsync() => _app.StartAsync();

    /// <summary>Waits until a span of the trace has this name.</summary>
    public async Task<ArrivedSpan> SpanAsync(string trace, string name)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        while (true)
        {
            if (Spans.FirstOrDefault(span => span.Trace == trace && span.Name == name) is { } found)
                return found;
            if (limit.IsCancellationRequested)
                throw new TimeoutException($"No span `{name}` of trace {trace} came; there were: {string.Join("; ", Spans.Select(span => $"{span.Name} {span.Trace}"))}");
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static async Task<byte[]> ReadAsync(HttpRequest request)
    {
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body);
        return body.ToArray();
    }

    private void Keep(string signal, byte[] body, string? key)
    {
        if (key is not null)
            Keys[key] = true;
        foreach (var resource in Export.Parser.ParseFrom(body).Resources)
        {
            var process = resource.Resource.Attributes.First(static attribute => attribute.Key == "process.pid").Value.IntValue;
            foreach (var record in resource.Scopes.SelectMany(static scope => scope.Records))
            {
                if (signal is "traces" or "trace")
                    Spans.Enqueue(ToSpan(Span.Parser.ParseFrom(record), process));
                else if (signal is "metrics" && Metric.Parser.ParseFrom(record) is { } metric)
                    Metrics[metric.Name] = metric.Unit;
                else if (signal is "logs" && LogRecord.Parser.ParseFrom(record) is { } line)
                    Logs.Enqueue((Hex(line.TraceId), line.Body?.StringValue ?? ""));
            }
        }
    }

    private static ArrivedSpan ToSpan(Span span, long process) => new(
        span.Name, Hex(span.TraceId), Hex(span.SpanId), Hex(span.ParentSpanId), process,
        span.Attributes.ToDictionary(static tag => tag.Key, static tag => tag.Value.ValueCase == AnyValue.ValueOneofCase.StringValue ? tag.Value.StringValue : tag.Value.ToString()));

    private static string Hex(Google.Protobuf.ByteString bytes) => Convert.ToHexStringLower(bytes.Span);
}
