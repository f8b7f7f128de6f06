using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using QueueMaaS.Contracts;

namespace QueueMaaS.Api.Hosting;

/// <summary>The OpenAPI document, beyond what the routes' signatures say: what a job's input and output look like, headers, examples and errors.</summary>
internal static partial class ApiDocument
{
    private const string ProblemSchema = "ProblemDetails";
    private static readonly Type[] Inputs = [typeof(InferenceInput), typeof(TrainingInput), typeof(BatchInput), typeof(SweepInput), typeof(EvaluationInput), typeof(PromotionInput), typeof(BaselineInput)];
    private static readonly Type[] Outputs = [typeof(InferenceOutput), typeof(TrainingOutput), typeof(BatchOutput), typeof(SweepOutput), typeof(EvaluationOutput), typeof(ModelDecision), typeof(DriftMonitor)];
    private static readonly Type[] Progress = [typeof(TrainingProgress), typeof(BatchProgress), typeof(SweepProgress), typeof(EvaluationProgress)];
    private static readonly Type[] Lines = [typeof(BatchItem), typeof(BatchItemResult), typeof(BatchItemError)];

    public static void Describe(OpenApiOptions options)
    {
        options.AddOperationTransformer((operation, context, _) =>
        {
            Complete(operation, context);
            return Task.CompletedTask;
        });
        options.AddSchemaTransformer(static (schema, _, _) =>
        {
            if (schema.Description is { } description)
                schema.Description = Plain(description);
            return Task.CompletedTask;
        });
        options.AddDocumentTransformer(CompleteAsync);
    }

    /// <summary>Documents a header or a query parameter that the handler reads from the request itself.</summary>
    public static TBuilder WithParameter<TBuilder>(this TBuilder builder, string name, ParameterLocation location, string description, JsonSchemaType type = JsonSchemaType.String)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new DocumentedParameter(name, location, description, type));

    /// <summary>Documents an example of the body.</summary>
    public static TBuilder WithExample<TBuilder>(this TBuilder builder, string name, string json)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new DocumentedExample(name, json));

    private static void Complete(OpenApiOperation operation, OpenApiOperationTransformerContext context)
    {
        var metadata = context.Description.ActionDescriptor.EndpointMetadata;
        foreach (var parameter in metadata.OfType<DocumentedParameter>())
        {
            (operation.Parameters ??= []).Add(new OpenApiParameter
            {
                Name = parameter.Name,
                In = parameter.Location,
                Description = parameter.Description,
                Schema = new OpenApiSchema { Type = parameter.Type },
            });
        }

        foreach (var example in metadata.OfType<DocumentedExample>())
        {
            if (operation.RequestBody?.Content?.TryGetValue("application/json", out var body) == true)
                (body.Examples ??= new Dictionary<string, IOpenApiExample>())[example.Name] = new OpenApiExample { Value = JsonNode.Parse(example.Json) };
        }

        (operation.Responses ??= [])["default"] = new OpenApiResponse
        {
            Description = "An error, as a problem (RFC 9457). `code` is stable and meant for programs.",
            Content = new Dictionary<string, OpenApiMediaType> { ["application/problem+json"] = new() { Schema = new OpenApiSchemaReference(ProblemSchema, context.Document) } },
        };
    }

    private static async Task CompleteAsync(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellationToken)
    {
        document.Info.Title = "QueueMaaS";
        document.Info.Version = "v1";
        document.Info.Description = "Train, deploy and run models through a queue. Errors are RFC 9457 problems with a stable `code`.";
        document.AddComponent<IOpenApiSchema>(ProblemSchema, Problem());
        foreach (var type in Inputs.Concat(Outputs).Concat(Progress).Concat(Lines))
            document.AddComponent<IOpenApiSchema>(type.Name, await context.GetOrCreateSchemaAsync(type, parameterDescription: null, cancellationToken));
        foreach (var property in document.Components!.Schemas!.Values.SelectMany(static schema => schema.Properties?.Values ?? []))
        {
            if (property.Description is { } said)
                property.Description = Plain(said);
        }

        Choose(document, nameof(JobSubmission), "input", "By `kind`: an inference, training, batch, sweep or evaluation input.", Inputs);
        Choose(document, nameof(Job), "input", "What it was asked to do, by `kind`.", Inputs);
        Choose(document, nameof(Job), "output", "The result, once succeeded, by `kind`.", Outputs);
        Choose(document, nameof(Job), "progress", "The worker's latest report, by `kind`.", Progress);
    }

    /// <summary>References in our documentation come out with the names and types of C#; users of the API know the JSON names.</summary>
    private static string Plain(string description) => CodeReference().Replace(System.Net.WebUtility.HtmlDecode(description), static found => $"`{char.ToLowerInvariant(found.Groups["member"].Value[0])}{found.Groups["member"].Value[1..]}`");

    [GeneratedRegex(@"(?:(?:\w+(?:<[^.()]*>)?\?|\w+<[^.()]*>|string|int|long|double|bool|[A-Z][a-z]+[A-Z]\w*) )?\b[A-Z][a-z]\w*\.(?<member>[A-Z]\w*)\b", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex CodeReference();

    private static void Choose(OpenApiDocument document, string schema, string property, string description, Type[] choices)
    {
        if (document.Components?.Schemas?.TryGetValue(schema, out var found) == true && found is OpenApiSchema { Properties: { } properties })
            properties[property] = new OpenApiSchema { Description = description, AnyOf = [.. choices.Select(type => new OpenApiSchemaReference(type.Name, document))] };
    }

    private static OpenApiSchema Problem() => new()
    {
        Type = JsonSchemaType.Object,
        Required = new HashSet<string> { "code", "status", "title", "detail" },
        Properties = new Dictionary<string, IOpenApiSchema>
        {
            ["code"] = Text("A stable word for programs, such as `model_not_found`."),
            ["title"] = Text("The status in words."),
            ["detail"] = Text("What is wrong, where, and what to do about it."),
            ["type"] = Text("A reference for the kind of problem."),
            ["status"] = new OpenApiSchema { Type = JsonSchemaType.Integer, Description = "The HTTP status." },
            ["details"] = new OpenApiSchema { Type = JsonSchemaType.Object, Description = "Facts for programs: names, limits, positions.", AdditionalProperties = new OpenApiSchema() },
        },
    };

    private static OpenApiSchema Text(string description) => new() { Type = JsonSchemaType.String, Description = description };

    private sealed record DocumentedParameter(string Name, ParameterLocation Location, string Description, JsonSchemaType Type);

    private sealed record DocumentedExample(string Name, string Json);
}
