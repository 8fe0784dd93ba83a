"""A look at a study that does not read what its trials reported: enough for its status, however long it is.

Optuna reads every epoch of every trial to tell how many there are. Of trials that ended, our own rows know all that a
status needs; Optuna is asked for the few that have not, and for the parameters of the best.
"""

import contextlib
from collections.abc import Mapping
from itertools import chain, count
from typing import Any

import optuna
from sqlalchemy import select

from hpo import search
from hpo.store import overview, tables
from hpo.store.database import Database
from hpo.store.records import StudyRecord, TrialRecord

_OPEN = (optuna.trial.TrialState.RUNNING, optuna.trial.TrialState.WAITING)
_CLOSED = ("complete", "pruned", "fail")
MOST_SINGLE = 50  # trials that are read one by one; more of them are read all at once


def trials(store: Database, record: StudyRecord) -> list[TrialRecord]:
    """All trials of a study by number; those that ended have no `params`, and a value only if they completed.

    Who looks again gets those that have ended from memory.
    """
    ended = store.glanced.setdefault((record.study_id, record.created_at), {})
    now, ours = overview.rows(store, record, ended)
    unfinished = store.rdb.get_all_trials(record.study_id, deepcopy=False, states=_OPEN)
    found = {trial.number: overview.trial_record(trial, ours.get(trial.number), now) for trial in unfinished}
    for number, row in ours.items():
        if number not in found and number not in ended and row["outcome"] is not None:
            ended[number] = _ended(row, record.definition.train.metrics)
    found = ended | found
    # What is new or ended meanwhile, and what ended without us. Optuna counts trials by reading them all.
    top, known = max(found, default=-1), len(found)
    missing = [number for number in range(top) if number not in found]
    with contextlib.suppress(KeyError):  # the number after the last one
        for number in chain(missing, count(top + 1)):
            if len(found) - known == MOST_SINGLE:
                return overview.trials(store, record)
            found[number] = trial(store, record, number)
    return [found[number] for number in sorted(found)]


def whole(store: Database, record: StudyRecord, number: int) -> TrialRecord:
    """One trial that has ended, with its parameters; from memory for who asks again."""
    ended = store.ended.setdefault((record.study_id, record.created_at), {})
    if (known := ended.get(number)) is not None:
        return known
    found = trial(store, record, number)
    if found.cause is not None and found.state in _CLOSED:
        ended[number] = found
    return found


def trial(store: Database, record: StudyRecord, number: int) -> TrialRecord:
    """One trial, whole.

    Raises:
        KeyError: the study has no such trial.
    """
    columns = tables.trials.c
    with store.rdb.engine.begin() as connection:
        now = store.now(connection)
        wanted = select(tables.trials).where(columns.study_id == record.study_id, columns.number == number)
        row = connection.execute(wanted).mappings().one_or_none()
    frozen = store.rdb.get_trial(store.rdb.get_trial_id_from_study_id_trial_number(record.study_id, number))
    return overview.trial_record(frozen, None if row is None else dict(row), now)


def _ended(row: Mapping[str, Any], metrics: tuple[str, ...]) -> TrialRecord:
    kept = overview.kept(row, 0.0)
    state, values = search.ending(kept["outcome"], metrics)
    return TrialRecord(
        number=row["number"],
        state=state.name.lower(),
        value=values[0] if values else None,
        values=tuple(values) if values else None,
        params={},
        **kept,
    )
