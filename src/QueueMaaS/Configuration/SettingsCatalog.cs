using System.Collections;
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using QueueMaaS.Api;
using QueueMaaS.Api.Access;
using QueueMaaS.Api.Health;
using QueueMaaS.Inference;
using QueueMaaS.Jobs;
using QueueMaaS.Jobs.Access;
using QueueMaaS.Jobs.Catalog;
using QueueMaaS.Jobs.Deployment;
using QueueMaaS.Jobs.Notification;
using QueueMaaS.Jobs.Settings;
using QueueMaaS.Jobs.Tenants;
using QueueMaaS.Messaging;
using QueueMaaS.OpenInference;
using QueueMaaS.Storage;
using QueueMaaS.Storage.Artifacts.S3;
using QueueMaaS.Telemetry;
using QueueMaaS.Training;
using QueueMaaS.Training.Sweeps;

namespace QueueMaaS.Configuration;

/// <summary>Every setting of the program, read from the options classes: what is checked at start, shown by <c>config show</c> and documented in docs/configuration.md.</summary>
public static class SettingsCatalog
{
    /// <summary>The options classes, each with the section that it is read from.</summary>
    public static IReadOnlyList<(string Section, Type Options)> Sections { get; } =
    [
        (StorageOptions.Section, typeof(StorageOptions)), (S3Options.Section, typeof(S3Options)), (TlsOptions.Section, typeof(TlsOptions)), (BusOptions.Section, typeof(BusOptions)), (JobOptions.Section, typeof(JobOptions)), (TenantsOptions.Section, typeof(TenantsOptions)),
        (ApiOptions.Section, typeof(ApiOptions)), (AccessOptions.Section, typeof(AccessOptions)), (TokenOptions.Section, typeof(TokenOptions)), (WebhookOptions.Section, typeof(WebhookOptions)), (ImportOptions.Section, typeof(ImportOptions)),
        (InferenceOptions.Section, typeof(InferenceOptions)), (OpenInferenceOptions.Section, typeof(OpenInferenceOptions)), (TrainingOptions.Section, typeof(TrainingOptions)), (SweepOptions.Section, typeof(SweepOptions)),
        (DeploymentOptions.Section, typeof(DeploymentOptions)),
        (TelemetryOptions.Section, typeof(TelemetryOptions)), (HealthOptions.Section, typeof(HealthOptions)),
    ];

    /// <summary>Every setting in the order of the documentation; in names, <c>{…}</c> stands for a key or number of the operator's choosing.</summary>
    public static IReadOnlyList<Setting> All { get; } = [.. Sections.SelectMany(static section => Of(section.Options, section.Section))];

    private static IEnumerable<Setting> Of(Type type, string path)
    {
        if (ElementOf(type) is var (key, element))
            return IsSimple(element) ? [new Setting($"{path}:{key}", element, null, null, null)] : Of(element, $"{path}:{key}");
        var defaults = Activator.CreateInstance(type);
        return type.GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly).Where(static property => property.CanWrite).SelectMany(property =>
        {
            var name = $"{path}:{property.Name}";
            if (IsSimple(property.PropertyType))
                return [new Setting(name, property.PropertyType, property, property.GetValue(defaults), null)];
            var (key, element) = ElementOf(property.PropertyType) ?? throw new NotSupportedException($"{name}: settings of {property.PropertyType} cannot be checked.");
            return IsSimple(element) ? [new Setting($"{name}:{key}", element, property, null, property.GetValue(defaults) as IEnumerable)] : Of(element, $"{name}:{key}");
        });
    }

    internal static bool IsSimple(Type type) => (Nullable.GetUnderlyingType(type) ?? type) is var plain && (plain.IsPrimitive || plain.IsEnum || plain == typeof(string) || plain == typeof(TimeSpan));

    /// <summary>The keys and values of a dictionary, or the numbers and elements of an array; null for anything else.</summary>
    internal static (string Key, Type Element)? ElementOf(Type type)
    {
        if (type.IsArray)
            return ("{n}", type.GetElementType()!);
        for (var dictionary = type; dictionary is not null; dictionary = dictionary.BaseType)
        {
            if (dictionary.IsGenericType && dictionary.GetGenericTypeDefinition() == typeof(Dictionary<,>))
                return (dictionary.GenericTypeArguments[0].IsEnum ? $"{{{dictionary.GenericTypeArguments[0].Name[3..].ToLowerInvariant()}}}" : "{name}", dictionary.GenericTypeArguments[1]);
        }

        return null;
    }

    /// <summary>The enumeration that a dictionary's keys are of; null where any text is a key.</summary>
    internal static Type? KeysOf(Type type)
    {
        for (var dictionary = type; dictionary is not null; dictionary = dictionary.BaseType)
        {
            if (dictionary.IsGenericType && dictionary.GetGenericTypeDefinition() == typeof(Dictionary<,>))
                return dictionary.GenericTypeArguments[0] is { IsEnum: true } keys ? keys : null;
        }

        return null;
    }
}

/// <summary>One setting.</summary>
/// <param name="Name">Section and names, with colons.</param>
/// <param name="Type">What its text is read as.</param>
/// <param name="Property">Where it is kept; null for the values of a dictionary that is itself a section.</param>
/// <param name="Default">The value without any setting.</param>
/// <param name="DefaultItems">For a list: its elements without any setting.</param>
public sealed record Setting(string Name, Type Type, PropertyInfo? Property, object? Default, IEnumerable? DefaultItems)
{
    /// <summary>The value is not shown to anybody.</summary>
    public bool IsSecret => Property?.GetCustomAttribute<PasswordPropertyTextAttribute>()?.Password == true;

    /// <summary>The checks of a single value.</summary>
    public IReadOnlyList<ValidationAttribute> Rules => Property is null ? [] : [.. Property.GetCustomAttributes<ValidationAttribute>().Where(rule => DefaultItems is null || rule is not MinLengthAttribute)];

    /// <summary>What may be given, in words.</summary>
    public string Allowed => SettingWords.Allowed(this);
}
