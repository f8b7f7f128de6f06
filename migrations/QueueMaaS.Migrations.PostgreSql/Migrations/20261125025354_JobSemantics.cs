using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace QueueMaaS.Migrations.PostgreSql.Migrations
{
    /// <inheritdoc />
    public partial class JobSemantics : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(
                name: "ix_jobs_tenant_idempotency_key",
                table: "jobs");

            migrationBuilder.DropIndex(
                name: "ix_job_events_unpublished",
                table: "job_events");

            migrationBuilder.RenameColumn(
                name: "published",
                table: "job_events",
                newName: "silent");

            migrationBuilder.AddColumn<string>(
                name: "request",
                table: "webhook_tries",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "response",
                table: "webhook_tries",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "data",
                table: "webhook_deliveries",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "endpoint_id",
                table: "webhook_deliveries",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "trace_parent",
                table: "webhook_deliveries",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<int>(
                name: "batch_divisor",
                table: "jobs",
                type: "integer",
                nullable: false,
                defaultValue: 1);

            migrationBuilder.AddColumn<string>(
                name: "group_id",
                table: "jobs",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<bool>(
                name: "has_dependents",
                table: "jobs",
                type: "boolean",
                nullable: false,
                defaultValue: false);

            migrationBuilder.AddColumn<string>(
                name: "rules",
                table: "jobs",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "unique_key",
                table: "jobs",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "unique_states",
                table: "jobs",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<bool>(
                name: "webhook_on_progress",
                table: "jobs",
                type: "boolean",
                nullable: false,
                defaultValue: false);

            migrationBuilder.CreateTable(
                name: "event_relay",
                columns: table => new
                {
                    id = table.Column<int>(type: "integer", nullable: false),
                    position = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_event_relay", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "job_dependencies",
                columns: table => new
                {
                    job_id = table.Column<string>(type: "text", nullable: false),
                    depends_on = table.Column<string>(type: "text", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_job_dependencies", x => new { x.job_id, x.depends_on });
                });

            migrationBuilder.CreateTable(
                name: "job_groups",
                columns: table => new
                {
                    tenant = table.Column<string>(type: "text", nullable: false),
                    id = table.Column<string>(type: "text", nullable: false),
                    size = table.Column<int>(type: "integer", nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    completed_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_job_groups", x => new { x.tenant, x.id });
                });

            migrationBuilder.CreateTable(
                name: "queue_pauses",
                columns: table => new
                {
                    kind = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                    at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    by = table.Column<string>(type: "text", nullable: false),
                    reason = table.Column<string>(type: "text", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_queue_pauses", x => x.kind);
                });

            migrationBuilder.CreateTable(
                name: "schedules",
                columns: table => new
                {
                    tenant = table.Column<string>(type: "text", nullable: false),
                    name = table.Column<string>(type: "text", nullable: false),
                    cron = table.Column<string>(type: "text", nullable: false),
                    time_zone = table.Column<string>(type: "text", nullable: false),
                    missed = table.Column<string>(type: "text", nullable: false),
                    submission = table.Column<string>(type: "text", nullable: false),
                    paused = table.Column<bool>(type: "boolean", nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    next_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    last_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    last_job_id = table.Column<string>(type: "text", nullable: true),
                    last_error = table.Column<string>(type: "text", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_schedules", x => new { x.tenant, x.name });
                });

            migrationBuilder.CreateTable(
                name: "unprocessable_messages",
                columns: table => new
                {
                    id = table.Column<string>(type: "text", nullable: false),
                    tenant = table.Column<string>(type: "text", nullable: false),
                    received_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    code = table.Column<string>(type: "text", nullable: false),
                    reason = table.Column<string>(type: "text", nullable: false),
                    content_type = table.Column<string>(type: "text", nullable: true),
                    headers = table.Column<string>(type: "text", nullable: true),
                    body = table.Column<byte[]>(type: "bytea", nullable: false),
                    replayed_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    replayed_as = table.Column<string>(type: "text", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_unprocessable_messages", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "webhook_endpoints",
                columns: table => new
                {
                    id = table.Column<string>(type: "text", nullable: false),
                    tenant = table.Column<string>(type: "text", nullable: false),
                    url = table.Column<string>(type: "text", nullable: false),
                    secrets = table.Column<string>(type: "text", nullable: false),
                    events = table.Column<string>(type: "text", nullable: false),
                    kinds = table.Column<string>(type: "text", nullable: true),
                    max_in_flight = table.Column<int>(type: "integer", nullable: true),
                    include_output = table.Column<bool>(type: "boolean", nullable: false),
                    description = table.Column<string>(type: "text", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    disabled_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    disabled_reason = table.Column<string>(type: "text", nullable: true),
                    failing_since = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_webhook_endpoints", x => x.id);
                });

            migrationBuilder.InsertData(
                table: "event_relay",
                columns: new[] { "id", "position" },
                values: new object[] { 1, 0L });

            migrationBuilder.CreateIndex(
                name: "ix_webhook_deliveries_endpoint_id_created_at",
                table: "webhook_deliveries",
                columns: new[] { "endpoint_id", "created_at" },
                filter: "endpoint_id is not null");

            migrationBuilder.CreateIndex(
                name: "ix_webhook_deliveries_waiting",
                table: "webhook_deliveries",
                columns: new[] { "job_id", "sequence" },
                filter: "state = 'Pending'");

            migrationBuilder.CreateIndex(
                name: "ix_jobs_age",
                table: "jobs",
                column: "created_at")
                .Annotation("Npgsql:IndexMethod", "brin");

            migrationBuilder.CreateIndex(
                name: "ix_jobs_failed",
                table: "jobs",
                columns: new[] { "tenant", "finished_at" },
                filter: "state = 'Failed'");

            migrationBuilder.CreateIndex(
                name: "ix_jobs_tenant_group_id",
                table: "jobs",
                columns: new[] { "tenant", "group_id" },
                filter: "group_id is not null");

            migrationBuilder.CreateIndex(
                name: "ix_jobs_tenant_idempotency_key",
                table: "jobs",
                columns: new[] { "tenant", "idempotency_key" },
                unique: true,
                filter: "idempotency_key is not null");

            migrationBuilder.CreateIndex(
                name: "ix_jobs_tenant_unique_key",
                table: "jobs",
                columns: new[] { "tenant", "unique_key" },
                unique: true,
                filter: "unique_key is not null");

            migrationBuilder.CreateIndex(
                name: "ix_job_dependencies_depends_on",
                table: "job_dependencies",
                column: "depends_on");

            migrationBuilder.CreateIndex(
                name: "ix_schedules_next_at",
                table: "schedules",
                column: "next_at");

            migrationBuilder.CreateIndex(
                name: "ix_unprocessable_messages_tenant_id",
                table: "unprocessable_messages",
                columns: new[] { "tenant", "id" });

            migrationBuilder.CreateIndex(
                name: "ix_webhook_endpoints_tenant",
                table: "webhook_endpoints",
                column: "tenant");

            // Inputs are read and written once each: LZ4 costs a tenth of the default compression, where the server was built with it.
            migrationBuilder.Sql("DO $$ BEGIN ALTER TABLE jobs ALTER COLUMN input SET COMPRESSION lz4, ALTER COLUMN output SET COMPRESSION lz4; EXCEPTION WHEN OTHERS THEN NULL; END $$");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "event_relay");

            migrationBuilder.DropTable(
                name: "job_dependencies");

            migrationBuilder.DropTable(
                name: "job_groups");

            migrationBuilder.DropTable(
                name: "queue_pauses");

            migrationBuilder.DropTable(
                name: "schedules");

            migrationBuilder.DropTable(
                name: "unprocessable_messages");

            migrationBuilder.DropTable(
                name: "webhook_endpoints");

            migrationBuilder.DropIndex(
                name: "ix_webhook_deliveries_endpoint_id_created_at",
                table: "webhook_deliveries");

            migrationBuilder.DropIndex(
                name: "ix_webhook_deliveries_waiting",
                table: "webhook_deliveries");

            migrationBuilder.DropIndex(
                name: "ix_jobs_age",
                table: "jobs");

            migrationBuilder.DropIndex(
                name: "ix_jobs_failed",
                table: "jobs");

            migrationBuilder.DropIndex(
                name: "ix_jobs_tenant_group_id",
                table: "jobs");

            migrationBuilder.DropIndex(
                name: "ix_jobs_tenant_idempotency_key",
                table: "jobs");

            migrationBuilder.DropIndex(
                name: "ix_jobs_tenant_unique_key",
                table: "jobs");

            migrationBuilder.DropColumn(
                name: "request",
                table: "webhook_tries");

            migrationBuilder.DropColumn(
                name: "response",
                table: "webhook_tries");

            migrationBuilder.DropColumn(
                name: "data",
                table: "webhook_deliveries");

            migrationBuilder.DropColumn(
                name: "endpoint_id",
                table: "webhook_deliveries");

            migrationBuilder.DropColumn(
                name: "trace_parent",
                table: "webhook_deliveries");

            migrationBuilder.DropColumn(
                name: "batch_divisor",
                table: "jobs");

            migrationBuilder.DropColumn(
                name: "group_id",
                table: "jobs");

            migrationBuilder.DropColumn(
                name: "has_dependents",
                table: "jobs");

            migrationBuilder.DropColumn(
                name: "rules",
                table: "jobs");

            migrationBuilder.DropColumn(
                name: "unique_key",
                table: "jobs");

            migrationBuilder.DropColumn(
                name: "unique_states",
                table: "jobs");

            migrationBuilder.DropColumn(
                name: "webhook_on_progress",
                table: "jobs");

            migrationBuilder.RenameColumn(
                name: "silent",
                table: "job_events",
                newName: "published");

            migrationBuilder.CreateIndex(
                name: "ix_jobs_tenant_idempotency_key",
                table: "jobs",
                columns: new[] { "tenant", "idempotency_key" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_job_events_unpublished",
                table: "job_events",
                column: "row_id",
                filter: "published = false");
        }
    }
}
