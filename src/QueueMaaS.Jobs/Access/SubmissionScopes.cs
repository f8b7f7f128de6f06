using System.Text.Json;
using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Access;

/// <summary>What a caller needs beside the right to submit: whoever hands in a job that moves an alias moves it, as by the routes that do.</summary>
public static class SubmissionScopes
{
    /// <param name="submission">What is handed in.</param>
    /// <param name="scopes">What its caller may do; null: it comes from where nobody is asked, such as the bus.</param>
    /// <exception cref="ProblemException"><c>scope_missing</c>.</exception>
    public static void Require(JobSubmission submission, IReadOnlyCollection<string>? scopes)
    {
        ArgumentNullException.ThrowIfNull(submission);
        if (scopes is null || scopes.Contains(AccessScopes.Models) || MoveOf(submission) is not { } move)
            return;
        throw new ProblemException(
            ProblemCodes.ScopeMissing,
            $"{move.What} needs a caller with the scope `{AccessScopes.Models}` beside `{AccessScopes.Submit}`; this one has {string.Join(", ", scopes.Select(static scope => $"`{scope}`"))}. Submit it with a key that has both{move.Or}.",
            ("wanted", (string[])[AccessScopes.Models]), ("scopes", scopes), ("path", move.Path));
    }

    private static (string What, string Path, string Or)? MoveOf(JobSubmission submission) => submission.Kind switch
    {
        JobKind.Promotion => ("A job of the kind `promotion` points an alias at a version, which", "kind", ""),
        JobKind.Training => Deploys(submission.Input, "input"),
        JobKind.Sweep => IsReference(submission.Input) ? Unknown("input") : Member(submission.Input, "training").Select(static training => Deploys(training, "input.training")).FirstOrDefault(static move => move is not null),
        _ => null,
    };

    private static (string What, string Path, string Or)? Deploys(JsonElement training, string path)
    {
        // Another job's output would be put in its place later, with whatever it says.
        if (IsReference(training))
            return Unknown(path);
        return Member(training, "deploy").Any(static deploy => deploy.ValueKind != JsonValueKind.Null) ? ("A training with `deploy` points an alias at the new version, which", $"{path}.deploy", ", or leave `deploy` out") : null;
    }

    private static (string What, string Path, string Or) Unknown(string path) => ($"`{path}` is the output of another job, which may have a `deploy` and so", path, ", or refer to parts of it");

    private static bool IsReference(JsonElement element) => element.ValueKind == JsonValueKind.Object && element.TryGetProperty("$output", out _);

    /// <summary>As the reader of inputs finds it: however it is written.</summary>
    private static IEnumerable<JsonElement> Member(JsonElement container, string name) => container.ValueKind == JsonValueKind.Object
        ? container.EnumerateObject().Where(member => string.Equals(member.Name, name, StringComparison.OrdinalIgnoreCase)).Select(static member => member.Value)
        : [];
}
