"""Notes on studies that are being deleted."""

from alembic import op
from sqlalchemy import Column, Double, String

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "hpo_deletions",
        Column("name", String(80), primary_key=True),
        Column("began_at", Double, nullable=False),
    )
