using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Checkpoints;

/// <summary>A state with what is needed to export it: the network, the input's shape, the pipeline, where it comes from.</summary>
/// <param name="Snapshot">The state.</param>
/// <param name="Job">The job; it also makes the files of two equal jobs differ, so that one can be removed without the other.</param>
/// <param name="Dataset">The data set with its version, which a training that goes on keeps to.</param>
/// <param name="Network">The layers.</param>
/// <param name="Input">The shape of one input.</param>
/// <param name="Pipeline">What serving does with a request.</param>
/// <param name="Lineage">What an exported file says.</param>
internal sealed record CheckpointFile(
    TrainingSnapshot Snapshot, string Job, string Dataset, ModelSpecification Network, TensorShape Input, ModelPipeline Pipeline, IReadOnlyDictionary<string, string> Lineage)
{
    /// <summary>Writes the file.</summary>
    public void Write(string path) => SafetensorsFile.Write(path, Snapshot.Tensors, new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["job"] = Job,
        ["dataset"] = Dataset,
        ["state"] = Json(Snapshot.State),
        ["name"] = Network.Name,
        ["network"] = Json(NetworkJson.Write(Network)),
        ["input"] = Json(Input),
        ["pipeline"] = Json(Pipeline),
        ["lineage"] = Json(Lineage),
    });

    /// <summary>Reads a file.</summary>
    /// <exception cref="InvalidDataException">It is damaged, or no checkpoint.</exception>
    public static CheckpointFile Read(string path)
    {
        var (tensors, metadata) = SafetensorsFile.Read(path);
        try
        {
            return new(
                new(Parse<TrainerState>(metadata["state"]), tensors),
                metadata["job"],
                metadata["dataset"],
                NetworkJson.Read(metadata["name"], Parse<IReadOnlyList<JsonElement>>(metadata["network"])),
                Parse<TensorShape>(metadata["input"]),
                Parse<ModelPipeline>(metadata["pipeline"]),
                Parse<Dictionary<string, string>>(metadata["lineage"]));
        }
        catch (Exception e) when (e is KeyNotFoundException or JsonException or ProblemException)
        {
            throw new InvalidDataException($"The checkpoint is damaged: {e.Message}", e);
        }
    }

    private static string Json<T>(T value) => JsonSerializer.Serialize(value, QueueMaaSJson.Relaxed);

    private static T Parse<T>(string json) => JsonSerializer.Deserialize<T>(json, QueueMaaSJson.Relaxed) ?? throw new JsonException("A part is null.");
}
