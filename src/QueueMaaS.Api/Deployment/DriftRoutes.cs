using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Options;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Hosting;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Api.Deployment;

/// <summary>Drift monitors of versions.</summary>
internal static class DriftRoutes
{
    private const int MaxBodyBytes = 1 << 16;

    public static void MapDrift(this IEndpointRouteBuilder routes)
    {
        var drift = routes.MapGroup("/v1/models/{reference}/drift").WithTags("Models").WithScopes([AccessScopes.Read], [AccessScopes.Models]);
        drift.MapPut("", StartAsync).WithAudit("model.monitor").Accepts<DriftRequest>("application/json").Produces<Job>(StatusCodes.Status202Accepted).Produces<Job>()
            .WithSummary("Watch whether what a version serves stays like its training data").WithDescription("Makes a job of the kind `baseline`, which summarises the data and opens the monitor. `Prefer: wait=N` waits for it. A monitor that the version has is replaced.")
            .WithExample("trained here", """{}""").WithExample("from elsewhere", """{"dataset":"animals@2","split":"train","settings":{"threshold":0.2,"windowSeconds":3600,"minRows":500}}""");
        drift.MapGet("", GetAsync).Produces<DriftMonitor>().WithSummary("How far what a version serves is from its training data, feature by feature");
        drift.MapDelete("", StopAsync).WithAudit("model.monitor.stop").Produces(StatusCodes.Status204NoContent).WithSummary("End a version's drift monitor");
    }

    private static async Task<IResult> StartAsync(
        Caller caller, string reference, HttpRequest request, IModelCatalog models, JobSubmitter submitter, JobWaiter waiter, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        var asked = SubmissionReader.ReadBody<DriftRequest>(await Requests.ReadBodyAsync(request, MaxBodyBytes, cancellationToken));
        // Before it is passed on as a job's input: what no double can hold could not be written again.
        DriftSettingsCheck.Check(asked.Settings, "settings");
        var version = await models.RequireAsync(caller.Tenant, reference, cancellationToken);
        var input = new BaselineInput { Model = $"{version.Name}@{version.Version}", Dataset = asked.Dataset, Split = asked.Split, Target = asked.Target, MaxRows = asked.MaxRows, Settings = asked.Settings };
        var outcome = await submitter.SubmitAsync(new JobSubmission { Kind = JobKind.Baseline, Input = JsonSerializer.SerializeToElement(input, QueueMaaSJson.Relaxed) }, new SubmissionOrigin(caller.Tenant), cancellationToken);
        return await PromotionRoutes.AnswerAsync(caller, request, outcome.Job, waiter, options.Value, cancellationToken);
    }

    private static async Task<DriftMonitor> GetAsync(Caller caller, string reference, IModelCatalog models, DriftMonitors monitors, CancellationToken cancellationToken) =>
        await monitors.ShowAsync(await RequireAsync(caller, reference, models, monitors, cancellationToken), cancellationToken);

    private static async Task<IResult> StopAsync(Caller caller, string reference, IModelCatalog models, DriftMonitors monitors, CancellationToken cancellationToken)
    {
        // It may be judged at the same time; then it is read anew.
        while (!await monitors.EndAsync(await RequireAsync(caller, reference, models, monitors, cancellationToken), cancellationToken))
            cancellationToken.ThrowIfCancellationRequested();
        return Results.NoContent();
    }

    private static async Task<ModelWatch> RequireAsync(Caller caller, string reference, IModelCatalog models, DriftMonitors monitors, CancellationToken cancellationToken)
    {
        var version = await models.RequireAsync(caller.Tenant, reference, cancellationToken);
        return await monitors.FindAsync(caller.Tenant, version.Name, version.Version, cancellationToken)
            ?? throw new ProblemException(ProblemCodes.MonitorNotFound, $"`{version.Name}@{version.Version}` has no drift monitor. PUT /v1/models/{version.Name}@{version.Version}/drift opens one.", ("model", $"{version.Name}@{version.Version}"));
    }
}
