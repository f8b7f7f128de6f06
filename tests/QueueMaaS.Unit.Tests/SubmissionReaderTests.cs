using System.Text;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Unit.Tests;

public sealed class SubmissionReaderTests
{
    [Fact]
    public void A_complete_submission_is_read()
    {
        var submission = Read("""{"id":"a-1","kind":"inference","input":{"model":"m"},"priority":7,"tags":["x"],"webhook":{"url":"https://example.org/h","events":["completed"]}}""");
        submission.Id.ShouldBe("a-1");
        submission.Kind.ShouldBe(JobKind.Inference);
        submission.Webhook!.Events.ShouldBe([WebhookEvent.Completed]);
    }

    [Theory]
    [InlineData("""{"kind":"inference","input":{},"prio":1}""", ProblemCodes.UnknownField, "prio")]
    [InlineData("""{"kind":"inference"}""", ProblemCodes.InvalidRequest, "input")]
    [InlineData("""{"kind":"dance","input":{}}""", ProblemCodes.InvalidValue, "kind")]
    [InlineData("""{"kind":"inference","input":{},"priority":"high"}""", ProblemCodes.InvalidValue, "priority")]
    [InlineData("""{"kind":0,"input":{}}""", ProblemCodes.InvalidValue, "kind")]
    [InlineData("{\"kind\":\n\"inference\",,}", ProblemCodes.InvalidRequest, "line 2")]
    [InlineData("null", ProblemCodes.InvalidRequest, "null")]
    [InlineData("", ProblemCodes.InvalidRequest, "is empty")]
    [InlineData("   ", ProblemCodes.InvalidRequest, "not valid JSON")]
    public void A_wrong_submission_is_refused_with_the_place(string json, string code, string place)
    {
        var problem = Should.Throw<ProblemException>(() => Read(json)).Problem;
        problem.Code.ShouldBe(code);
        problem.Message.ShouldContain(place);
    }

    [Fact]
    public void The_kinds_that_are_offered_are_those_that_a_producer_may_submit() =>
        Should.Throw<ProblemException>(() => Read("""{"kind":"dance","input":{}}""")).Problem.Message.ShouldNotContain("chunk");

    [Theory]
    [InlineData("""{"kind":"inference","input":{"model":"\ud800"}}""")]
    [InlineData("""{"kind":"inference","input":{"a\uDC00":1}}""")]
    [InlineData("""{"kind":"inference","input":{"model":"\ud83d x \ude00"}}""")]
    public void A_string_that_is_no_text_is_told_when_it_comes(string json)
    {
        var problem = Should.Throw<ProblemException>(() => Read(json)).Problem;
        problem.Code.ShouldBe(ProblemCodes.InvalidRequest);
        problem.Message.ShouldContain("has a string that is no text");
    }

    [Fact]
    public void Bytes_that_are_not_utf8_are_told_when_they_come() =>
        Should.Throw<ProblemException>(() => SubmissionReader.Read([.. """{"kind":"inference","input":{"model":"""u8, (byte)'"', 0xFF, .. "\"}}"u8], 1000)).Problem.Code.ShouldBe(ProblemCodes.InvalidRequest);

    [Fact]
    public void A_whole_surrogate_pair_is_text() => Read("""{"kind":"inference","input":{"model":"\ud83d\ude00"}}""").Input.GetProperty("model").GetString().ShouldBe("😀");

    // A long submission is read another way than a short one, and what is made of it must be the same.
    [Theory]
    [InlineData("""{"id":"a-1","kind":"inference","input":{"model":"m","data":[~]},"priority":7,"tags":["x"]}""")]
    [InlineData("""  {"input":{"model":"m","data":[~] , "input":{"kind":1}},"kind":"inference"}  """)]
    [InlineData("""{"Kind":"inference","Input":{"data":[~]}}""")]
    [InlineData("""{"kind":"inference","input":[~]}""")]
    [InlineData("""{"kind":"inference","input":null,"tags":["~"]}""")]
    [InlineData("""{"kind":"inference","input":{"data":[~]},"prio":1}""")]
    [InlineData("""{"kind":"inference","inputs":{"data":[~]}}""")]
    [InlineData("""{"input":{"data":[~]}}""")]
    [InlineData("""{"kind":"inference","input":{"data":[~]},"priority":"high"}""")]
    [InlineData("""{"kind":"inference","input":{"data":[~]},"input":{}}""")]
    [InlineData("""{"kind":"inference","input":{"data":[~]},"Input":{}}""")]
    [InlineData("""{"kind":"inference","input":{"data":[~],"a":{"b":1,"b":2}}}""")]
    [InlineData("""{"kind":"inference","input":{"data":[~,]}}""")]
    [InlineData("""{"kind":"inference","input":{"data":[~]}}x""")]
    [InlineData("""{"kind":"inference","input":{"data":[~]""")]
    [InlineData("""{"kind":"inference","input":{"data":[~]} /* no */}""")]
    [InlineData("""{"kind":"inference","input":{"data":[~,01]}}""")]
    [InlineData("""{"kind":"inference","input":{"data":[~],"a":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}}""")]
    [InlineData("""[~]""")]
    public void A_long_submission_is_read_as_a_short_one(string form)
    {
        var (text, longText) = (form.Replace("~", "1", StringComparison.Ordinal), form.Replace("~", string.Join(',', Enumerable.Range(1000, 1000)), StringComparison.Ordinal));
        var (shorter, longer) = (Outcome(text), Outcome(longText));
        if (shorter.Read is { } read)
        {
            longer.Read.ShouldNotBeNull(longer.Problem?.Message);
            longer.Read.Input.GetRawText().ShouldBe(read.Input.GetRawText().Replace("1]", $"{string.Join(',', Enumerable.Range(1000, 1000))}]", StringComparison.Ordinal));
            longer.Read.Kind.ShouldBe(read.Kind);
            (longer.Read.Id, longer.Read.Priority).ShouldBe((read.Id, read.Priority));
        }
        else
        {
            longer.Problem.ShouldNotBeNull();
            longer.Problem.Code.ShouldBe(shorter.Problem!.Code);
            // The place alone differs.
            longer.Problem.Message.Split(", byte")[0].ShouldBe(shorter.Problem.Message.Split(", byte")[0]);
        }

        static (JobSubmission? Read, Problem? Problem) Outcome(string json)
        {
            try
            {
                return (Read(json), null);
            }
            catch (ProblemException exception)
            {
                return (null, exception.Problem);
            }
        }
    }

    [Fact]
    public void A_submission_that_is_nested_too_deeply_is_told_how_deep_it_may_be()
    {
        var problem = Should.Throw<ProblemException>(() => Read($"{{\"kind\":\"inference\",\"input\":{{\"a\":{new string('[', 80)}1{new string(']', 80)}}}}}")).Problem;
        problem.Code.ShouldBe(ProblemCodes.InvalidRequest);
        problem.Message.ShouldContain("nested more than 64 levels deep");
    }

    [Theory]
    [InlineData(".")]
    [InlineData("..")]
    public void An_id_that_no_address_can_name_is_none(string id) => Identifiers.IsJobId(id).ShouldBeFalse();

    [Theory]
    [InlineData("""{"kind":"inference","kind":"training","input":{}}""", "kind")]
    [InlineData("""{"kind":"training","Kind":"training","input":{}}""", "kind")]
    [InlineData("""{"kind":"training","input":{"model":"m","dataset":"d","epochs":1,"epochs":2}}""", "epochs")]
    [InlineData("""{"kind":"training","input":{"model":"m","dataset":"d","epochs":1,"Epochs":2}}""", "epochs")]
    public void A_field_that_is_given_twice_is_refused(string json, string field)
    {
        var problem = Should.Throw<ProblemException>(() => SubmissionReader.ReadInput<TrainingInput>(Read(json).Input)).Problem;
        problem.Code.ShouldBe(ProblemCodes.InvalidRequest);
        problem.Message.ShouldContain($"has a field twice: `{field}`", Case.Insensitive);
        problem.Details!["path"].GetString()!.ShouldEndWith(field, Case.Insensitive);
    }

    [Theory]
    [InlineData("""{"search":{"method":"bayes"},"training":{}}""", "`search.method`", "one of `grid`, `random`, `asha`, `auto`.")]
    [InlineData("""{"search":7,"training":{}}""", "`search`", "an object.")]
    [InlineData("""{"concurrency":1.8,"search":{"method":"grid"},"training":{}}""", "`concurrency`", "a whole number.")]
    [InlineData("""{"concurrency":"many","search":{"method":"grid"},"training":{}}""", "`concurrency`", "a whole number.")]
    [InlineData("""{"maxFailedShare":"few","search":{"method":"grid"},"training":{}}""", "`maxFailedShare`", "a number.")]
    [InlineData("""{"metric":7,"search":{"method":"grid"},"training":{}}""", "`metric`", "a text.")]
    [InlineData("""{"keepCheckpoints":"no","search":{"method":"grid"},"training":{}}""", "`keepCheckpoints`", "true or false.")]
    [InlineData("""{"search":{"method":"grid","space":[1]},"training":{}}""", "`search.space`", "an object.")]
    [InlineData("""{"search":{"method":"grid","space":{"epochs":{"values":1}}},"training":{}}""", "`search.space.epochs.values`", "a list.")]
    public void A_value_of_the_wrong_type_is_told_what_it_must_be(string json, string place, string wanted)
    {
        var problem = Should.Throw<ProblemException>(() => SubmissionReader.ReadInput<SweepInput>(System.Text.Json.JsonElement.Parse(json))).Problem;
        problem.Code.ShouldBe(ProblemCodes.InvalidValue);
        problem.Message.ShouldBe($"{place} has a value of the wrong type or outside its choices: it must be {wanted}");
    }

    [Fact]
    public void A_submission_over_the_limit_is_refused_with_the_limit()
    {
        var problem = Should.Throw<ProblemException>(() => SubmissionReader.Read(new byte[101], 100)).Problem;
        problem.Code.ShouldBe(ProblemCodes.TooLarge);
        problem.Details!["limit"].GetInt32().ShouldBe(100);
    }

    private static JobSubmission Read(string json) => SubmissionReader.Read(Encoding.UTF8.GetBytes(json), 10_000);
}
