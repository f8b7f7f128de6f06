using System.Text.Json.Serialization;
using k8s.Models;

namespace QueueMaaS.Unit.Tests.Deployment;

/// <summary>KEDA's ScaledObject (keda.sh/v1alpha1), as far as we use it; read strictly, so that a field that is not here fails the test.</summary>
public sealed class ScaledObject
{
    [JsonPropertyName("apiVersion")]
    public string ApiVersion { get; set; } = "";

    [JsonPropertyName("kind")]
    public string Kind { get; set; } = "";

    [JsonPropertyName("metadata")]
    public V1ObjectMeta Metadata { get; set; } = new();

    [JsonPropertyName("spec")]
    public ScaledObjectSpec Spec { get; set; } = new();
}

/// <summary>What is scaled, between which numbers, by what.</summary>
public sealed class ScaledObjectSpec
{
    [JsonPropertyName("scaleTargetRef")]
    public NamedReference ScaleTargetRef { get; set; } = new();

    [JsonPropertyName("minReplicaCount")]
    public int? MinReplicaCount { get; set; }

    [JsonPropertyName("maxReplicaCount")]
    public int? MaxReplicaCount { get; set; }

    [JsonPropertyName("pollingInterval")]
    public int? PollingInterval { get; set; }

    [JsonPropertyName("cooldownPeriod")]
    public int? CooldownPeriod { get; set; }

    [JsonPropertyName("triggers")]
    public List<ScaleTrigger> Triggers { get; set; } = [];
}

/// <summary>One reason to scale.</summary>
public sealed class ScaleTrigger
{
    [JsonPropertyName("type")]
    public string Type { get; set; } = "";

    [JsonPropertyName("metadata")]
    public Dictionary<string, string> Metadata { get; set; } = [];

    [JsonPropertyName("authenticationRef")]
    public NamedReference? AuthenticationRef { get; set; }
}

/// <summary>Another object, by its name.</summary>
public sealed class NamedReference
{
    [JsonPropertyName("name")]
    public string Name { get; set; } = "";
}

/// <summary>KEDA's TriggerAuthentication.</summary>
public sealed class TriggerAuthentication
{
    [JsonPropertyName("apiVersion")]
    public string ApiVersion { get; set; } = "";

    [JsonPropertyName("kind")]
    public string Kind { get; set; } = "";

    [JsonPropertyName("metadata")]
    public V1ObjectMeta Metadata { get; set; } = new();

    [JsonPropertyName("spec")]
    public TriggerAuthenticationSpec Spec { get; set; } = new();
}

/// <summary>Where a trigger's secrets come from.</summary>
public sealed class TriggerAuthenticationSpec
{
    [JsonPropertyName("secretTargetRef")]
    public List<SecretTarget> SecretTargetRef { get; set; } = [];
}

/// <summary>One parameter, from one key of a secret.</summary>
public sealed class SecretTarget
{
    [JsonPropertyName("parameter")]
    public string Parameter { get; set; } = "";

    [JsonPropertyName("name")]
    public string Name { get; set; } = "";

    [JsonPropertyName("key")]
    public string Key { get; set; } = "";
}
