using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace QueueMaaS.Migrations.PostgreSql.Migrations
{
    /// <inheritdoc />
    public partial class Deployment : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "model_decisions",
                columns: table => new
                {
                    id = table.Column<string>(type: "character varying(26)", maxLength: 26, nullable: false),
                    tenant = table.Column<string>(type: "text", nullable: false),
                    name = table.Column<string>(type: "text", nullable: false),
                    cause = table.Column<string>(type: "text", nullable: false),
                    at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    decision = table.Column<string>(type: "text", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_model_decisions", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "model_watches",
                columns: table => new
                {
                    id = table.Column<string>(type: "character varying(26)", maxLength: 26, nullable: false),
                    tenant = table.Column<string>(type: "text", nullable: false),
                    kind = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                    name = table.Column<string>(type: "text", nullable: false),
                    version = table.Column<int>(type: "integer", nullable: false),
                    open_key = table.Column<string>(type: "text", nullable: true),
                    definition = table.Column<string>(type: "text", nullable: false),
                    standing = table.Column<string>(type: "text", nullable: false),
                    sequence = table.Column<long>(type: "bigint", nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    changed_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    ended_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_model_watches", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "traffic_summaries",
                columns: table => new
                {
                    watch_id = table.Column<string>(type: "text", nullable: false),
                    part = table.Column<string>(type: "text", nullable: false),
                    worker = table.Column<string>(type: "text", nullable: false),
                    data = table.Column<string>(type: "text", nullable: false),
                    changed_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_traffic_summaries", x => new { x.watch_id, x.part, x.worker });
                });

            migrationBuilder.CreateIndex(
                name: "ix_model_decisions_tenant_cause",
                table: "model_decisions",
                columns: new[] { "tenant", "cause" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_model_decisions_tenant_name_id",
                table: "model_decisions",
                columns: new[] { "tenant", "name", "id" });

            migrationBuilder.CreateIndex(
                name: "ix_model_watches_open",
                table: "model_watches",
                column: "id",
                filter: "ended_at is null");

            migrationBuilder.CreateIndex(
                name: "ix_model_watches_tenant_kind_name_id",
                table: "model_watches",
                columns: new[] { "tenant", "kind", "name", "id" });

            migrationBuilder.CreateIndex(
                name: "ix_model_watches_tenant_open_key",
                table: "model_watches",
                columns: new[] { "tenant", "open_key" },
                unique: true,
                filter: "open_key is not null");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "model_decisions");

            migrationBuilder.DropTable(
                name: "model_watches");

            migrationBuilder.DropTable(
                name: "traffic_summaries");
        }
    }
}
