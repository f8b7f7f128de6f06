using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace QueueMaaS.Migrations.PostgreSql.Migrations
{
    /// <inheritdoc />
    public partial class AliasShare : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<double>(
                name: "share",
                table: "model_aliases",
                type: "double precision",
                nullable: true);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropColumn(
                name: "share",
                table: "model_aliases");
        }
    }
}
