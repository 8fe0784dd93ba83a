"""The only SQL: Optuna's storage and our own tables in one database."""

from hpo.store.address import has_password, redacted, without_password
from hpo.store.catalogue import Store
from hpo.store.claims import Claims
from hpo.store.connect import OUTAGE, is_outage, missing, on_server, passes, retried
from hpo.store.evaluations import Evaluations, give, open_once, openings, refuse_second, unite
from hpo.store.overview import pareto, ranked
from hpo.store.records import (
    Best,
    Claim,
    Configuration,
    DataRecord,
    Doomed,
    Evaluation,
    Given,
    Idle,
    Opening,
    Orders,
    Over,
    Plan,
    Prior,
    Start,
    Status,
    StudyRecord,
    TrialRecord,
    WorkerRecord,
)
from hpo.store.roles import Roles

__all__ = [
    "OUTAGE",
    "Best",
    "Claim",
    "Claims",
    "Configuration",
    "DataRecord",
    "Doomed",
    "Evaluation",
    "Evaluations",
    "Given",
    "Idle",
    "Opening",
    "Orders",
    "Over",
    "Plan",
    "Prior",
    "Roles",
    "Start",
    "Status",
    "Store",
    "StudyRecord",
    "TrialRecord",
    "WorkerRecord",
    "give",
    "has_password",
    "is_outage",
    "missing",
    "on_server",
    "open_once",
    "openings",
    "pareto",
    "passes",
    "ranked",
    "redacted",
    "refuse_second",
    "retried",
    "unite",
    "without_password",
]
