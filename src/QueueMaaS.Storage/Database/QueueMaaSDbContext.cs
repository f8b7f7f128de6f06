using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Access;
using QueueMaaS.Jobs.Deployment;
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
    public DbSet<JobDependencyRow> Dependencies => Set<JobDependencyRow>();
    public DbSet<HeldJobRow> Held => Set<HeldJobRow>();
    public DbSet<JobGroupRow> Groups => Set<JobGroupRow>();
    public DbSet<QueuePauseRow> Pauses => Set<QueuePauseRow>();
    public DbSet<ScheduleRow> Schedules => Set<ScheduleRow>();
    public DbSet<UnprocessableRow> Unprocessable => Set<UnprocessableRow>();
    public DbSet<WebhookEndpoint> Endpoints => Set<WebhookEndpoint>();
    public DbSet<FileRow> Files => Set<FileRow>();
    public DbSet<ApiKey> Keys => Set<ApiKey>();
    public DbSet<AuditEntry> Audit => Set<AuditEntry>();
    public DbSet<ModelDecisionRow> Decisions => Set<ModelDecisionRow>();
    public DbSet<ModelWatch> Watches => Set<ModelWatch>();
    public DbSet<TrafficSummary> Summaries => Set<TrafficSummary>();
    public DbSet<EventRelayRow> Relay => Set<EventRelayRow>();

    private bool IsSqlite => Database.ProviderName?.EndsWith("Sqlite", StringComparison.Ordinal) ?? false;

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        configurationBuilder.Properties<JobKind>().HaveConversion<string>().HaveMaxLength(16);
        configurationBuilder.Properties<JobState>().HaveConversion<string>().HaveMaxLength(16);
        configurationBuilder.Properties<DeliveryState>().HaveConversion<string>().HaveMaxLength(16);
        configurationBuilder.Properties<WatchKind>().HaveConversion<string>().HaveMaxLength(16);
        // SQLite cannot compare or sort DateTimeOffset; ticks in UTC can be compared and keep all digits.
        if (IsSqlite)
            configurationBuilder.Properties<DateTimeOffset>().HaveConversion<UtcTicksConverter>();
    }

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<JobRecord>(job =>
        {
            job.ToTable("jobs");
            job.HasKey(j => j.Id);
            job.Property(j => j.Id).HasMaxLength(128);
            // Every tracked change raises the sequence, so it doubles as the optimistic lock.
            job.Property(j => j.Sequence).IsConcurrencyToken();
            job.Ignore(j => j.Claim);
            job.Ignore(j => j.Ready);
            // Partial wherever most rows have nothing to find: each index that a change does not touch is work saved.
            job.HasIndex(j => new { j.Tenant, j.IdempotencyKey }).IsUnique().HasFilter("idempotency_key is not null");
            job.HasIndex(j => new { j.Tenant, j.UniqueKey }).IsUnique().HasFilter("unique_key is not null");
            job.HasIndex(j => new { j.Tenant, j.GroupId }).HasFilter("group_id is not null");
            job.HasIndex(j => new { j.Tenant, j.FinishedAt }).HasDatabaseName("ix_jobs_failed").HasFilter("state = 'Failed'");
            // What is finished is found by age: rows of one age lie together, so a range index costs next to nothing.
            job.HasIndex(j => j.CreatedAt).HasDatabaseName("ix_jobs_age").UseBrin(!IsSqlite);
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
        });
        modelBuilder.Entity<WebhookDelivery>(delivery =>
        {
            delivery.ToTable("webhook_deliveries");
            delivery.HasKey(d => d.Id);
            delivery.HasIndex(d => d.JobId);
            delivery.HasIndex(d => d.NextTryAt).HasDatabaseName("ix_webhook_deliveries_due").HasFilter("state in ('Pending', 'Sending')");
            delivery.HasIndex(d => new { d.JobId, d.Sequence }).HasDatabaseName("ix_webhook_deliveries_waiting").HasFilter("state in ('Pending', 'Sending')");
            delivery.HasIndex(d => new { d.EndpointId, d.CreatedAt }).HasFilter("endpoint_id is not null");
        });
        modelBuilder.Entity<WebhookTry>(row =>
        {
            row.ToTable("webhook_tries");
            row.HasKey(t => t.RowId);
            row.HasIndex(t => t.DeliveryId);
        });
        ConfigureJobRelations(modelBuilder);
        ConfigureDeployment(modelBuilder);
        modelBuilder.Entity<ModelVersionRow>(model =>
        {
            model.ToTable("model_versions");
            model.HasKey(m => new { m.Tenant, m.Name, m.Version });
            model.HasIndex(m => new { m.Tenant, m.TrainedBy, m.JobAcceptedAt }).IsUnique();
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
        modelBuilder.Entity<ApiKey>(key =>
        {
            key.ToTable("api_keys");
            key.HasKey(k => k.Id);
            key.Property(k => k.Id).HasMaxLength(64);
        });
        modelBuilder.Entity<AuditEntry>(entry =>
        {
            entry.ToTable("audit_log");
            entry.HasKey(a => a.Id);
            entry.Property(a => a.Id).HasMaxLength(26);
            entry.HasIndex(a => new { a.Tenant, a.Id });
        });
        modelBuilder.Entity<FileRow>(file =>
        {
            file.ToTable("files");
            file.HasKey(f => new { f.Tenant, f.Id });
            file.HasIndex(f => new { f.Tenant, f.CreatedAt, f.Id }).HasDatabaseName("ix_files_listing");
        });
    }

    private static void ConfigureJobRelations(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<JobDependencyRow>(row =>
        {
            row.ToTable("job_dependencies");
            row.HasKey(d => new { d.JobId, d.DependsOn });
            row.HasIndex(d => d.DependsOn);
        });
        modelBuilder.Entity<HeldJobRow>(row =>
        {
            row.ToTable("held_jobs");
            row.HasKey(h => h.JobId);
            row.Property(h => h.JobId).HasMaxLength(128);
            row.HasIndex(h => new { h.Tenant, h.Kind, h.Rank });
        });
        modelBuilder.Entity<JobGroupRow>(row =>
        {
            row.ToTable("job_groups");
            row.HasKey(g => new { g.Tenant, g.Id });
        });
        modelBuilder.Entity<QueuePauseRow>(row =>
        {
            row.ToTable("queue_pauses");
            row.HasKey(p => p.Kind);
        });
        modelBuilder.Entity<ScheduleRow>(row =>
        {
            row.ToTable("schedules");
            row.HasKey(s => new { s.Tenant, s.Name });
            row.HasIndex(s => s.NextAt);
        });
        modelBuilder.Entity<UnprocessableRow>(row =>
        {
            row.ToTable("unprocessable_messages");
            row.HasKey(m => m.Id);
            row.HasIndex(m => new { m.Tenant, m.Id });
        });
        modelBuilder.Entity<WebhookEndpoint>(endpoint =>
        {
            endpoint.ToTable("webhook_endpoints");
            endpoint.HasKey(e => e.Id);
            endpoint.HasIndex(e => e.Tenant);
        });
        modelBuilder.Entity<EventRelayRow>(row =>
        {
            row.ToTable("event_relay");
            row.HasKey(r => r.Id);
            row.Property(r => r.Id).ValueGeneratedNever();
            row.HasData(new EventRelayRow { Id = 1, Position = 0 });
        });
    }

    private static void ConfigureDeployment(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<ModelDecisionRow>(row =>
        {
            row.ToTable("model_decisions");
            row.HasKey(d => d.Id);
            row.Property(d => d.Id).HasMaxLength(26);
            row.HasIndex(d => new { d.Tenant, d.Name, d.Id });
            row.HasIndex(d => new { d.Tenant, d.Cause }).IsUnique();
        });
        modelBuilder.Entity<ModelWatch>(row =>
        {
            row.ToTable("model_watches");
            row.HasKey(w => w.Id);
            row.Property(w => w.Id).HasMaxLength(26);
            row.HasIndex(w => new { w.Tenant, w.Kind, w.Name, w.Id });
            row.HasIndex(w => new { w.Tenant, w.OpenKey }).IsUnique().HasFilter("open_key is not null");
            row.HasIndex(w => w.Id).HasDatabaseName("ix_model_watches_open").HasFilter("ended_at is null");
        });
        modelBuilder.Entity<TrafficSummary>(row =>
        {
            row.ToTable("traffic_summaries");
            row.HasKey(s => new { s.WatchId, s.Part, s.Worker });
        });
    }

    private sealed class UtcTicksConverter() : ValueConverter<DateTimeOffset, long>(
        moment => moment.UtcTicks, ticks => new DateTimeOffset(ticks, TimeSpan.Zero));
}

internal static class RangeIndexes
{
    /// <summary>PostgreSQL's BRIN, where the database has it.</summary>
    public static void UseBrin<T>(this Microsoft.EntityFrameworkCore.Metadata.Builders.IndexBuilder<T> index, bool available)
    {
        if (available)
            index.HasMethod("brin");
    }
}
