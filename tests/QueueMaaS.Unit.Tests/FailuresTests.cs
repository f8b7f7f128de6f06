using Microsoft.Extensions.Time.Testing;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs;
using QueueMaaS.Jobs.Execution;
using QueueMaaS.Jobs.Life;

namespace QueueMaaS.Unit.Tests;

/// <summary>What a failed attempt is followed by.</summary>
public sealed class FailuresTests
{
    private readonly FakeTimeProvider _time = new();

    [Theory]
    [InlineData(ProblemCodes.StorageFull, JobState.Retrying)]
    [InlineData(ProblemCodes.QueueFull, JobState.Retrying)]
    [InlineData(ProblemCodes.ModelResting, JobState.Retrying)]
    [InlineData(ProblemCodes.InternalError, JobState.Failed)]
    public void A_job_on_its_last_attempt_waits_for_what_is_full_or_rests_and_fails_of_all_else(string code, JobState state) =>
        End(new Problem(code, "A test.")).State.ShouldBe(state);

    [Fact]
    public void A_job_is_tried_again_no_earlier_than_it_was_asked_to() =>
        End(Problem.Create(ProblemCodes.ModelResting, "A test.", ("retryAfterSeconds", 3000))).RetryAt.ShouldBe(_time.GetUtcNow() + TimeSpan.FromSeconds(3000));

    private AttemptEnd End(Problem problem) => new Failures(new JobOptions(), _time).End(
        new JobRecord { Id = "job", Tenant = "t", Kind = JobKind.Inference, Attempt = 3, MaxAttempts = 3, Input = "{}", RequestHash = "h" }, problem, FailureClass.Transient, "worker");
}
