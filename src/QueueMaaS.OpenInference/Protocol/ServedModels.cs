using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using QueueMaaS.Contracts;
using QueueMaaS.Inference;
using QueueMaaS.Inference.Batching;
using QueueMaaS.Inference.Jobs;
using QueueMaaS.Inference.Tensors;
using QueueMaaS.Inference.Traffic;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.OpenInference.Protocol;

/// <summary>What both transports do: find a model version, compute, describe.</summary>
[SuppressMessage("Performance", "CA1812", Justification = "Made by the container.")]
internal sealed class ServedModels(IModelCatalog models, Predictor predictor, IModelHost host, ServedTraffic traffic, TimeProvider time)
{
    private const int MostListed = 1000;

    /// <summary>Names the platform as Triton does, so that its clients know what they see.</summary>
    public const string Platform = "onnxruntime_onnx";

    /// <param name="tenant">Whose model.</param>
    /// <param name="name">A model's name, or <c>name@alias</c>.</param>
    /// <param name="version">A number; null or empty for the production version.</param>
    /// <param name="cancellationToken">Ends the look-up.</param>
    /// <exception cref="ProblemException"><c>model_not_found</c> or <c>invalid_value</c>.</exception>
    public async ValueTask<ServedModel> FindAsync(string tenant, string name, string? version, CancellationToken cancellationToken)
    {
        var found = await models.RequireServedAsync(tenant, string.IsNullOrEmpty(version) ? name : $"{name}@{Number(name, version)}", cancellationToken);
        return await predictor.ServeAsync(found, cancellationToken);
    }

    public async Task<IReadOnlyList<int>> VersionsAsync(string tenant, string name, CancellationToken cancellationToken) =>
        [.. (await models.VersionsAsync(tenant, name.Split('@')[0], beforeVersion: null, MostListed, cancellationToken)).Select(static version => version.Version).Order()];

    public Task<IReadOnlyList<ModelVersion>> ListAsync(string tenant, CancellationToken cancellationToken) => models.ListAsync(tenant, afterName: null, MostListed, cancellationToken);

    /// <param name="tenant">Whose model.</param>
    /// <param name="name">As in <see cref="FindAsync"/>.</param>
    /// <param name="version">As in <see cref="FindAsync"/>.</param>
    /// <param name="model">What was found.</param>
    /// <param name="request">The request.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<BatchResponse> InferAsync(string tenant, string name, string? version, ServedModel model, InferRequest request, CancellationToken cancellationToken)
    {
        foreach (var wanted in request.Outputs ?? [])
        {
            if (model.Signature.Outputs.All(output => output.Name != wanted.Name))
            {
                throw new ProblemException(
                    ProblemCodes.TensorNameMismatch,
                    $"The model has no output '{wanted.Name}'. Its outputs are {string.Join(", ", model.Signature.Outputs.Select(static output => $"'{output.Name}'"))}.", ("output", wanted.Name));
            }
        }

        var prepared = host.Prepare(model, request.Inputs);
        var call = request.Parameters.ToCall(time.GetUtcNow());
        if (traffic.Find(tenant, model.Name) is not { } followed)
            return await host.RunAsync(model, prepared, call, cancellationToken);
        var reference = string.IsNullOrEmpty(version) ? name : $"{name}@{version}";
        return await followed.FollowAsync(new(reference, model, prepared, (other, _) => Task.FromResult(host.Prepare(other, request.Inputs))), call, async watched =>
        {
            var answer = await host.RunAsync(model, prepared, watched, cancellationToken);
            watched.OnAnswer?.Invoke(answer);
            return answer;
        });
    }

    /// <summary>The outputs that the request wants, in its order, with classes in place of numbers where it asks for those.</summary>
    public static IEnumerable<(TensorBuffer Tensor, bool Binary)> Select(ServedModel model, InferRequest request, BatchResponse response)
    {
        if (request.Outputs is not { } wanted)
            return response.Outputs.Select(output => (output, request.BinaryOutputs));
        return wanted.Select(want =>
        {
            var output = response.Outputs.First(tensor => tensor.Name == want.Name);
            return (want.Classes > 0 ? Classification.Of(output, want.Classes, model.Pipeline?.Labels) : output, want.Binary ?? request.BinaryOutputs);
        });
    }

    /// <summary>Of one version, of a model, or (with a null name) of all.</summary>
    public async Task<IReadOnlyList<ModelStatistics>> StatisticsAsync(string tenant, string? name, string? version, CancellationToken cancellationToken)
    {
        var all = host.Statistics();
        if (string.IsNullOrEmpty(name))
        {
            var names = (await ListAsync(tenant, cancellationToken)).Select(static model => model.Name).ToHashSet(StringComparer.Ordinal);
            return [.. all.Where(one => names.Contains(one.Model))];
        }

        var found = await models.RequireServedAsync(tenant, string.IsNullOrEmpty(version) ? name : $"{name}@{Number(name, version)}", cancellationToken);
        var own = all.Where(one => one.Model == found.Name && (string.IsNullOrEmpty(version) || one.Version == found.Version)).ToArray();
        return own.Length > 0 ? own : [new(found.Name, found.Version)];
    }

    private static string Number(string name, string version) => int.TryParse(version, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 && !name.Contains('@', StringComparison.Ordinal)
        ? version
        : throw new ProblemException(ProblemCodes.ModelNotFound, $"There is no version `{version}` of model `{name}`: versions are whole numbers from 1.", ("model", name), ("version", version));
}
