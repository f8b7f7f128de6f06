using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Unit.Tests;

public sealed class WebhookTests
{
    private const string Body = """{"test": 2432232314}""";
    private static readonly DateTimeOffset At = DateTimeOffset.FromUnixTimeSeconds(1_614_265_330);

    [Fact]
    public void The_signature_is_the_one_of_the_standards_own_example() =>
        WebhookSignature.Sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", At, Body)
            .ShouldBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");

    [Fact]
    public void A_changed_body_an_old_timestamp_and_another_secret_are_refused()
    {
        var secret = WebhookSignature.NewSecret();
        var signature = WebhookSignature.Sign(secret, "msg_1", At, Body);
        WebhookSignature.Verify(secret, "msg_1", "1614265330", $"v1,bm90IGl0 {signature}", Body, At).ShouldBeTrue();
        WebhookSignature.Verify(secret, "msg_1", "1614265330", signature, Body + " ", At).ShouldBeFalse();
        WebhookSignature.Verify(secret, "msg_1", "1614265330", signature, Body, At.AddMinutes(6)).ShouldBeFalse();
        WebhookSignature.Verify(WebhookSignature.NewSecret(), "msg_1", "1614265330", signature, Body, At).ShouldBeFalse();
        WebhookSignature.Verify(secret, "msg_1", "99999999999999999", signature, Body, At).ShouldBeFalse();
    }

    [Theory]
    [InlineData("http://127.0.0.1/h")]
    [InlineData("http://localhost:9/h")]
    [InlineData("http://10.1.2.3/h")]
    [InlineData("http://169.254.169.254/latest/meta-data")]
    [InlineData("http://[::1]/h")]
    [InlineData("http://[::ffff:192.168.0.1]/h")]
    public void A_private_target_is_refused_unless_allowed(string url)
    {
        var target = new WebhookTarget { Url = url, Secret = WebhookSignature.NewSecret() };
        Should.Throw<ProblemException>(() => Targets(allowPrivate: false).Check(target)).Problem.Code.ShouldBe(ProblemCodes.WebhookTargetRefused);
        Should.NotThrow(() => Targets(allowPrivate: true).Check(target));
    }

    [Theory]
    [InlineData("ftp://example.org/h")]
    [InlineData("/h")]
    [InlineData("https://user:password@example.org/h")]
    public void A_target_that_is_no_plain_web_address_is_refused(string url) =>
        Should.Throw<ProblemException>(() => Targets(allowPrivate: true).Check(new WebhookTarget { Url = url, Secret = WebhookSignature.NewSecret() })).Problem.Code.ShouldBe(ProblemCodes.InvalidValue);

    private static WebhookTargets Targets(bool allowPrivate) => new(Options.Create(new WebhookOptions { AllowPrivateTargets = allowPrivate }));
}
