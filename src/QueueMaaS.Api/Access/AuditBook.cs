using Microsoft.Extensions.Logging;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Access;

namespace QueueMaaS.Api.Access;

/// <summary>Writes acts that are done already into the audit trail: where it cannot be written, they stand in the log.</summary>
internal sealed partial class AuditBook(IAuditTrail audit, TimeProvider time, ILogger<AuditBook> logger)
{
    public async Task RememberAsync(string tenant, string actor, string action, string subject, string outcome)
    {
        var now = time.GetUtcNow();
        try
        {
            // The act is done, whether or not its caller still waits.
            await audit.AddAsync(new AuditEntry(Ulid.NewUlid(now).ToString(), now, tenant, actor, action, subject, outcome), CancellationToken.None);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            LogNotRemembered(logger, actor, action, subject, outcome, exception.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The audit trail cannot be written; this stands only here: {Actor} did {Action} to {Subject}: {Outcome} ({Reason})")]
    private static partial void LogNotRemembered(ILogger logger, string actor, string action, string subject, string outcome, string reason);
}
