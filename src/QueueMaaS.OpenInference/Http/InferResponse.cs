using System.Buffers;
using System.Globalization;
using System.IO.Compression;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QueueMaaS.Inference;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.OpenInference.Protocol;

namespace QueueMaaS.OpenInference.Http;

/// <summary>Writes an answer: JSON, and behind it the tensors that are wanted in binary.</summary>
internal static class InferResponse
{
    // Smaller answers would take longer to compress than to send.
    private const int WorthCompressing = 1024;

    /// <exception cref="Contracts.ProblemException"><c>answer_too_large</c>: its JSON has more than <paramref name="mostText"/> bytes. Nothing was sent then.</exception>
    public static async Task WriteAsync(HttpContext http, ServedModel model, InferRequest request, BatchResponse response, long mostText)
    {
        var outputs = ServedModels.Select(model, request, response).ToArray();
        var body = new AnswerBuffer(mostText + outputs.Where(static output => output.Binary).Sum(static output => (long)BinarySize(output.Tensor)), expected: 1024);
        WriteJson(body, model, request, response.Receipt, outputs);
        if (outputs.Any(static output => output.Binary))
        {
            http.Response.Headers[InferRequestReader.LengthHeader] = body.Written.Length.ToString(CultureInfo.InvariantCulture);
            http.Response.ContentType = "application/octet-stream";
            foreach (var (tensor, binary) in outputs)
            {
                if (binary)
                    WriteBinary(body, tensor);
            }
        }
        else
        {
            http.Response.ContentType = "application/json";
        }

        await SendAsync(http, body.Written);
    }

    private static void WriteJson(AnswerBuffer body, ServedModel model, InferRequest request, Contracts.BatchReceipt receipt, (TensorBuffer Tensor, bool Binary)[] outputs)
    {
        using var json = new Utf8JsonWriter(body, new JsonWriterOptions { SkipValidation = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        json.WriteStartObject();
        if (request.Id is { } id)
            json.WriteString("id", id);
        json.WriteString("model_name", model.Name);
        json.WriteString("model_version", model.Version.ToString(CultureInfo.InvariantCulture));
        json.WriteStartObject("parameters");
        json.WriteNumber("batch_size", receipt.Size);
        json.WriteString("closed_because", receipt.ClosedBecause);
        json.WriteNumber("queued_ms", receipt.QueuedMs);
        json.WriteNumber("compute_ms", receipt.ComputeMs);
        json.WriteBoolean("shared", receipt.Shared);
        json.WriteBoolean("cached", receipt.Cached);
        json.WriteString("model_hash", model.Artifact);
        json.WriteEndObject();
        json.WriteStartArray("outputs");
        foreach (var (tensor, binary) in outputs)
            WriteOutput(json, tensor, binary);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteOutput(Utf8JsonWriter json, TensorBuffer tensor, bool binary)
    {
        json.WriteStartObject();
        json.WriteString("name", tensor.Name);
        json.WriteString("datatype", tensor.Datatype.Name);
        json.WriteStartArray("shape");
        foreach (var size in tensor.Shape)
            json.WriteNumberValue(size);
        json.WriteEndArray();
        if (binary)
        {
            json.WriteStartObject("parameters");
            json.WriteNumber("binary_data_size", BinarySize(tensor));
            json.WriteEndObject();
        }
        else
        {
            json.WriteStartArray("data");
            TensorWriter.WriteValues(json, tensor);
            json.WriteEndArray();
        }

        json.WriteEndObject();
    }

    private static int BinarySize(TensorBuffer tensor) => tensor.Datatype.IsText ? TextTensor.Size(tensor) : tensor.Bytes.Length;

    private static void WriteBinary(AnswerBuffer body, TensorBuffer tensor)
    {
        if (!tensor.Datatype.IsText)
        {
            body.Write(tensor.Bytes.Span);
            return;
        }

        var size = TextTensor.Size(tensor);
        TextTensor.Write(tensor, body.GetSpan(size));
        body.Advance(size);
    }

    private static async Task SendAsync(HttpContext http, ReadOnlyMemory<byte> body)
    {
        var encoding = body.Length < WorthCompressing ? null : Encoding(http.Request.Headers.AcceptEncoding.ToString());
        if (encoding is null)
        {
            http.Response.ContentLength = body.Length;
            await http.Response.Body.WriteAsync(body, http.RequestAborted);
            return;
        }

        http.Response.Headers.ContentEncoding = encoding;
        http.Response.Headers.Vary = "Accept-Encoding";
        await using Stream compressed = encoding == "gzip"
            ? new GZipStream(http.Response.Body, CompressionLevel.Fastest, leaveOpen: true)
            : new ZLibStream(http.Response.Body, CompressionLevel.Fastest, leaveOpen: true);
        await compressed.WriteAsync(body, http.RequestAborted);
    }

    private static string? Encoding(string accepted)
    {
        foreach (var part in accepted.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var pieces = part.Split(';', StringSplitOptions.TrimEntries);
            var refused = pieces.Skip(1).Any(static piece => piece is "q=0" or "q=0.0");
            if (!refused && pieces[0].ToLowerInvariant() is "gzip" or "deflate")
                return pieces[0].ToLowerInvariant();
        }

        return null;
    }
}
