"""When a study is over, and how much of its budget is left."""

from hpo.store.books import Row
from hpo.store.overview import consecutive_failures
from hpo.store.records import Idle, Over, StudyRecord
from hpo.store.rows import Rows
from hpo.study_file import Budget

BUDGETS = ("trials", "hours", "gpu_hours")


def over(record: StudyRecord, ended: int, account: Row, rows: Rows) -> Over | None:
    """Why no trial is to be claimed any more; None if one may be.

    Args:
        record: the study as it is now.
        ended: how many of its trials have ended and count.
        account: of its time.
        rows: of its trials, as they were just read.
    """
    budget = record.definition.budget
    used = (ended, account["worked_seconds"] / 3600, account["slot_seconds"] / 3600)
    limits = (budget.trials, budget.hours, budget.gpu_hours)
    for reason, use, limit in zip(BUDGETS, used, limits, strict=True):
        if limit is not None and use >= limit:
            return Over(reason=reason)
    if record.stop_requested:
        return Over(reason="stop")
    failed = consecutive_failures(rows.ends(), account["failures_since"])
    if len(failed) >= budget.max_consecutive_failures:
        return Over(reason="failed", detail=rows.outcome(failed[0]).detail)
    return None


def no_more(trials: int, ended: int) -> Idle | Over:
    """What a worker is told once all trials of the budget were given out: some may still come back.

    Args:
        trials: of the budget.
        ended: how many of them have ended and count.
    """
    return Over(reason="trials") if ended >= trials else Idle()


def seconds_left(budget: Budget, account: Row, slots: int) -> float | None:
    """Until a budget of time ends, if all slots go on; None where there is none.

    Args:
        budget: of the study.
        account: of its time.
        slots: that train at this moment.
    """
    left = []
    if budget.hours is not None:
        left.append(budget.hours * 3600 - account["worked_seconds"])
    if budget.gpu_hours is not None:
        left.append((budget.gpu_hours * 3600 - account["slot_seconds"]) / max(1, slots))
    return max(0.0, min(left)) if left else None
