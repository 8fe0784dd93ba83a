"""The tables of hpo 0.1.0: studies, trials, workers."""

from alembic import op
from sqlalchemy import JSON, Boolean, Column, Double, Integer, String, Text

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes them."""
    op.create_table(
        "hpo_studies",
        Column("study_id", Integer, primary_key=True, autoincrement=False),
        Column("name", String(64), nullable=False, unique=True),
        Column("definition", Text, nullable=False),
        Column("digest", String(64), nullable=False),
        Column("spaces", JSON, nullable=False),
        Column("data", JSON, nullable=False),
        Column("versions", JSON, nullable=False),
        Column("created_at", Double, nullable=False),
        Column("stop_requested", Boolean, nullable=False),
        Column("failures_since", Double, nullable=False),
        Column("clock_at", Double, nullable=False),
        Column("worked_seconds", Double, nullable=False),
        Column("slot_seconds", Double, nullable=False),
    )
    op.create_table(
        "hpo_trials",
        Column("study_id", Integer, primary_key=True, autoincrement=False),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("seed", Integer, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("losses", Integer, nullable=False),
        Column("worker", String(64)),
        Column("leased_at", Double),
        Column("expires_at", Double, index=True),
        Column("outcome", JSON),
        Column("cause", String(32)),
        Column("finished_at", Double),
        Column("artifacts", Text, nullable=False),
    )
    op.create_table(
        "hpo_workers",
        Column("worker", String(64), primary_key=True),
        Column("study_id", Integer, nullable=False, index=True),
        Column("host", String(255), nullable=False),
        Column("pid", Integer, nullable=False),
        Column("slots", Integer, nullable=False),
        Column("lease", Double, nullable=False),
        Column("started_at", Double, nullable=False),
        Column("seen_at", Double, nullable=False),
        Column("left_at", Double),
    )
