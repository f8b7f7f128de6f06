using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace QueueMaaS.Migrations.Sqlite.Migrations
{
    /// <inheritdoc />
    public partial class JobIncarnations : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(
                name: "ix_model_versions_tenant_trained_by",
                table: "model_versions");

            migrationBuilder.AddColumn<long>(
                name: "job_accepted_at",
                table: "model_versions",
                type: "INTEGER",
                nullable: true);

            migrationBuilder.CreateIndex(
                name: "ix_model_versions_tenant_trained_by_job_accepted_at",
                table: "model_versions",
                columns: new[] { "tenant", "trained_by", "job_accepted_at" },
                unique: true);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(
                name: "ix_model_versions_tenant_trained_by_job_accepted_at",
                table: "model_versions");

            migrationBuilder.DropColumn(
                name: "job_accepted_at",
                table: "model_versions");

            migrationBuilder.CreateIndex(
                name: "ix_model_versions_tenant_trained_by",
                table: "model_versions",
                columns: new[] { "tenant", "trained_by" },
                unique: true);
        }
    }
}
