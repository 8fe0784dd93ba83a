"""Our own tables, beside Optuna's in the same database.

Times are seconds since 1970 in UTC, by the database's clock. Optuna's tables say which trials there are, with which
parameters and values; ours say who owns a trial, how it ended and why, and what the study was defined as.
"""

from sqlalchemy import JSON, Boolean, Column, Double, Integer, MetaData, String, Table, Text

REVISION = "0008"  # the last step in hpo/store/migrations/versions: who changes a table here adds one there

metadata = MetaData()

# which steps were taken; alembic's own, so not among those that the steps make
schema = Table("hpo_schema", MetaData(), Column("version_num", String(32), primary_key=True))

studies = Table(
    "hpo_studies",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),  # Optuna's
    Column("name", String(80), nullable=False, unique=True),  # up to 64 from a file, and what siblings add
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
    Column("progress_at", Double),  # when a trial was begun, heard of or ended last
)

# One row per trial: its lease while it runs, its record for ever.
#   live lease: worker set, expires_at in the future    lost: worker set, expires_at in the past
#   released:   worker null, expires_at null            ended: outcome set; closed once expires_at is null too
#   held back:  as released, and same_as set, until that trial ends
trials = Table(
    "hpo_trials",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("seed", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("losses", Integer, nullable=False, default=0),
    # attempts that somebody ended in order: a scheduler, or a person
    Column("preempted", Integer, nullable=False, default=0, server_default="0"),
    Column("cancelled", Integer, nullable=False, default=0, server_default="0"),
    Column("worker", String(64)),
    Column("leased_at", Double),
    Column("expires_at", Double, index=True),
    Column("outcome", JSON),  # trial.Result
    Column("cause", String(32)),
    Column("finished_at", Double),
    Column("artifacts", Text, nullable=False),  # folder, relative to the artifact root
    Column("same_as", Integer),  # the trial whose parameters came up again: this one was not trained
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
    Column("devices", JSON),  # of each slot: the GPU that it uses, null for none; null for workers of older versions
)

# What `hpo evaluate` found out about a study, one row for each time that it began anew.
evaluations = Table(
    "hpo_evaluations",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),  # of the study that is evaluated
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("plan", JSON, nullable=False),  # records.Plan
    Column("winner", String(16)),  # key of a configuration of the plan; null while they are ranked
    Column("report", JSON),  # null until the evaluation has ended
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
)

# Who looked at which test part. Rows stay when a study is removed: what was seen cannot be unseen.
openings = Table(
    "hpo_openings",
    metadata,
    Column("test_sha256", String(64), primary_key=True),  # of the test part's arrays alone
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("study", String(80), nullable=False),
    Column("purpose", String(64), nullable=False),  # hash of what was scored: the same models open once
    Column("who", String(255), nullable=False),
    Column("opened_at", Double, nullable=False),
)

# What is to be said of a study, for each way to say it.
notices = Table(
    "hpo_notices",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("event", String(64), primary_key=True),  # what happened, the same for everybody who notices
    Column("channel", String(16), primary_key=True),
    Column("notice", JSON, nullable=False),  # what is said; no secret
    Column("created_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),  # until then it is somebody's who delivers it, or waits after a failure
    Column("tries", Integer, nullable=False),
    Column("delivered_at", Double),
    Column("error", Text),  # of the last try
)

# Studies whose deletion has begun: their rows are gone, their files may not be.
deletions = Table(
    "hpo_deletions",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("began_at", Double, nullable=False),
)

# What a study knows of the trials of other studies: copied, so that those may change or go.
priors = Table(
    "hpo_priors",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),  # of the study that knows it
    Column("source", String(80), primary_key=True),  # name of the other study
    Column("trial", Integer, primary_key=True, autoincrement=False),  # its number there
    Column("prior", JSON, nullable=False),  # records.Prior
    Column("taken_at", Double, nullable=False),
)
