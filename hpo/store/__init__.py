"""The only SQL: Optuna's storage and our own tables in one database."""

from hpo.store.catalogue import Store
from hpo.store.claims import Claims
from hpo.store.connect import on_server, redacted
from hpo.store.overview import best_trial
from hpo.store.records import (
    Best,
    Claim,
    DataRecord,
    Idle,
    Orders,
    Over,
    Status,
    StudyRecord,
    TrialRecord,
    WorkerRecord,
)

__all__ = [
    "Best",
    "Claim",
    "Claims",
    "DataRecord",
    "Idle",
    "Orders",
    "Over",
    "Status",
    "Store",
    "StudyRecord",
    "TrialRecord",
    "WorkerRecord",
    "best_trial",
    "on_server",
    "redacted",
]
