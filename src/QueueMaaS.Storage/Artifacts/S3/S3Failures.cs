using System.Net;
using System.Security.Authentication;
using Amazon.Runtime;
using Amazon.S3;
using QueueMaaS.Contracts;

namespace QueueMaaS.Storage.Artifacts.S3;

/// <summary>Says what is wrong with the storage: to operators with the setting, to clients without.</summary>
public static class S3Failures
{
    /// <summary>What was thrown because of the storage or the way to it, and not because of us.</summary>
    public static bool IsOfStorage(Exception exception) => exception is AmazonServiceException or AmazonClientException or HttpRequestException or TaskCanceledException or TimeoutException or HttpIOException or AuthenticationException;

    /// <summary>True where the storage has answered, and refused.</summary>
    public static bool IsAnswer(Exception exception) => exception is AmazonServiceException answer && (int)answer.StatusCode >= 300;

    /// <summary>True where the object is not there; a missing bucket is another matter.</summary>
    public static bool IsMissing(Exception exception) => exception is AmazonS3Exception { StatusCode: HttpStatusCode.NotFound, ErrorCode: not "NoSuchBucket" };

    /// <summary>What is wrong and which setting to look at, without an address or a secret.</summary>
    public static string Reason(Exception exception)
    {
        ArgumentNullException.ThrowIfNull(exception);
        if (IsAnswer(exception) && exception is AmazonServiceException answer)
        {
            return answer.ErrorCode switch
            {
                "NoSuchBucket" => "the bucket that S3:Bucket names does not exist there. Make it, or correct S3:Bucket and S3:Region",
                "InvalidAccessKeyId" => "it does not know the key of S3:AccessKey",
                "SignatureDoesNotMatch" => "it refuses the signature: S3:SecretKey does not belong to S3:AccessKey, or S3:Region is another one than the storage's",
                "RequestTimeTooSkewed" => "this machine's clock is too far from the storage's. Synchronise it",
                "PermanentRedirect" or "AuthorizationHeaderMalformed" => "the bucket lies in another region than S3:Region",
                _ when answer.StatusCode is HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized => "it refuses this service's key (S3:AccessKey). It must be allowed to list the bucket, and to get, put and delete objects and abort uploads in it",
                _ when answer.StatusCode is HttpStatusCode.NotFound => "what was asked for is not there. See S3:Bucket and S3:Endpoint",
                _ => $"it answers {(int)answer.StatusCode}{(answer.ErrorCode is { Length: > 0 } code ? $" ({code})" : "")}",
            };
        }

        return Find<AuthenticationException>(exception) is { } tls ? $"its certificate is not trusted ({tls.Message.TrimEnd('.')}). See Tls:AuthorityFile"
            : exception is AmazonClientException && exception.Message.Contains("credentials", StringComparison.OrdinalIgnoreCase) ? "no key was found to sign with. Set S3:AccessKey and S3:SecretKey, or give the pod or machine a role"
            : Find<HttpRequestException>(exception) is { HttpRequestError: HttpRequestError.NameResolutionError } ? "the host of S3:Endpoint cannot be resolved"
            : exception is TaskCanceledException or TimeoutException || Find<TimeoutException>(exception) is not null ? "it does not answer in time"
            : "it cannot be reached, or the connection broke. See S3:Endpoint";
    }

    /// <summary>What clients and jobs are told: the work waits, and a person has to look.</summary>
    public static ProblemException Of(Exception exception) => new(
        new Problem(ProblemCodes.ArtifactStorageUnavailable, "The storage of artifacts cannot be used at the moment; its operator finds the cause in /health/ready under `artifacts`. Nothing was lost: try again later."), exception)
    {
        IsTransient = true,
    };

    /// <summary>Runs a piece of work with the storage.</summary>
    /// <exception cref="ProblemException"><c>artifact_storage_unavailable</c>.</exception>
    public static async Task<T> GuardAsync<T>(Func<Task<T>> work, CancellationToken cancellationToken)
    {
        try
        {
            return await work();
        }
        catch (Exception exception) when (IsOfStorage(exception) && !cancellationToken.IsCancellationRequested)
        {
            throw Of(exception);
        }
    }

    private static T? Find<T>(Exception? exception) where T : Exception
    {
        while (exception is not (null or T))
            exception = exception.InnerException;
        return (T?)exception;
    }
}
