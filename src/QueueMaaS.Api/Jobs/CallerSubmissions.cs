using System.Text.Json;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Access;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Jobs;

/// <summary>Hands in what a caller submits: held to what the caller may do, and with its line in the audit trail where a route of its own for the same would have one.</summary>
internal sealed class CallerSubmissions(JobSubmitter submitter, AuditBook audit)
{
    // Whatever stands in a refused submission may be long.
    private const int MaxSubjectChars = 200;

    public async Task<AcceptOutcome> SubmitAsync(Caller caller, JobSubmission submission, string? idempotencyKey, CancellationToken cancellationToken)
    {
        var origin = new SubmissionOrigin(caller.Tenant) { IdempotencyKey = idempotencyKey, Scopes = caller.Scopes };
        if (submission.Kind != JobKind.Promotion)
            return await submitter.SubmitAsync(submission, origin, cancellationToken);
        return await RememberedAsync(caller, [submission], () => submitter.SubmitAsync(submission, origin, cancellationToken));
    }

    public async Task SubmitGroupAsync(Caller caller, IReadOnlyList<JobSubmission> jobs, CancellationToken cancellationToken)
    {
        await RememberedAsync(caller, [.. jobs.Where(job => job.Kind == JobKind.Promotion)], async () =>
        {
            await submitter.SubmitGroupAsync(jobs, new SubmissionOrigin(caller.Tenant) { Scopes = caller.Scopes }, cancellationToken);
            return true;
        });
    }

    private async Task<T> RememberedAsync<T>(Caller caller, JobSubmission[] promotions, Func<Task<T>> submit)
    {
        var outcome = ProblemCodes.InternalError;
        try
        {
            var accepted = await submit();
            outcome = "done";
            return accepted;
        }
        catch (ProblemException exception)
        {
            outcome = exception.Problem.Code;
            throw;
        }
        finally
        {
            // Of one who may not ask for it there is nothing to remember, as by the route.
            foreach (var promotion in outcome == ProblemCodes.ScopeMissing ? [] : promotions)
                await audit.RememberAsync(caller.Tenant, caller.Name, "model.promotion.request", SubjectOf(promotion.Input), outcome);
        }
    }

    private static string SubjectOf(JsonElement input)
    {
        var model = input.ValueKind == JsonValueKind.Object && input.TryGetProperty("model", out var named) && named.ValueKind == JsonValueKind.String ? named.GetString()! : "";
        return model.Length <= MaxSubjectChars ? model : model[..MaxSubjectChars];
    }
}
