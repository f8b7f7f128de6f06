using System.Text.Json;
using System.Text.Json.Serialization;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Api.OpenAi;

/// <summary>JSON as OpenAI's clients read and write it.</summary>
internal static class OpenAiJson
{
    public static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.Never,
        RespectRequiredConstructorParameters = true,
    };
}

/// <summary>A file.</summary>
internal sealed record OpenAiFile(string Id, long Bytes, long CreatedAt, string Filename, string Purpose)
{
    public string Object { get; } = "file";
    public string Status { get; } = "processed";

    public static OpenAiFile Of(StoredFile file) => new(file.Id, file.Bytes, file.CreatedAt.ToUnixTimeSeconds(), file.Name, file.Purpose);
}

/// <summary>A list, with where to go on.</summary>
internal sealed record OpenAiList<T>(IReadOnlyList<T> Data, string? FirstId, string? LastId, bool HasMore)
{
    public string Object { get; } = "list";
}

/// <summary>What a client asks for when it creates a batch.</summary>
internal sealed record OpenAiBatchRequest
{
    public required string InputFileId { get; init; }
    public required string Endpoint { get; init; }
    public required string CompletionWindow { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}

/// <summary>A batch.</summary>
internal sealed record OpenAiBatch
{
    public required string Id { get; init; }
    public string Object { get; } = "batch";
    public required string Endpoint { get; init; }
    public OpenAiErrors? Errors { get; init; }
    public required string InputFileId { get; init; }
    public required string CompletionWindow { get; init; }
    public required string Status { get; init; }
    public string? OutputFileId { get; init; }
    public string? ErrorFileId { get; init; }
    public required long CreatedAt { get; init; }
    public long? InProgressAt { get; init; }
    public long? ExpiresAt { get; init; }
    public long? FinalizingAt { get; init; }
    public long? CompletedAt { get; init; }
    public long? FailedAt { get; init; }
    public long? ExpiredAt { get; init; }
    public long? CancellingAt { get; init; }
    public long? CancelledAt { get; init; }
    public required OpenAiCounts RequestCounts { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}

/// <summary>How many requests are done.</summary>
internal sealed record OpenAiCounts(long Total, long Completed, long Failed);

/// <summary>Why a batch failed.</summary>
internal sealed record OpenAiErrors(IReadOnlyList<OpenAiFault> Data)
{
    public string Object { get; } = "list";
}

/// <summary>A fault of a batch's file.</summary>
internal sealed record OpenAiFault(string Code, string Message, string? Param, long? Line)
{
    public static OpenAiFault Of(Problem problem) => new(problem.Code, problem.Message, null, problem.Details?.GetValueOrDefault("line") is { ValueKind: JsonValueKind.Number } line ? line.GetInt64() : null);
}

/// <summary>An error as OpenAI's clients read it.</summary>
internal sealed record OpenAiError(OpenAiErrorBody Error);

/// <summary>What is wrong.</summary>
internal sealed record OpenAiErrorBody(string Message, string Type, string? Param, string Code);
