"""What is to be said of studies, and when they last moved."""

from alembic import op
from sqlalchemy import JSON, Column, Double, Integer, String, Text

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Makes the table and the column."""
    op.add_column("hpo_studies", Column("progress_at", Double))
    op.create_table(
        "hpo_notices",
        Column("study_id", Integer, primary_key=True, autoincrement=False),
        Column("event", String(64), primary_key=True),
        Column("channel", String(16), primary_key=True),
        Column("notice", JSON, nullable=False),
        Column("created_at", Double, nullable=False),
        Column("due_at", Double, nullable=False),
        Column("tries", Integer, nullable=False),
        Column("delivered_at", Double),
        Column("error", Text),
    )
