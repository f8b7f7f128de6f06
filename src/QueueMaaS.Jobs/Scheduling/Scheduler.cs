using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Jobs.Scheduling;

/// <summary>Submits the jobs of due schedules. The id of each is made of the schedule and the time, so that several processes, or one that died in between, make one job.</summary>
public sealed partial class Scheduler(IScheduleStore schedules, JobSubmitter submitter, IOptions<JobOptions> options, TimeProvider time, ILogger<Scheduler> logger) : BackgroundService
{
    private const int Group = 100;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.SweepEvery, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                foreach (var (tenant, schedule) in await schedules.DueAsync(time.GetUtcNow(), Group, stoppingToken))
                    await RunAsync(tenant, schedule, stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogFailed(logger, exception.Message);
            }
        }
    }

    private async Task RunAsync(string tenant, Schedule schedule, CancellationToken cancellationToken)
    {
        var (runs, next) = CronTimes.Due(schedule, time.GetUtcNow());
        var done = schedule with { NextAt = next, LastError = null };
        foreach (var moment in runs)
        {
            var id = JobId(tenant, schedule.Name, moment);
            try
            {
                await submitter.SubmitAsync(schedule.Job with { Id = id }, new SubmissionOrigin(tenant) { Schedule = schedule.Name }, cancellationToken);
                done = done with { LastAt = moment, LastJobId = id };
            }
            catch (ProblemException exception) when (exception.Problem.Code == ProblemCodes.IdempotencyConflict)
            {
                // Made already, before the schedule was changed.
                done = done with { LastAt = moment, LastJobId = id };
            }
            catch (ProblemException exception)
            {
                LogRefused(logger, schedule.Name, exception.Problem.Code, exception.Problem.Message);
                done = done with { LastAt = moment, LastJobId = null, LastError = $"{exception.Problem.Code}: {exception.Problem.Message}" };
            }
        }

        await schedules.AdvanceAsync(tenant, done, schedule.NextAt!.Value, cancellationToken);
    }

    private static string JobId(string tenant, string name, DateTimeOffset moment)
    {
        // Two tenants may use one name, and ids are everybody's.
        var whose = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{tenant}\n{name}")).AsSpan(0, 4));
        return $"{(name.Length > 32 ? name[..32] : name)}.{whose}.{moment.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture)}";
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Schedule {Name} made no job: {Code}: {Reason}")]
    private static partial void LogRefused(ILogger logger, string name, string code, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Schedules could not be looked at ({Reason}); they are looked at again")]
    private static partial void LogFailed(ILogger logger, string reason);
}
