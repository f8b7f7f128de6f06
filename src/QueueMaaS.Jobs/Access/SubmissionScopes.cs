using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Access;

/// <summary>What a caller needs beside the right to submit: whoever hands in a job that moves an alias or opens a drift monitor does so himself, as by the routes that do.</summary>
public static class SubmissionScopes
{
    /// <param name="submission">What is handed in.</param>
    /// <param name="scopes">What its caller may do; null: it comes from where nobody is asked, such as the bus.</param>
    /// <exception cref="ProblemException"><c>scope_missing</c>.</exception>
    public static void Require(JobSubmission submission, IReadOnlyCollection<string>? scopes)
    {
        ArgumentNullException.ThrowIfNull(submission);
        if (scopes is null || scopes.Contains(AccessScopes.Models) || ChangeOf(submission) is not { } change)
            return;
        throw new ProblemException(
            ProblemCodes.ScopeMissing,
            $"{change.What} needs a caller with the scope `{AccessScopes.Models}` beside `{AccessScopes.Submit}`; this one has {string.Join(", ", scopes.Select(static scope => $"`{scope}`"))}. Submit it with a key that has both{change.Or}.",
            ("wanted", (string[])[AccessScopes.Models]), ("scopes", scopes), ("path", change.Path));
    }

    private static (string What, string Path, string Or)? ChangeOf(JobSubmission submission) => submission.Kind switch
    {
        JobKind.Promotion => ("A job of the kind `promotion` points an alias at a version, which", "kind", ""),
        JobKind.Baseline => ("A job of the kind `baseline` opens a version's drift monitor, which", "kind", ""),
        JobKind.Training => Of(submission.Input, "input"),
        JobKind.Sweep => IsReference(submission.Input) ? Unknown("input") : Member(submission.Input, "training").Select(static training => Of(training, "input.training")).FirstOrDefault(static change => change is not null),
        _ => null,
    };

    private static (string What, string Path, string Or)? Of(JsonElement training, string path)
    {
        // Another job's output would be put in its place later, with whatever it says.
        if (IsReference(training))
            return Unknown(path);
        if (Says(training, "deploy"))
            return ("A training with `deploy` points an alias at the new version, which", $"{path}.deploy", ", or leave `deploy` out");
        return Says(training, "monitor") ? ("A training with `monitor` opens a drift monitor of the new version, which", $"{path}.monitor", ", or leave `monitor` out") : null;
    }

    private static (string What, string Path, string Or) Unknown(string path) => ($"`{path}` is the output of another job, which may have a `deploy` or a `monitor` and so", path, ", or refer to parts of it");

    private static bool Says(JsonElement training, string name) => Member(training, name).Any(static value => value.ValueKind != JsonValueKind.Null);

    private static bool IsReference(JsonElement element) => element.ValueKind == JsonValueKind.Object && element.TryGetProperty("$output", out _);

    /// <summary>As the reader of inputs finds it: however it is written.</summary>
    private static IEnumerable<JsonElement> Member(JsonElement container, string name) => container.ValueKind == JsonValueKind.Object
        ? container.EnumerateObject().Where(member => string.Equals(member.Name, name, StringComparison.OrdinalIgnoreCase)).Select(static member => member.Value)
        : [];
}
