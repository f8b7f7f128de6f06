using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Life;
using QueueMaaS.Jobs.Notification;

namespace QueueMaaS.Storage.Database;

/// <summary>The tables. One model for PostgreSQL and SQLite; each has its own migrations.</summary>
public sealed class QueueMaaSDbContext(DbContextOptions<QueueMaaSDbContext> options) : DbContext(options)
{
    public DbSet<JobRecord> Jobs => Set<JobRecord>();
    public DbSet<JobEventRow> Events => Set<JobEventRow>();
    public DbSet<WebhookDelivery> Deliveries => Set<WebhookDelivery>();
    public DbSet<WebhookTry> Tries => Set<WebhookTry>();
    public DbSet<ModelVersionRow> Models => Set<ModelVersionRow>();
    public DbSet<ModelAliasRow> Aliases => Set<ModelAliasRow>();
    public DbSet<DatasetRow> Datasets => Set<DatasetRow>();

    private bool IsSqlite => Database.ProviderName?.EndsWith("Sqlite", StringComparison.Ordinal) ?? false;

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        configurationBuilder.Properties<JobKind>().HaveConversion<string>().HaveMaxLength(16);
        configurationBuilder.Properties<JobState>().HaveConversion<string>().HaveMaxLength(16);
        configurationBuilder.Properties<DeliveryState>().HaveConversion<string>().HaveMaxLength(16);
        // SQLite cannot compare or sort DateTimeOffset; ticks in UTC can be compared and keep all digits.
        if (IsSqlite)
            configurationBuilder.Properties<DateTimeOffset>().HaveConversion<UtcTicksConverter>();
    }

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        var no = IsSqlite ? "0" : "false";
        modelBuilder.Entity<JobRecord>(job =>
        {
            job.ToTable("jobs");
            job.HasKey(j => j.Id);
            job.Property(j => j.Id).HasMaxLength(128);
            // Every tracked change raises the sequence, so it doubles as the optimistic lock.
            job.Property(j => j.Sequence).IsConcurrencyToken();
            job.Ignore(j => j.Claim);
            job.HasIndex(j => new { j.Tenant, j.IdempotencyKey }).IsUnique();
            job.HasIndex(j => new { j.Tenant, j.CreatedAt, j.Id }).HasDatabaseName("ix_jobs_listing");
            job.HasIndex(j => new { j.State, j.DueAt }).HasDatabaseName("ix_jobs_due").HasFilter("state in ('Scheduled', 'Queued', 'Retrying')");
            job.HasIndex(j => new { j.LeaseUntil }).HasDatabaseName("ix_jobs_leases").HasFilter("state = 'Running'");
            job.HasIndex(j => j.Deadline).HasDatabaseName("ix_jobs_deadlines").HasFilter("deadline is not null and state in ('Scheduled', 'Queued', 'Retrying')");
            job.HasIndex(j => j.ParentId).HasFilter("parent_id is not null");
        });
        modelBuilder.Entity<JobEventRow>(row =>
        {
            row.ToTable("job_events");
            row.HasKey(e => e.RowId);
            row.Property(e => e.JobId).HasMaxLength(128);
            row.HasIndex(e => new { e.JobId, e.Sequence }).IsUnique();
            row.HasIndex(e => e.RowId).HasDatabaseName("ix_job_events_unpublished").HasFilter($"published = {no}");
        });
        modelBuilder.Entity<WebhookDelivery>(delivery =>
        {
            delivery.ToTable("webhook_deliveries");
            delivery.HasKey(d => d.Id);
            delivery.HasIndex(d => d.JobId);
            delivery.HasIndex(d => d.NextTryAt).HasDatabaseName("ix_webhook_deliveries_due").HasFilter("state = 'Pending'");
        });
        modelBuilder.Entity<WebhookTry>(row =>
        {
            row.ToTable("webhook_tries");
            row.HasKey(t => t.RowId);
            row.HasIndex(t => t.DeliveryId);
        });
        modelBuilder.Entity<ModelVersionRow>(model =>
        {
            model.ToTable("model_versions");
            model.HasKey(m => new { m.Tenant, m.Name, m.Version });
            model.HasIndex(m => new { m.Tenant, m.TrainedBy }).IsUnique();
        });
        modelBuilder.Entity<ModelAliasRow>(alias =>
        {
            alias.ToTable("model_aliases");
            alias.HasKey(a => new { a.Tenant, a.Name, a.Alias });
        });
        modelBuilder.Entity<DatasetRow>(dataset =>
        {
            dataset.ToTable("dataset_versions");
            dataset.HasKey(d => new { d.Tenant, d.Name, d.Version });
        });
    }

    private sealed class UtcTicksConverter() : ValueConverter<DateTimeOffset, long>(
        moment => moment.UtcTicks, ticks => new DateTimeOffset(ticks, TimeSpan.Zero));
}
