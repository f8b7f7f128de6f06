using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QueueMaaS.Contracts;

namespace QueueMaaS.OpenInference.Grpc;

/// <summary>Answers problems with gRPC's status codes; our own code goes beside it in the trailer <c>queuemaas-code</c>.</summary>
internal sealed partial class GrpcProblems(ILogger<GrpcProblems> logger) : Interceptor
{
    public const string CodeTrailer = "queuemaas-code";

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(request, context);
        }
        catch (Exception exception) when (exception is not RpcException)
        {
            throw Answer(exception, context);
        }
    }

    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(requestStream, responseStream, context);
        }
        catch (Exception exception) when (exception is not RpcException)
        {
            throw Answer(exception, context);
        }
    }

    /// <summary>What may be told of an error.</summary>
    public static Problem Tell(Exception exception) =>
        exception is ProblemException known ? known.Problem : new(ProblemCodes.InternalError, "Something went wrong on our side. The log has the cause.");

    private RpcException Answer(Exception exception, ServerCallContext context)
    {
        if (exception is OperationCanceledException && context.CancellationToken.IsCancellationRequested)
            return new(new Status(StatusCode.Cancelled, "The call was cancelled."));
        var problem = Tell(exception);
        if (problem.Code == ProblemCodes.InternalError)
            LogBroke(logger, exception, context.Method);
        return new(new Status(StatusOf(problem.Code), problem.Message), [new(CodeTrailer, problem.Code)]);
    }

    private static StatusCode StatusOf(string code) => code == ProblemCodes.DeadlineExceeded ? StatusCode.DeadlineExceeded : ProblemStatus.Of(code) switch
    {
        404 => StatusCode.NotFound,
        413 or 429 => StatusCode.ResourceExhausted,
        503 => StatusCode.Unavailable,
        500 => StatusCode.Internal,
        _ => StatusCode.InvalidArgument,
    };

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} failed")]
    private static partial void LogBroke(ILogger logger, Exception exception, string method);
}

/// <summary>One limit for both transports.</summary>
internal sealed class GrpcLimits(IOptions<OpenInferenceOptions> options) : IConfigureOptions<GrpcServiceOptions>
{
    public void Configure(GrpcServiceOptions grpc)
    {
        grpc.MaxReceiveMessageSize = options.Value.MaxRequestBytes;
        grpc.MaxSendMessageSize = null;
    }
}
