"""What a study knows of other studies' trials."""

from alembic import op
from sqlalchemy import JSON, Column, Double, Integer, String

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "hpo_priors",
        Column("study_id", Integer, primary_key=True, autoincrement=False),
        Column("source", String(80), primary_key=True),
        Column("trial", Integer, primary_key=True, autoincrement=False),
        Column("prior", JSON, nullable=False),
        Column("taken_at", Double, nullable=False),
    )
