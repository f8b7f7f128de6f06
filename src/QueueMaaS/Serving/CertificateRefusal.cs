using Microsoft.Extensions.Options;
using QueueMaaS.Jobs.Settings;
using QueueMaaS.Storage;
using QueueMaaS.Storage.Database;

namespace QueueMaaS.Serving;

/// <summary>Says why the database's certificate is refused to whoever starts the program or runs one of its commands.</summary>
internal static class CertificateRefusal
{
    /// <summary>Runs what needs the database.</summary>
    /// <exception cref="SettingsException">The database's certificate is refused; it says why.</exception>
    public static async Task ExplainedAsync(IServiceProvider services, Func<Task> run, CancellationToken cancellationToken)
    {
        var postgreSql = services.GetRequiredService<IOptions<StorageOptions>>().Value.PostgreSql;
        try
        {
            await run();
        }
        catch (Exception exception) when (exception is not OperationCanceledException and not SettingsException && postgreSql is not null)
        {
            if (await PostgreSqlCertificate.ExplainAsync(postgreSql, exception, services.GetRequiredService<ServerTrust>(), cancellationToken) is { } refusal)
                throw new SettingsException(refusal);
            throw;
        }
    }
}
