"""Our own tables, beside Optuna's in the same database.

Times are seconds since 1970 in UTC, by the database's clock. Optuna's tables say which trials there are, with which
parameters and values; ours say who owns a trial, how it ended and why, and what the study was defined as.
"""

from sqlalchemy import JSON, Boolean, Column, Double, Integer, MetaData, String, Table, Text

REVISION = "0001"  # the last step in hpo/store/migrations/versions: who changes a table here adds one there

metadata = MetaData()

# which steps were taken; alembic's own, so not among those that the steps make
schema = Table("hpo_schema", MetaData(), Column("version_num", String(32), primary_key=True))

studies = Table(
    "hpo_studies",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),  # Optuna's
    Column("name", String(64), nullable=False, unique=True),
    Column("definition", Text, nullable=False),  # canonical JSON
    Column("digest", String(64), nullable=False),
    Column("spaces", JSON, nullable=False),  # family -> resolved space
    Column("data", JSON, nullable=False),  # DataRecord
    Column("versions", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("stop_requested", Boolean, nullable=False, default=False),
    Column("failures_since", Double, nullable=False),  # failed trials before this do not count as consecutive
    # the budget's clock: lease time is accounted for until `clock_at`
    Column("clock_at", Double, nullable=False),
    Column("worked_seconds", Double, nullable=False, default=0.0),  # with at least one live lease
    Column("slot_seconds", Double, nullable=False, default=0.0),  # summed over leases
)

# One row per trial: its lease while it runs, its record for ever.
#   live lease: worker set, expires_at in the future    lost: worker set, expires_at in the past
#   released:   worker null, expires_at null            ended: outcome set; closed once expires_at is null too
trials = Table(
    "hpo_trials",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("seed", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("losses", Integer, nullable=False, default=0),
    Column("worker", String(64)),
    Column("leased_at", Double),
    Column("expires_at", Double, index=True),
    Column("outcome", JSON),  # trial.Result
    Column("cause", String(32)),
    Column("finished_at", Double),
    Column("artifacts", Text, nullable=False),  # folder, relative to the artifact root
)

workers = Table(
    "hpo_workers",
    metadata,
    Column("worker", String(64), primary_key=True),
    Column("study_id", Integer, nullable=False, index=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("lease", Double, nullable=False),  # seconds without news after which it counts as gone
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("left_at", Double),
)
