using System.Text;
using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Unit.Tests;

/// <summary>What is written by hand for speed is the same as what the serialiser writes; and smaller judgements of the life of a job.</summary>
public sealed class JobJsonTests
{
    [Fact]
    public void A_job_is_written_as_the_serialiser_writes_it()
    {
        var now = new DateTimeOffset(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero);
        var full = new JobRecord
        {
            Id = "a.b:c",
            Tenant = "t",
            Kind = JobKind.Inference,
            State = JobState.Succeeded,
            Sequence = 3,
            Attempt = 1,
            MaxAttempts = 3,
            Priority = 5,
            Model = "m@1 é\"",
            Input = """{"model":"m","inputs":[]}""",
            RequestHash = "h",
            CreatedAt = now,
            DueAt = now,
            RunAt = now,
            Deadline = now.AddHours(1),
            StartedAt = now.AddTicks(1),
            FinishedAt = now.AddTicks(1234567),
            Progress = """{"done":1}""",
            Output = """{"y":[1,2]}""",
            Error = """{"code":"x","message":"m","details":{"a":1}}""",
            Tags = """["one","two"]""",
            GroupId = "g",
            Rules = """{"after":["p"],"schedule":"s","replayOf":"r","timeoutSeconds":5}""",
        };
        var bare = new JobRecord { Id = "i", Tenant = "t", Kind = JobKind.Chunk, Input = "{}", RequestHash = "h", CreatedAt = now, DueAt = now };
        foreach (var job in (JobRecord[])[full, bare])
            Encoding.UTF8.GetString(JobJson.Write(job)).ShouldBe(JsonSerializer.Serialize(job.ToJob(), QueueMaaSJson.Relaxed));
    }

    [Theory]
    [InlineData("8.8.8.8", true)]
    [InlineData("2606:4700::1111", true)]
    [InlineData("127.0.0.1", false)]
    [InlineData("::ffff:10.0.0.1", false)]
    [InlineData("::127.0.0.1", false)]
    [InlineData("64:ff9b::a00:1", false)]
    [InlineData("64:ff9b::808:808", true)]
    [InlineData("64:ff9b:1::808:808", false)]
    [InlineData("2002:7f00:1::", false)]
    [InlineData("2002:808:808::1", true)]
    [InlineData("2001:0:4136:e378:8000:63bf:f5ff:fffe", false)]
    [InlineData("fe80::1", false)]
    [InlineData("fd00::1", false)]
    [InlineData("2001:db8::1", false)]
    [InlineData("2606::5efe:10.0.0.1", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("100.64.0.1", false)]
    public void Addresses_that_lead_into_private_networks_are_told_from_public_ones(string address, bool isPublic) =>
        PublicAddresses.IsPublic(System.Net.IPAddress.Parse(address)).ShouldBe(isPublic);

    [Fact]
    public void References_to_outputs_are_found_and_replaced_wherever_they_stand()
    {
        var input = """{"a":{"$output":"one","path":"/x/1"},"b":[{"$output":"two"},7],"c":"plain"}""";
        OutputReferences.Find(JsonElement.Parse(input)).ShouldBe(["one", "two"]);
        OutputReferences.Resolve(input, id => id == "one" ? """{"x":[1,{"y":2}]}""" : """["z"]""").ShouldBe("""{"a":{"y":2},"b":[["z"],7],"c":"plain"}""");
        Should.Throw<ProblemException>(() => OutputReferences.Resolve("""{"$output":"one","path":"/nope"}""", _ => "{}")).Problem.Code.ShouldBe(ProblemCodes.ReferenceInvalid);
    }
}
