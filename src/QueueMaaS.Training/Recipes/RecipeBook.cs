using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Training.Recipes;

/// <summary>The recipes that come with the program: the JSON files beside this one, one for each version.</summary>
internal sealed class RecipeBook : IRecipeBook
{
    /// <summary>The book; what is in it never changes.</summary>
    public static RecipeBook Default { get; } = new();

    private RecipeBook() => All = [.. Read().OrderBy(recipe => recipe.Name, StringComparer.Ordinal).ThenBy(recipe => recipe.Version)];

    public IReadOnlyList<Recipe> All { get; }

    public Recipe Require(string reference)
    {
        var found = VersionReference.TryParse(reference, out var named) && named.Alias is null
            ? All.LastOrDefault(recipe => recipe.Name == named.Name && (named.Version is null || recipe.Version == named.Version))
            : null;
        return found ?? throw new ProblemException(
            ProblemCodes.RecipeNotFound, $"There is no recipe `{reference}`. There are {string.Join(", ", All.Select(r => $"`{r.Name}@{r.Version}`"))}; GET /v1/recipes describes them.",
            ("recipe", reference), ("known", All.Select(r => $"{r.Name}@{r.Version}")));
    }

    private static IEnumerable<Recipe> Read()
    {
        var assembly = typeof(RecipeBook).Assembly;
        foreach (var name in assembly.GetManifestResourceNames().Where(name => name.StartsWith("recipe:", StringComparison.Ordinal)))
        {
            using var file = assembly.GetManifestResourceStream(name)!;
            yield return JsonSerializer.Deserialize<Recipe>(file, QueueMaaSJson.Strict)!;
        }
    }
}
