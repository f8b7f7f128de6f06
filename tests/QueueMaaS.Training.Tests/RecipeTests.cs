using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;
using QueueMaaS.Training.Recipes;
using QueueMaaS.Training.Running;

namespace QueueMaaS.Training.Tests;

public sealed class RecipeTests
{
    [Fact]
    public void Every_recipe_is_a_valid_training_and_gives_its_reasons()
    {
        RecipeBook.Default.All.Select(r => $"{r.Name}@{r.Version}").ShouldBeUnique();
        foreach (var recipe in RecipeBook.Default.All)
        {
            var settings = TrainingSettings.From(Read($$"""{"model":"m","dataset":"d","recipe":"{{recipe.Name}}@{{recipe.Version}}"}"""));
            settings.Epochs.ShouldBe(recipe.Training.GetProperty("epochs").GetInt32(), recipe.Name);
            foreach (var field in recipe.Reasons.Keys)
                field.Split('.').Aggregate(recipe.Training, (at, name) => at.GetProperty(name)).ValueKind.ShouldNotBe(JsonValueKind.Undefined, $"{recipe.Name}: {field}");
        }
    }

    [Fact]
    public void What_a_job_says_goes_over_the_recipe()
    {
        var input = Read("""{"model":"m","dataset":"d","recipe":"tabular-default","epochs":5,"optimization":{"clipNorm":null},"stopping":{"patience":2}}""");
        (input.Recipe, input.Preset, input.Epochs, input.Optimizer).ShouldBe(("tabular-default@1", "mlp", 5, "adamw"));
        (input.Optimization!.WeightDecay, input.Optimization.ClipNorm).ShouldBe((0.01, null));
        (input.Stopping!.Patience, input.Stopping.RestoreBest).ShouldBe((2, true));
        Read("""{"model":"m","dataset":"d","recipe":"tabular-default","network":[{"type":"linear"}]}""").Preset.ShouldBeNull("a network takes the place of the preset");
        Read("""{"model":"m","dataset":"d","recipe":"tabular-default","schedule":{"kind":"oneCycle"}}""").Schedule!.Kind.ShouldBe(ScheduleKind.OneCycle);
        Should.Throw<ProblemException>(() => Read("""{"model":"m","dataset":"d","recipe":"tabular-default@9"}""")).Problem.Code.ShouldBe("recipe_not_found");
    }

    [Fact]
    public void With_another_optimizer_what_belongs_to_the_recipes_own_goes()
    {
        var recipe = new Recipe { Name = "r", Version = 2, Description = "", For = "images", Reasons = new Dictionary<string, string>(), Training = JsonElement.Parse("""{"optimizer":"sgd","optimization":{"momentum":0.8,"nesterov":true,"weightDecay":0.1}}""") };
        TrainingDocument.Merge(recipe, (JsonObject)JsonNode.Parse("""{"optimizer":"adam"}""")!).ToJsonString().ShouldBe("""{"optimizer":"adam","optimization":{"weightDecay":0.1},"recipe":"r@2"}""");
        TrainingDocument.Merge(recipe, (JsonObject)JsonNode.Parse("""{"optimizer":"sgd"}""")!)["optimization"]!["momentum"]!.GetValue<double>().ShouldBe(0.8);
    }

    private static TrainingInput Read(string json) => TrainingDocument.Read(JsonElement.Parse(json));
}
