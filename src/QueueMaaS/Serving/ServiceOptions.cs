namespace QueueMaaS.Serving;

/// <summary>Which parts this process plays.</summary>
[Flags]
public enum Roles
{
    None = 0,
    /// <summary>HTTP API and submissions over the bus.</summary>
    Api = 1,
    /// <summary>Inference and batch jobs.</summary>
    Inference = 2,
    /// <summary>Training jobs.</summary>
    Training = 4,
    /// <summary>Webhooks and events on the bus.</summary>
    Notify = 8,
    All = Api | Inference | Training | Notify,
}

/// <summary>Reads roles from <c>--roles</c> or the <c>Roles</c> setting.</summary>
public static class RolesText
{
    public static Roles Parse(string? text)
    {
        var roles = Roles.None;
        foreach (var word in (text ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            roles |= Enum.TryParse<Roles>(word, ignoreCase: true, out var role) && !char.IsDigit(word[0]) && role != Roles.None
                ? role
                : throw new SettingsException($"`{word}` is not a role. Roles are api, inference, training, notify and all; write them with commas between.");
        }

        return roles == Roles.None ? Roles.All : roles;
    }
}

/// <summary>The settings do not make a working program. Shown as one line, without a stack trace.</summary>
public sealed class SettingsException(string message) : Exception(message);
