"""Evaluations of studies, and who opened which test part; room for the names of the studies beside a study."""

from alembic import op
from sqlalchemy import JSON, Column, Double, Integer, String

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes the tables, and widens a column."""
    with op.batch_alter_table("hpo_studies") as studies:
        studies.alter_column("name", existing_type=String(64), type_=String(80), existing_nullable=False)
    op.create_table(
        "hpo_evaluations",
        Column("study_id", Integer, primary_key=True, autoincrement=False),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("plan", JSON, nullable=False),
        Column("winner", String(16)),
        Column("report", JSON),
        Column("created_at", Double, nullable=False),
        Column("finished_at", Double),
    )
    op.create_table(
        "hpo_openings",
        Column("test_sha256", String(64), primary_key=True),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("study", String(80), nullable=False),
        Column("purpose", String(64), nullable=False),
        Column("who", String(255), nullable=False),
        Column("opened_at", Double, nullable=False),
    )
