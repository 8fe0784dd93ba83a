"""Trials that repeat the parameters of others."""

from alembic import op
from sqlalchemy import Column, Integer

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes the column."""
    op.add_column("hpo_trials", Column("same_as", Integer))
