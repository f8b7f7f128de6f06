using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Submission;

namespace QueueMaaS.Training.Recipes;

/// <summary>Reads the input of a training job: its recipe's settings, where it names one, and its own over them.</summary>
internal static class TrainingDocument
{
    private const string RecipeMember = "recipe";

    /// <summary>What one kind of optimizer has and another may refuse.</summary>
    private static readonly string[] OfOptimizer = ["momentum", "nesterov", "normalizeWeights", "beta1", "beta2", "epsilon"];

    /// <exception cref="ProblemException">The document is at fault, or there is no such recipe.</exception>
    public static TrainingInput Read(JsonElement input)
    {
        if (input.ValueKind != JsonValueKind.Object || !input.EnumerateObject().Any(static member => string.Equals(member.Name, RecipeMember, StringComparison.OrdinalIgnoreCase)))
            return SubmissionReader.ReadInput<TrainingInput>(input);
        // The recipe's settings and the job's are laid over each other by name.
        var own = ContractNames.Of(input, "input");
        if (own[RecipeMember] is not { } named)
            return SubmissionReader.ReadInput<TrainingInput>(input);
        if (named.GetValueKind() != JsonValueKind.String)
            throw new ProblemException(ProblemCodes.InvalidValue, "`recipe` must be the name of a recipe, such as `tabular-default@1`.", ("path", "input.recipe"));
        var recipe = RecipeBook.Default.Require(named.GetValue<string>());
        return SubmissionReader.ReadInput<TrainingInput>(JsonSerializer.SerializeToElement(Merge(recipe, own)));
    }

    /// <summary>
    /// The job's settings over the recipe's, as a JSON merge patch (RFC 7396): objects member by member, lists and values as a whole, null takes away. A network takes the place of the recipe's
    /// preset and the other way round; with another optimizer, schedule or loss, what belongs to the recipe's own goes.
    /// </summary>
    public static JsonObject Merge(Recipe recipe, JsonObject own)
    {
        var merged = JsonObject.Create(recipe.Training.Clone())!;
        merged = (JsonObject)merged.DeepClone();
        if (own["network"] is not null)
            merged.Remove("preset");
        if (own["preset"] is not null)
            merged.Remove("network");
        if (own["optimizer"] is { } optimizer && !JsonNode.DeepEquals(optimizer, merged["optimizer"]) && merged["optimization"] is JsonObject optimization)
        {
            foreach (var member in OfOptimizer)
                optimization.Remove(member);
        }

        foreach (var member in (ReadOnlySpan<string>)["schedule", "loss"])
        {
            if (own[member]?["kind"] is { } kind && !JsonNode.DeepEquals(kind, merged[member]?["kind"]))
                merged.Remove(member);
        }

        Patch(merged, own);
        merged[RecipeMember] = $"{recipe.Name}@{recipe.Version}";
        return merged;
    }

    /// <summary>One document over another, as a JSON merge patch.</summary>
    public static JsonObject Over(JsonObject under, JsonObject over)
    {
        var merged = (JsonObject)under.DeepClone();
        Patch(merged, over);
        return merged;
    }

    private static void Patch(JsonObject target, JsonObject patch)
    {
        foreach (var (name, value) in patch)
        {
            if (value is null)
                target.Remove(name);
            else if (value is JsonObject inner && target[name] is JsonObject within)
                Patch(within, inner);
            else
                target[name] = value.DeepClone();
        }
    }
}
