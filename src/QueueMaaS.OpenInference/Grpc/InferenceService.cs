using System.Globalization;
using System.Threading.Channels;
using Grpc.Core;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using QueueMaaS.Contracts;
using QueueMaaS.Inference;
using QueueMaaS.Inference.Batching;
using QueueMaaS.OpenInference.Grpc.Messages;
using QueueMaaS.OpenInference.Http;
using QueueMaaS.OpenInference.Protocol;

namespace QueueMaaS.OpenInference.Grpc;

/// <summary><c>inference.GRPCInferenceService</c>.</summary>
[RequiresScope(AccessScopes.Submit)]
internal sealed class InferenceService(ServedModels models, HealthCheckService health) : GRPCInferenceService.GRPCInferenceServiceBase
{
    /// <summary>Requests of one stream computed at the same time; beyond it the stream is read no further.</summary>
    private const int MostInFlight = 256;

    [OpenToAll]
    public override Task<ServerLiveResponse> ServerLive(ServerLiveRequest request, ServerCallContext context) => Task.FromResult(new ServerLiveResponse { Live = true });

    [OpenToAll]
    public override async Task<ServerReadyResponse> ServerReady(ServerReadyRequest request, ServerCallContext context) =>
        new() { Ready = (await health.CheckHealthAsync(context.CancellationToken)).Status != HealthStatus.Unhealthy };

    public override async Task<ModelReadyResponse> ModelReady(ModelReadyRequest request, ServerCallContext context)
    {
        try
        {
            _ = await models.FindAsync(Tenant(context), request.Name, request.Version, context.CancellationToken);
            return new() { Ready = true };
        }
        catch (ProblemException exception) when (exception.Problem.Code == ProblemCodes.ModelNotFound)
        {
            return new() { Ready = false };
        }
    }

    public override Task<ServerMetadataResponse> ServerMetadata(ServerMetadataRequest request, ServerCallContext context) =>
        Task.FromResult(new ServerMetadataResponse { Name = "queuemaas", Version = ProtocolRoutes.Version, Extensions = { "classification", "model_repository", "statistics" } });

    public override async Task<ModelMetadataResponse> ModelMetadata(ModelMetadataRequest request, ServerCallContext context)
    {
        var model = await models.FindAsync(Tenant(context), request.Name, request.Version, context.CancellationToken);
        var answer = new ModelMetadataResponse { Name = model.Name, Platform = ServedModels.Platform };
        answer.Versions.AddRange((await models.VersionsAsync(Tenant(context), model.Name, context.CancellationToken)).Select(Text));
        answer.Inputs.AddRange(model.Signature.Inputs.Select(Describe));
        answer.Outputs.AddRange(model.Signature.Outputs.Select(Describe));
        return answer;
    }

    public override async Task<ModelInferResponse> ModelInfer(ModelInferRequest request, ServerCallContext context) => await InferAsync(Tenant(context), request, context.CancellationToken);

    public override async Task ModelStreamInfer(IAsyncStreamReader<ModelInferRequest> requestStream, IServerStreamWriter<ModelStreamInferResponse> responseStream, ServerCallContext context)
    {
        // Requests are computed as they come and so share batches; their answers are written in the order of the requests.
        var answers = Channel.CreateBounded<Task<ModelStreamInferResponse>>(MostInFlight);
        var writing = WriteAsync(answers.Reader, responseStream, context.CancellationToken);
        try
        {
            await foreach (var request in requestStream.ReadAllAsync(context.CancellationToken))
                await answers.Writer.WriteAsync(InferForStreamAsync(Tenant(context), request, context.CancellationToken), context.CancellationToken);
        }
        finally
        {
            answers.Writer.Complete();
        }

        await writing;
    }

    public override async Task<ModelConfigResponse> ModelConfig(ModelConfigRequest request, ServerCallContext context)
    {
        var model = await models.FindAsync(Tenant(context), request.Name, request.Version, context.CancellationToken);
        var batched = !model.IsSingle && model.Signature.Inputs.All(static input => input.Shape is [-1, ..]);
        var config = new Messages.ModelConfig { Name = model.Name, Platform = ServedModels.Platform, Backend = "onnxruntime", MaxBatchSize = batched ? model.Batching.MaxBatchSize : 0 };
        config.Input.AddRange(model.Signature.Inputs.Select(input => new ModelInput { Name = input.Name, DataType = TypeOf(input), Dims = { batched ? input.Shape.Skip(1) : input.Shape } }));
        config.Output.AddRange(model.Signature.Outputs.Select(output => new ModelOutput { Name = output.Name, DataType = TypeOf(output), Dims = { batched ? output.Shape.Skip(1) : output.Shape } }));
        return new() { Config = config };
    }

    public override async Task<ModelStatisticsResponse> ModelStatistics(ModelStatisticsRequest request, ServerCallContext context)
    {
        var all = await models.StatisticsAsync(Tenant(context), request.Name, request.Version, context.CancellationToken);
        var answer = new ModelStatisticsResponse();
        answer.ModelStats.AddRange(all.Select(VersionStatistics.Of).Select(Describe));
        return answer;
    }

    public override async Task<RepositoryIndexResponse> RepositoryIndex(RepositoryIndexRequest request, ServerCallContext context)
    {
        var answer = new RepositoryIndexResponse();
        answer.Models.AddRange((await models.ListAsync(Tenant(context), context.CancellationToken)).Select(static model => new RepositoryIndexResponse.Types.ModelIndex { Name = model.Name, Version = Text(model.Version), State = "READY" }));
        return answer;
    }

    private static string Tenant(ServerCallContext context) => AccessClaims.TenantOf(context.GetHttpContext().User);

    private static async Task WriteAsync(ChannelReader<Task<ModelStreamInferResponse>> answers, IServerStreamWriter<ModelStreamInferResponse> stream, CancellationToken cancellationToken)
    {
        await foreach (var answer in answers.ReadAllAsync(cancellationToken))
            await stream.WriteAsync(await answer, cancellationToken);
    }

    private async Task<ModelStreamInferResponse> InferForStreamAsync(string tenant, ModelInferRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return new() { InferResponse = await InferAsync(tenant, request, cancellationToken) };
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // One bad request ends neither the stream nor the others in it.
            return new() { ErrorMessage = GrpcProblems.Tell(exception).Message, InferResponse = new() { Id = request.Id, ModelName = request.ModelName, ModelVersion = request.ModelVersion } };
        }
    }

    private async Task<ModelInferResponse> InferAsync(string tenant, ModelInferRequest message, CancellationToken cancellationToken)
    {
        var model = await models.FindAsync(tenant, message.ModelName, message.ModelVersion, cancellationToken);
        var request = GrpcTensors.Read(message, model.Signature);
        return Answer(model, request, await models.InferAsync(tenant, message.ModelName, message.ModelVersion, model, request, cancellationToken));
    }

    private static ModelInferResponse Answer(ServedModel model, InferRequest request, BatchResponse response)
    {
        var answer = new ModelInferResponse { ModelName = model.Name, ModelVersion = Text(model.Version), Id = request.Id };
        answer.Parameters["batch_size"] = new() { Int64Param = response.Receipt.Size };
        answer.Parameters["closed_because"] = new() { StringParam = response.Receipt.ClosedBecause };
        answer.Parameters["queued_ms"] = new() { DoubleParam = response.Receipt.QueuedMs };
        answer.Parameters["compute_ms"] = new() { DoubleParam = response.Receipt.ComputeMs };
        answer.Parameters["shared"] = new() { BoolParam = response.Receipt.Shared };
        answer.Parameters["cached"] = new() { BoolParam = response.Receipt.Cached };
        answer.Parameters["model_hash"] = new() { StringParam = model.Artifact ?? "" };
        foreach (var (tensor, _) in ServedModels.Select(model, request, response))
        {
            answer.Outputs.Add(new ModelInferResponse.Types.InferOutputTensor { Name = tensor.Name, Datatype = tensor.Datatype.Name, Shape = { tensor.Shape } });
            answer.RawOutputContents.Add(GrpcTensors.Raw(tensor));
        }

        return answer;
    }

    private static Messages.ModelStatistics Describe(VersionStatistics one)
    {
        var stats = one.InferenceStats;
        var answer = new Messages.ModelStatistics
        {
            Name = one.Name,
            Version = one.Version,
            LastInference = (ulong)one.LastInference,
            InferenceCount = (ulong)one.InferenceCount,
            ExecutionCount = (ulong)one.ExecutionCount,
            InferenceStats = new()
            {
                Success = Time(stats.Success),
                Fail = Time(stats.Fail),
                Queue = Time(stats.Queue),
                ComputeInput = Time(stats.ComputeInput),
                ComputeInfer = Time(stats.ComputeInfer),
                ComputeOutput = Time(stats.ComputeOutput),
                CacheHit = Time(stats.CacheHit),
                CacheMiss = Time(stats.CacheMiss),
            },
        };
        answer.BatchStats.AddRange(one.BatchStats.Select(static size => new InferBatchStatistics
        {
            BatchSize = (ulong)size.BatchSize,
            ComputeInput = Time(size.ComputeInput),
            ComputeInfer = Time(size.ComputeInfer),
            ComputeOutput = Time(size.ComputeOutput),
        }));
        return answer;
    }

    private static StatisticDuration Time(Http.Duration duration) => new() { Count = (ulong)duration.Count, Ns = (ulong)duration.Ns };

    private static ModelMetadataResponse.Types.TensorMetadata Describe(TensorSignature tensor) => new() { Name = tensor.Name, Datatype = tensor.Datatype, Shape = { tensor.Shape } };

    private static DataType TypeOf(TensorSignature tensor) => tensor.Datatype switch
    {
        Datatypes.Bool => DataType.TypeBool,
        Datatypes.UInt8 => DataType.TypeUint8,
        Datatypes.UInt16 => DataType.TypeUint16,
        Datatypes.UInt32 => DataType.TypeUint32,
        Datatypes.UInt64 => DataType.TypeUint64,
        Datatypes.Int8 => DataType.TypeInt8,
        Datatypes.Int16 => DataType.TypeInt16,
        Datatypes.Int32 => DataType.TypeInt32,
        Datatypes.Int64 => DataType.TypeInt64,
        Datatypes.Fp16 => DataType.TypeFp16,
        Datatypes.Fp32 => DataType.TypeFp32,
        Datatypes.Fp64 => DataType.TypeFp64,
        _ => DataType.TypeString,
    };

    private static string Text(int version) => version.ToString(CultureInfo.InvariantCulture);
}
