using System.ComponentModel.DataAnnotations;

namespace QueueMaaS.Jobs.Settings;

/// <summary>A check of a setting that says itself what it takes.</summary>
public abstract class SettingRuleAttribute : ValidationAttribute
{
    /// <summary>What may be given, to follow "it must be".</summary>
    public abstract string Allowed { get; }

    public override string FormatErrorMessage(string name) => $"The field {name} must be {Allowed}.";
}

/// <summary>The value must be an absolute address with one of these schemes.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class AddressAttribute(string example, params string[] schemes) : SettingRuleAttribute
{
    /// <summary>What a right value looks like.</summary>
    public string Example { get; } = example;

    /// <summary>Schemes that are taken.</summary>
    public IReadOnlyList<string> Schemes { get; } = schemes;

    /// <inheritdoc/>
    public override string Allowed => $"an address such as {Example}";

    public override bool IsValid(object? value) =>
        value is null || (value is string text && Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Host.Length > 0 && Schemes.Contains(address.Scheme, StringComparer.OrdinalIgnoreCase));
}
