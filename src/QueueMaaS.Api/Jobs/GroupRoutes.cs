using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Options;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs;
using QueueMaaS.Jobs.Access;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Jobs;

/// <summary>Groups of jobs with one completion event.</summary>
internal static class GroupRoutes
{
    private const int MostJobs = 1000;

    public static void MapGroups(this IEndpointRouteBuilder routes)
    {
        var groups = routes.MapGroup("/v1/groups").WithTags("Jobs").WithScopes([AccessScopes.Read], [AccessScopes.Submit]);
        groups.MapPost("", SubmitAsync).Accepts<GroupSubmission>("application/json").Produces<JobGroup>(StatusCodes.Status202Accepted).WithSummary("Submit a group of jobs")
            .WithDescription("Up to 1,000 jobs: all of them are accepted, or none. They may wait for each other (`after`). When the last of them has ended, `group.completed` goes out once, on the bus and to webhook endpoints. A repeat with the same id is the same group: jobs need ids of their own for that, or get `GROUP.1`, `GROUP.2` …");
        groups.MapGet("{id}", GetAsync).Produces<JobGroup>().WithSummary("Get a group with the states of its jobs");
    }

    private static async Task<IResult> SubmitAsync(Caller caller, HttpRequest request, CallerSubmissions submissions, IJobStore store, IOptions<JobOptions> options, CancellationToken cancellationToken)
    {
        var limit = options.Value.MaxSubmissionBytes;
        var submission = SubmissionReader.ReadBody<GroupSubmission>(await Requests.ReadBodyAsync(request, limit, cancellationToken));
        if (!Identifiers.IsJobId(submission.Id))
            throw new ProblemException(ProblemCodes.InvalidValue, "`id` must be 1 to 64 letters, digits or - _ . :", ("path", "id"));
        if (submission.Jobs.Count is 0 or > MostJobs)
            throw new ProblemException(ProblemCodes.InvalidValue, $"`jobs` must have 1 to {MostJobs} jobs. A larger group is made by submitting jobs that name it in `group`.", ("path", "jobs"));
        var membership = new GroupMembership(submission.Id, submission.Jobs.Count);
        var named = submission.Jobs.Select((job, index) => job with { Id = job.Id ?? $"{submission.Id}.{index + 1}", Group = membership }).ToArray();
        await submissions.SubmitGroupAsync(caller, named, cancellationToken);
        return Results.Accepted($"/v1/groups/{Uri.EscapeDataString(submission.Id)}", await store.FindGroupAsync(caller.Tenant, submission.Id, cancellationToken));
    }

    private static async Task<JobGroup> GetAsync(Caller caller, string id, HttpRequest request, IJobStore store, JobWaiter waiter, TimeProvider time, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        var wait = Requests.Wait(request, options.Value.MaxWait) ?? TimeSpan.Zero;
        var started = time.GetTimestamp();
        using var listener = waiter.Listen($"group:{id}");
        while (true)
        {
            var next = listener.Next();
            var group = await store.FindGroupAsync(caller.Tenant, id, cancellationToken) ?? throw new ProblemException(ProblemCodes.GroupNotFound, $"There is no group `{id}`.", ("id", id));
            var left = wait - time.GetElapsedTime(started);
            if (group.CompletedAt is not null || left <= TimeSpan.Zero)
                return group;
            await waiter.WaitAsync(next, left < TimeSpan.FromSeconds(1) ? left : TimeSpan.FromSeconds(1), cancellationToken);
        }
    }
}

/// <summary>A group of jobs as a producer hands it in.</summary>
/// <param name="Id">The group's id, of the same form as a job's.</param>
/// <param name="Jobs">Its jobs.</param>
internal sealed record GroupSubmission(string Id, IReadOnlyList<JobSubmission> Jobs);
