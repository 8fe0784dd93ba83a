"""The only SQL: Optuna's storage and our own tables in one database."""

from hpo.store.address import has_password, redacted, without_password
from hpo.store.catalogue import Store
from hpo.store.claims import Claims
from hpo.store.connect import on_server
from hpo.store.evaluations import Evaluations, give
from hpo.store.overview import best_trial, ranked
from hpo.store.records import (
    Best,
    Claim,
    Configuration,
    DataRecord,
    Evaluation,
    Given,
    Idle,
    Orders,
    Over,
    Plan,
    Status,
    StudyRecord,
    TrialRecord,
    WorkerRecord,
)
from hpo.store.roles import Roles

__all__ = [
    "Best",
    "Claim",
    "Claims",
    "Configuration",
    "DataRecord",
    "Evaluation",
    "Evaluations",
    "Given",
    "Idle",
    "Orders",
    "Over",
    "Plan",
    "Roles",
    "Status",
    "Store",
    "StudyRecord",
    "TrialRecord",
    "WorkerRecord",
    "best_trial",
    "give",
    "has_password",
    "on_server",
    "ranked",
    "redacted",
    "without_password",
]
