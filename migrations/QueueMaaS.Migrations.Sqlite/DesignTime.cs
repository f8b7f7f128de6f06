using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using QueueMaaS.Storage;
using QueueMaaS.Storage.Database;

namespace QueueMaaS.Migrations.Sqlite;

/// <summary>Lets `dotnet ef migrations add` build the model for this database, without a server.</summary>
public sealed class DesignTime : IDesignTimeDbContextFactory<QueueMaaSDbContext>
{
    public QueueMaaSDbContext CreateDbContext(string[] args)
    {
        var builder = new DbContextOptionsBuilder<QueueMaaSDbContext>();
        StorageServices.Configure(builder, new StorageOptions { DataFolder = Path.GetTempPath() });
        return new QueueMaaSDbContext(builder.Options);
    }
}
