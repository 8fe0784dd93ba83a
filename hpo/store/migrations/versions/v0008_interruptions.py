"""How often a trial was taken from a worker in order."""

from alembic import op
from sqlalchemy import Column, Integer

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Adds the columns; nobody counted before."""
    for name in ("preempted", "cancelled"):
        op.add_column("hpo_trials", Column(name, Integer, nullable=False, server_default="0"))
