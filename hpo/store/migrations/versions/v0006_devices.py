"""Which GPUs a worker uses."""

from alembic import op
from sqlalchemy import JSON, Column

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Makes the column."""
    op.add_column("hpo_workers", Column("devices", JSON))
