using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Npgsql;
using QueueMaaS.Jobs.Settings;

namespace QueueMaaS.Storage.Database;

/// <summary>
/// Says why PostgreSQL's certificate is refused. Npgsql checks by itself, takes no check of ours beside its own, and tells nothing but that it refused; so the same greeting is made once more, with the
/// check that says why.
/// </summary>
public static class PostgreSqlCertificate
{
    /// <summary>What the server is called where its certificate is spoken of.</summary>
    public const string ServerName = "PostgreSQL";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>SSLRequest of PostgreSQL's protocol: its length, and its number.</summary>
    private static readonly byte[] AskForTls = [0, 0, 0, 8, 4, 210, 22, 47];

    /// <summary>The authorities of the settings, for Npgsql to trust beside the system's where it checks and the connection string names none.</summary>
    public static string? WithAuthorities(string? connection, string? authorityFile) =>
        connection is not null && authorityFile is not null && new NpgsqlConnectionStringBuilder(connection) is { SslMode: SslMode.VerifyFull or SslMode.VerifyCA, RootCertificate: null } builder
            ? new NpgsqlConnectionStringBuilder(builder.ConnectionString) { RootCertificate = authorityFile }.ConnectionString
            : connection;

    /// <summary>The reason in a sentence; null where the failure had another one.</summary>
    public static async Task<string?> ExplainAsync(string connection, Exception failure, ServerTrust trust, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(trust);
        for (var cause = failure; cause is not AuthenticationException; cause = cause.InnerException)
        {
            if (cause is null)
                return null;
        }

        var to = new NpgsqlConnectionStringBuilder(connection);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(to.Host!, to.Port, limit.Token);
            await using var plain = client.GetStream();
            await plain.WriteAsync(AskForTls, limit.Token);
            var answer = new byte[1];
            await plain.ReadExactlyAsync(answer, limit.Token);
            await using var encrypted = new SslStream(plain);
            var check = trust.CheckOf(ServerName);
            await encrypted.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    TargetHost = to.Host,
                    // VerifyCA leaves the name out.
                    RemoteCertificateValidationCallback = (sender, certificate, chain, errors) =>
                        check(sender, certificate, chain, to.SslMode == SslMode.VerifyCA ? errors & ~SslPolicyErrors.RemoteCertificateNameMismatch : errors),
                },
                limit.Token);
        }
        catch (Exception exception) when (exception is AuthenticationException or IOException or SocketException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            // What is wrong with the certificate is with the trust now.
        }

        var reason = trust.Refusal(ServerName) ?? $"{ServerName}'s certificate is refused. See SSL Mode and Root Certificate in Storage:PostgreSql.";
        return to.RootCertificate is { } own && own != trust.AuthorityFile ? $"{reason} Storage:PostgreSql names a Root Certificate ({own}), which is used instead of Tls:AuthorityFile." : reason;
    }
}
