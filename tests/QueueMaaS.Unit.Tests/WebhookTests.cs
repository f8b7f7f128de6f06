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

    // The key is that of RFC 8032, 7.1, test 1.
    [Fact]
    public void A_signing_key_has_the_public_key_of_the_standards_test_vector_and_comes_in_both_forms()
    {
        var (seed, known) = (Convert.FromHexString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"), Convert.FromHexString("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"));
        var (alone, whole) = ($"whsk_{Convert.ToBase64String(seed)}", $"whsk_{Convert.ToBase64String([.. seed, .. known])}");

        WebhookSigningKey.PublicKeyOf(alone).ShouldBe($"whpk_{Convert.ToBase64String(known)}");
        WebhookSigningKey.PublicKeyOf(whole).ShouldBe($"whpk_{Convert.ToBase64String(known)}");
        // Ed25519 is deterministic, so both forms give one signature; it was computed with Node's crypto.
        WebhookSigningKey.Sign(alone, "msg_1", At, Body).ShouldBe(WebhookSigningKey.Sign(whole, "msg_1", At, Body));
        WebhookSigningKey.Sign(alone, "msg_1", At, Body).ShouldBe("v1a,9R51FvFauxjqIc6hSozSE339O2Fke3xc0nsxhGiPk/kZfMkkMQOlUEgS+zteZmB8WjIzSChY1/lZ0uvG/8M4Dg==");
    }

    [Fact]
    public void Keys_of_another_form_are_refused()
    {
        var key = WebhookSigningKey.New();
        WebhookSigningKey.IsKey(key).ShouldBeTrue();
        var bytes = Convert.FromBase64String(key[5..]);
        bytes[40] ^= 1;
        foreach (var wrong in (string?[])[null, "", "whsk_", "whsk_!", "whsk_c2hvcnQ=", key["whsk_".Length..], $"whsk_{Convert.ToBase64String(bytes)}", WebhookSignature.NewSecret()])
            WebhookSigningKey.IsKey(wrong).ShouldBeFalse(wrong);
    }

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
