using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace QueueMaaS.Behaviour.Tests.Setup;

/// <summary>A web server that has one file.</summary>
public sealed class FileServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private FileServer(WebApplication app) => _app = app;

    /// <summary>The file's.</summary>
    public string Address => $"{_app.Urls.First()}/file";

    public static async Task<FileServer> StartAsync(byte[] file)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        app.MapGet("/file", () => Results.Bytes(file));
        await app.StartAsync();
        return new FileServer(app);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
