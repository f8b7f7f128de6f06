using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace QueueMaaS.Migrations.Sqlite.Migrations
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
                    id = table.Column<string>(type: "TEXT", maxLength: 26, nullable: false),
                    tenant = table.Column<string>(type: "TEXT", nullable: false),
                    name = table.Column<string>(type: "TEXT", nullable: false),
                    cause = table.Column<string>(type: "TEXT", nullable: false),
                    at = table.Column<long>(type: "INTEGER", nullable: false),
                    decision = table.Column<string>(type: "TEXT", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_model_decisions", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "model_watches",
                columns: table => new
                {
                    id = table.Column<string>(type: "TEXT", maxLength: 26, nullable: false),
                    tenant = table.Column<string>(type: "TEXT", nullable: false),
                    kind = table.Column<string>(type: "TEXT", maxLength: 16, nullable: false),
                    name = table.Column<string>(type: "TEXT", nullable: false),
                    version = table.Column<int>(type: "INTEGER", nullable: false),
                    open_key = table.Column<string>(type: "TEXT", nullable: true),
                    definition = table.Column<string>(type: "TEXT", nullable: false),
                    standing = table.Column<string>(type: "TEXT", nullable: false),
                    sequence = table.Column<long>(type: "INTEGER", nullable: false),
                    created_at = table.Column<long>(type: "INTEGER", nullable: false),
                    changed_at = table.Column<long>(type: "INTEGER", nullable: false),
                    ended_at = table.Column<long>(type: "INTEGER", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_model_watches", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "traffic_summaries",
                columns: table => new
                {
                    watch_id = table.Column<string>(type: "TEXT", nullable: false),
                    part = table.Column<string>(type: "TEXT", nullable: false),
                    worker = table.Column<string>(type: "TEXT", nullable: false),
                    data = table.Column<string>(type: "TEXT", nullable: false),
                    changed_at = table.Column<long>(type: "INTEGER", nullable: false)
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
