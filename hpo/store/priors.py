"""What a study knows of other studies' trials. Samplers are taught it; counts, budgets and the best trial are not."""

from collections import Counter
from collections.abc import Iterable

from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import Select, insert, select

from hpo import search
from hpo.search import Spaces
from hpo.store import tables
from hpo.store.database import Database
from hpo.store.records import Prior, StudyRecord


def take(store: Database, record: StudyRecord, priors: Iterable[Prior]) -> int:
    """Keeps what is not kept yet, each trial of a source once. Returns how many were new."""
    with store.lock(record.name).hold(), store.rdb.engine.begin() as connection:
        there = {(row.source, row.trial) for row in connection.execute(_keys(record))}
        new = [prior for prior in priors if (prior.source, prior.trial) not in there]
        if new:
            now = store.now(connection)
            connection.execute(
                insert(tables.priors),
                [
                    {
                        "study_id": record.study_id,
                        "source": prior.source,
                        "trial": prior.trial,
                        "prior": prior.model_dump(mode="json"),
                        "taken_at": now,
                    }
                    for prior in new
                ],
            )
    return len(new)


def sources(store: Database, record: StudyRecord) -> dict[str, int]:
    """Each study that it has knowledge of -> of how many trials."""
    with store.rdb.engine.begin() as connection:
        return dict(Counter(row.source for row in connection.execute(_keys(record))))


def read(store: Database, record: StudyRecord) -> list[Prior]:
    """All of it, the oldest first."""
    columns = tables.priors.c
    with store.rdb.engine.begin() as connection:
        rows = connection.execute(
            select(columns.prior)
            .where(columns.study_id == record.study_id)
            .order_by(columns.taken_at, columns.source, columns.trial)
        ).scalars()
        return [Prior.model_validate(row) for row in rows]


def as_trials(priors: list[Prior], spaces: Spaces, *, metrics: int = 1) -> list[FrozenTrial]:
    """As Optuna's trials, ended, with numbers below 0: a sampler takes them for older than all of the study's.

    Args:
        priors: what is known.
        spaces: of the study.
        metrics: how many the study has. With several its own trials report no steps to Optuna, nor do these: Optuna
            would ask which way a step's one value is better.
    """
    known = search.distributions(spaces)
    trials = []
    for place, prior in enumerate(priors):
        trial = create_trial(
            state=TrialState[prior.state.upper()],
            values=prior.values,
            params=prior.params,
            distributions={name: known[name] for name in prior.params},
            intermediate_values=_reports(prior) if metrics == 1 else {},
            constraints={search.CONSTRAINT: 1.0} if prior.infeasible else None,
        )
        trial.number = place - len(priors)
        trials.append(trial)
    return trials


def _reports(prior: Prior) -> dict[int, float]:
    return {} if prior.last_step is None else {prior.last_step: prior.last_value or 0.0}


def _keys(record: StudyRecord) -> Select[tuple[str, int]]:
    columns = tables.priors.c
    return select(columns.source, columns.trial).where(columns.study_id == record.study_id)
