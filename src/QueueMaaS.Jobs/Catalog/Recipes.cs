using QueueMaaS.Contracts;

namespace QueueMaaS.Jobs.Catalog;

/// <summary>The recipes that trainings can name.</summary>
public interface IRecipeBook
{
    /// <summary>Every version of every recipe, by name and version.</summary>
    IReadOnlyList<Recipe> All { get; }

    /// <summary>The recipe of a reference: <c>name</c> (its latest version) or <c>name@version</c>.</summary>
    /// <exception cref="ProblemException"><c>recipe_not_found</c>.</exception>
    Recipe Require(string reference);
}
