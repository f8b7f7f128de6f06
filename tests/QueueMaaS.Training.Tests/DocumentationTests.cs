using System.Text.Json;
using System.Text.RegularExpressions;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Submission;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Tests;

/// <summary>The jobs in the documentation are accepted as they stand there.</summary>
public sealed partial class DocumentationTests
{
    [Fact]
    public void Every_job_in_the_documentation_is_one()
    {
        var text = File.ReadAllText(Path.Combine(Root(), "docs", "training.md"));
        var documents = JsonBlock().Matches(text).SelectMany(m => Documents(m.Groups["json"].Value)).ToList();
        // The first one is a whole submission, in a command.
        documents.Add(JsonElement.Parse(Submission().Match(text).Groups["json"].Value).GetProperty("input"));
        documents.Count.ShouldBeGreaterThanOrEqualTo(6);
        foreach (var document in documents)
        {
            var job = System.Text.Json.Nodes.JsonObject.Create(document)!;
            job.TryAdd("model", "m");
            job.TryAdd("dataset", "d");
            _ = TrainingSettings.From(SubmissionReader.ReadInput<TrainingInput>(JsonSerializer.SerializeToElement(job)));
        }
    }

    [Fact]
    public void The_sweep_in_the_documentation_is_one()
    {
        var text = File.ReadAllText(Path.Combine(Root(), "docs", "sweeps.md"));
        var plan = Sweeps.SweepPlan.Of(JsonElement.Parse(Submission().Match(text).Groups["json"].Value).GetProperty("input"), 1_000);
        plan.Points.Count.ShouldBe(20);
        _ = TrainingSettings.From(SubmissionReader.ReadInput<TrainingInput>(JsonSerializer.SerializeToElement(plan.Training(20))));
    }

    [Fact]
    public void Every_layer_type_is_in_the_documentation()
    {
        var text = File.ReadAllText(Path.Combine(Root(), "docs", "training.md"));
        foreach (var type in Specification.LayerTypes.Known)
            text.ShouldContain($"`{type}`");
        foreach (var preset in Specification.ModelPresets.Known)
            text.ShouldContain($"`{preset}`");
    }

    /// <summary>The JSON documents that follow each other in a block.</summary>
    private static IEnumerable<JsonElement> Documents(string block)
    {
        var reader = new Utf8JsonReader(System.Text.Encoding.UTF8.GetBytes(block), new JsonReaderOptions { AllowMultipleValues = true });
        var found = new List<JsonElement>();
        while (reader.Read())
            found.Add(JsonElement.ParseValue(ref reader));
        return found;
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "QueueMaaS.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("The tests run outside their repository.");
        return folder.FullName;
    }

    [GeneratedRegex("```json\n(?<json>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex JsonBlock();

    [GeneratedRegex("-d '(?<json>\\{.*?\\})'\n", RegexOptions.Singleline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Submission();
}
