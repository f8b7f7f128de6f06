using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace QueueMaaS.Migrations.PostgreSql.Migrations
{
    /// <inheritdoc />
    public partial class Places : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<int>(
                name: "deleted",
                table: "job_groups",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.CreateTable(
                name: "held_jobs",
                columns: table => new
                {
                    job_id = table.Column<string>(type: "character varying(128)", maxLength: 128, nullable: false),
                    tenant = table.Column<string>(type: "text", nullable: false),
                    kind = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                    rank = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_held_jobs", x => x.job_id);
                });

            migrationBuilder.CreateIndex(
                name: "ix_held_jobs_tenant_kind_rank",
                table: "held_jobs",
                columns: new[] { "tenant", "kind", "rank" });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "held_jobs");

            migrationBuilder.DropColumn(
                name: "deleted",
                table: "job_groups");
        }
    }
}
