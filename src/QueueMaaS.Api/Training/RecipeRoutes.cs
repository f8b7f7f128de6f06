using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using QueueMaaS.Api.Access;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Api.Training;

/// <summary>The recipes that trainings can name.</summary>
internal static class RecipeRoutes
{
    public static void MapRecipes(this IEndpointRouteBuilder routes)
    {
        var recipes = routes.MapGroup("/v1/recipes").WithTags("Training").WithScopes([AccessScopes.Read], [AccessScopes.Admin]);
        recipes.MapGet("", (IRecipeBook book) => book.All).WithSummary("The recipes that a training can name, with what they set and why");
        recipes.MapGet("{recipe}", (string recipe, IRecipeBook book) => book.Require(recipe)).WithSummary("Get a recipe").WithDescription("By `name` (its latest version) or `name@version`.");
    }
}
