using System.Buffers;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation.Answers;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.BatchJobs.Outputs;

/// <summary>Writes the results of a chunk in the form that its job asks for.</summary>
internal abstract class PartWriter
{
    /// <summary>Tables: names of the columns, once an item was written.</summary>
    public virtual IReadOnlyList<string>? Columns => null;

    /// <summary>Arrays: the datatype, once an item was written.</summary>
    public virtual string? Datatype => null;

    /// <summary>Arrays: the shape of one entry, once an item was written.</summary>
    public virtual IReadOnlyList<long>? EntryShape => null;

    /// <summary>Writes an item that succeeded; answers why it cannot be written, where it cannot.</summary>
    public abstract Problem? Add(in ItemResult result, PipelineAnswers answers);

    /// <summary>An item failed: forms that have a place for each item keep it free.</summary>
    public virtual void Skip()
    {
    }

    /// <summary>Writes what is left.</summary>
    public abstract Task FinishAsync(CancellationToken cancellationToken);

    /// <summary>The writer of a form.</summary>
    public static PartWriter Create(BatchInput input, ServedModel model, Stream target) => input.Output switch
    {
        BatchOutputFormat.Csv => new CsvPart(input, target),
        BatchOutputFormat.Parquet => new ParquetPart(input, target),
        BatchOutputFormat.Npy => new NpyPart(target),
        _ when input.Format == BatchFormat.OpenAi => new OpenAiPart(model, target),
        _ => new JsonLinesPart(target),
    };
}

/// <summary>One JSON object per item.</summary>
internal sealed class JsonLinesPart(Stream target) : PartWriter
{
    private readonly JsonLineWriter _lines = new(target);

    public override Problem? Add(in ItemResult result, PipelineAnswers answers)
    {
        var json = _lines.Begin();
        json.WriteString("id"u8, result.Item.Id);
        if (result.Item.Label is { } label)
            json.WriteString("label"u8, label);
        WriteAnswers(json, answers);
        if (answers.IsEmpty || result.Request is not { FromPipeline: true })
            WriteOutputs(json, result.Outputs!);
        _lines.End();
        return null;
    }

    public override Task FinishAsync(CancellationToken cancellationToken) => _lines.FlushAsync(cancellationToken);

    internal static void WriteAnswers(Utf8JsonWriter json, PipelineAnswers answers)
    {
        Write("labels", answers.Labels);
        Write("detections", answers.Detections);
        Write("values", answers.Values);
        Write("embeddings", answers.Embeddings);

        void Write<T>(string name, T? answer) where T : class
        {
            if (answer is null)
                return;
            json.WritePropertyName(name);
            JsonSerializer.Serialize(json, answer, QueueMaaSJson.Relaxed);
        }
    }

    internal static void WriteOutputs(Utf8JsonWriter json, IReadOnlyList<TensorBuffer> outputs)
    {
        json.WriteStartArray("outputs"u8);
        foreach (var output in outputs)
        {
            json.WriteStartObject();
            json.WriteString("name"u8, output.Name);
            json.WriteStartArray("shape"u8);
            foreach (var size in output.Shape)
                json.WriteNumberValue(size);
            json.WriteEndArray();
            json.WriteString("datatype"u8, output.Datatype.Name);
            json.WriteStartArray("data"u8);
            TensorWriter.WriteValues(json, output);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}

/// <summary>One response per item, as OpenAI's batch output files have them.</summary>
internal sealed class OpenAiPart(ServedModel model, Stream target) : PartWriter
{
    private readonly JsonLineWriter _lines = new(target);

    public override Problem? Add(in ItemResult result, PipelineAnswers answers)
    {
        var json = _lines.Begin();
        json.WriteString("id"u8, $"batch_req_{result.Item.Number}");
        json.WriteString("custom_id"u8, result.Item.Id);
        json.WriteStartObject("response"u8);
        json.WriteNumber("status_code"u8, 200);
        json.WriteString("request_id"u8, $"req_{result.Item.Number}");
        json.WriteStartObject("body"u8);
        if (answers.Embeddings is { } embeddings)
            WriteEmbeddings(json, embeddings);
        else
            WriteInference(json, result, answers);
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteNull("error"u8);
        _lines.End();
        return null;
    }

    public override Task FinishAsync(CancellationToken cancellationToken) => _lines.FlushAsync(cancellationToken);

    private void WriteInference(Utf8JsonWriter json, in ItemResult result, PipelineAnswers answers)
    {
        json.WriteString("model"u8, model.Name);
        json.WriteNumber("version"u8, model.Version);
        JsonLinesPart.WriteAnswers(json, answers);
        if (answers.IsEmpty || result.Request is not { FromPipeline: true })
            JsonLinesPart.WriteOutputs(json, result.Outputs!);
    }

    private void WriteEmbeddings(Utf8JsonWriter json, IReadOnlyList<IReadOnlyList<double>> embeddings)
    {
        json.WriteString("object"u8, "list");
        json.WriteString("model"u8, model.Name);
        json.WriteStartArray("data"u8);
        foreach (var (index, embedding) in embeddings.Index())
        {
            json.WriteStartObject();
            json.WriteString("object"u8, "embedding");
            json.WriteNumber("index"u8, index);
            json.WriteStartArray("embedding"u8);
            foreach (var value in embedding)
                json.WriteNumberValue(value);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}

/// <summary>Writes JSON objects one to a line.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "The writer holds nothing but a buffer of ours.")]
internal sealed class JsonLineWriter
{
    private const int WriteAt = 1 << 16;
    private readonly Stream _target;
    private readonly ArrayBufferWriter<byte> _buffer = new(WriteAt * 2);
    private readonly Utf8JsonWriter _json;

    public JsonLineWriter(Stream target)
    {
        _target = target;
        _json = new(_buffer, new JsonWriterOptions { SkipValidation = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
    }

    /// <summary>Opens the next object.</summary>
    public Utf8JsonWriter Begin()
    {
        _json.WriteStartObject();
        return _json;
    }

    /// <summary>Closes it.</summary>
    public void End()
    {
        _json.WriteEndObject();
        _json.Flush();
        _json.Reset();
        _buffer.Write("\n"u8);
        if (_buffer.WrittenCount >= WriteAt)
            Write();
    }

    public Task FlushAsync(CancellationToken cancellationToken)
    {
        Write();
        return _target.FlushAsync(cancellationToken);
    }

    private void Write()
    {
        _target.Write(_buffer.WrittenSpan);
        _buffer.ResetWrittenCount();
    }
}
