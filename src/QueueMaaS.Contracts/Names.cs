using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace QueueMaaS.Contracts;

/// <summary><c>name</c>, <c>name@3</c> or <c>name@alias</c>.</summary>
/// <param name="Name">The model's or data set's name.</param>
/// <param name="Version">The version, where one is named.</param>
/// <param name="Alias">The alias, where one is named.</param>
public sealed record VersionReference(string Name, int? Version, string? Alias)
{
    /// <summary>Reads a reference; false where it is not of the documented form.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out VersionReference? reference)
    {
        reference = null;
        if (string.IsNullOrEmpty(text))
            return false;
        var at = text.IndexOf('@', StringComparison.Ordinal);
        var name = at < 0 ? text : text[..at];
        if (!Identifiers.IsName(name))
            return false;
        if (at < 0)
        {
            reference = new(name, null, null);
            return true;
        }

        var rest = text[(at + 1)..];
        if (int.TryParse(rest, NumberStyles.None, CultureInfo.InvariantCulture, out var version) && version > 0)
            reference = new(name, version, null);
        else if (Identifiers.IsName(rest))
            reference = new(name, null, rest);
        return reference is not null;
    }

    /// <inheritdoc/>
    public override string ToString() => Version is { } version ? $"{Name}@{version}" : Alias is { } alias ? $"{Name}@{alias}" : Name;
}

/// <summary>Which names are allowed.</summary>
public static class Identifiers
{
    /// <summary>Names of models and data sets: 1 to 64 of lower-case letters, digits and <c>- _ .</c>, beginning with a letter or digit.</summary>
    public static bool IsName([NotNullWhen(true)] string? text) =>
        text is { Length: > 0 and <= 64 } && text[0] is not ('-' or '_' or '.')
        && text.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-' or '_' or '.');

    /// <summary>Names of aliases: names that are not digits alone, since <c>x@4</c> means version 4 whatever aliases there are.</summary>
    public static bool IsAlias([NotNullWhen(true)] string? text) => IsName(text) && !text.All(char.IsAsciiDigit);

    /// <summary>What <see cref="IsAlias"/> asks for, in words that follow on "must be".</summary>
    public const string AliasRule = "1 to 64 of lower-case letters, digits and - _ . , beginning with a letter or digit, and not digits alone, which name a version";

    /// <summary>Job ids: 1 to 64 of letters, digits and <c>- _ . :</c>, and not <c>.</c> or <c>..</c>, which every client takes out of an address.</summary>
    public static bool IsJobId([NotNullWhen(true)] string? text) =>
        text is { Length: > 0 and <= 64 } and not ("." or "..") && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or ':');

    /// <summary>Splits of a data set as jobs name them: <c>train</c>, <c>test</c>, <c>val</c>, or <c>all</c> of it.</summary>
    public static bool IsSplit([NotNullWhen(true)] string? text) => text is "train" or "test" or "val" or "all";

    /// <summary>Artifact ids: <c>sha256:</c> and 64 lower-case hexadecimal digits.</summary>
    public static bool IsArtifactId([NotNullWhen(true)] string? text) =>
        text is { Length: 71 } && text.StartsWith("sha256:", StringComparison.Ordinal) && text.Skip(7).All(char.IsAsciiHexDigitLower);
}

/// <summary>The names a producer in any language needs on the broker.</summary>
public static class BusNames
{
    /// <summary>Publish a <see cref="JobSubmission"/> as JSON here (fanout exchange, durable; any routing key).</summary>
    public const string SubmitExchange = "queuemaas.submit";
    /// <summary>Every <see cref="JobEvent"/> and acceptance is published here (topic exchange, durable; routing key <c>job.{type}.{jobId}</c>, with <c>:</c> and <c>.</c> in the id written as <c>_</c>).</summary>
    public const string EventsExchange = "queuemaas.events";
    /// <summary>Submissions that cannot become a job end here, unchanged, with the headers <c>queuemaas-code</c> and <c>queuemaas-reason</c>.</summary>
    public const string UnprocessableQueue = "queuemaas.unprocessable";
    /// <summary>Header of an unprocessable message: the problem's code.</summary>
    public const string CodeHeader = "queuemaas-code";
    /// <summary>Header of a submission: whose job it is, where the service has several tenants. Default <c>default</c>.</summary>
    public const string TenantHeader = "queuemaas-tenant";
    /// <summary>Header of an unprocessable message: how many of its own headers are left out, where they are together larger than 64 KiB. <c>GET /v1/dead-letters/{id}</c> shows them all.</summary>
    public const string HeadersLeftOutHeader = "queuemaas-headers-left-out";
    /// <summary>Header of an unprocessable message: the problem's message.</summary>
    public const string ReasonHeader = "queuemaas-reason";
}

/// <summary>The answer to a submission over the bus, sent to its reply address when it names one.</summary>
/// <param name="JobId">The job's id.</param>
/// <param name="Accepted">True once the job's row is committed.</param>
/// <param name="Duplicate">True where the id was known already: this is the same job.</param>
/// <param name="Problem">Why it was refused, where it was.</param>
public sealed record SubmissionReply(string? JobId, bool Accepted, bool Duplicate, Problem? Problem);

/// <summary>The body of a webhook: thin, so that a receiver fetches what it needs.</summary>
/// <param name="Type"><c>job.started</c> or <c>job.completed</c>.</param>
/// <param name="Timestamp">When it happened.</param>
/// <param name="Data">Which job, and where its result is.</param>
public sealed record WebhookPayload(string Type, DateTimeOffset Timestamp, WebhookData Data);

/// <summary>The job a webhook speaks of.</summary>
/// <param name="JobId">The job's id.</param>
/// <param name="Kind">What it does.</param>
/// <param name="State">Its state at that moment.</param>
/// <param name="Sequence">The number of the event within the job; order by this.</param>
/// <param name="Attempt">The attempt.</param>
/// <param name="ResultUrl">Where to read the whole job.</param>
/// <param name="Error">Why it failed, where it did.</param>
public sealed record WebhookData(string JobId, JobKind Kind, JobState State, long Sequence, int Attempt, string? ResultUrl, Problem? Error)
{
    /// <summary>The worker's report, in <c>job.progress</c>; the line, in <c>job.log</c>.</summary>
    public System.Text.Json.JsonElement? Progress { get; init; }

    /// <summary>The result, where the endpoint asked for it and it is small enough; else read it at <see cref="ResultUrl"/>.</summary>
    public System.Text.Json.JsonElement? Output { get; init; }
}
