"""Reads trials out of Optuna's tables: in few statements, and what many trials share once in memory.

Optuna's own reading makes an object of every row of six tables and parses the range of every parameter of every trial
anew, which on a study of 10,000 trials is most of a worker's first claim, in time and in memory (docs/scaling.md).
"""

import contextlib
import json
import math
import sys
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Integer, String, Table, Text, cast, literal, null, select, union_all

AT_ONCE = 1000  # trials whose details are asked for in one statement
# What TPE writes down of a trial while it runs, for those who ask meanwhile; of a trial that ended it reads `params`.
OF_RUNNING = "tpe:relative_params:"
ENDS = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

# Whether the epochs of trials that run are read too. They are most of what there is to read on a large fleet, and who
# claims has no use for them.
EPOCHS_OF_RUNNING: ContextVar[bool] = ContextVar("EPOCHS_OF_RUNNING", default=True)

_trials, _params, _values, _steps, _ours, _theirs = (
    model.__table__
    for model in (
        models.TrialModel,
        models.TrialParamModel,
        models.TrialValueModel,
        models.TrialIntermediateValueModel,
        models.TrialUserAttributeModel,
        models.TrialSystemAttributeModel,
    )
)
_SPECIAL = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}


class Reading(optuna.storages.RDBStorage):
    """Optuna's storage, with another way to read trials."""

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """What all of Optuna's reading of more than one trial comes down to, by trial id.

        Args:
            study_id: of the study.
            states: only these; None for all.
            included_trial_ids: of those up to the next argument, only these.
            trial_id_greater_than: and all after this one; -1 for all.

        Raises:
            KeyError: there is no such study.
        """
        column = _trials.c
        wanted = select(_trials).where(column.study_id == study_id).order_by(column.trial_id)
        if states is not None:
            wanted = wanted.where(column.state.in_([state for state in TrialState if state in states]))
        older = sorted(each for each in included_trial_ids if each <= trial_id_greater_than)
        if trial_id_greater_than >= 0:
            newer = column.trial_id > trial_id_greater_than
            wanted = wanted.where(newer | column.trial_id.in_(older) if older else newer)
        found: list[FrozenTrial] = []
        with self.engine.begin() as connection:
            rows = connection.execute(wanted).all()
            for begin in range(0, len(rows), AT_ONCE):
                found += _whole(connection, rows[begin : begin + AT_ONCE])
        if not found:
            self.get_study_name_from_id(study_id)
        return found

    def ended(self, study_id: int, among: Collection[int], after: int) -> set[int]:
        """Ids of the trials that have ended: of some, and of all whose id is greater than another one."""
        column = _trials.c
        wanted = select(column.trial_id).where(
            column.study_id == study_id,
            column.state.in_(ENDS),
            (column.trial_id > after) | column.trial_id.in_(sorted(among)),
        )
        with self.engine.begin() as connection:
            return set(connection.execute(wanted).scalars())

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """One trial.

        Raises:
            KeyError: there is none.
        """
        session = self.scoped_session()
        # Optuna asks from within its own transactions too: on SQLite another one would wait for that one's end
        within = contextlib.nullcontext(session.connection()) if session.in_transaction() else self.engine.begin()
        with within as connection:
            rows = connection.execute(select(_trials).where(_trials.c.trial_id == trial_id)).all()
            for trial in _whole(connection, rows):
                return trial
        raise KeyError(f"no trial has the id {trial_id}")


def _whole(connection: Connection, rows: Sequence[Any]) -> Iterator[FrozenTrial]:
    """The trials of some rows of Optuna's first table."""
    details: dict[int, tuple[list[Any], ...]] = {row.trial_id: ([], [], [], [], []) for row in rows}
    if not rows:
        return
    everything = EPOCHS_OF_RUNNING.get()
    with_epochs = [row.trial_id for row in rows if everything or row.state.is_finished()]
    for kind, trial_id, *detail in connection.execute(_details(list(details), with_epochs)):
        details[trial_id][kind].append(detail)
    for row in rows:
        ended = row.state.is_finished()
        params, values, steps, ours, theirs = details[row.trial_id]
        ranges = _ranges(tuple((name, text) for _, name, _, text in sorted(params)))
        if not ended:
            ranges = dict(ranges)  # whoever goes on with the trial may add to its own
        yield FrozenTrial(
            number=row.number,
            state=row.state,
            value=None,
            values=[_number(real, kind) for _, _, real, kind in sorted(values)] or None,
            datetime_start=_local(row.datetime_start),
            datetime_complete=_local(row.datetime_complete),
            params={_word(name): ranges[name].to_external_repr(real) for _, name, real, _ in sorted(params)},
            distributions=ranges,
            user_attrs=_attributes(ours),
            system_attrs=_attributes(each for each in theirs if not (ended and each[1].startswith(OF_RUNNING))),
            intermediate_values={step: _number(real, kind) for step, _, real, kind in steps},
            trial_id=row.trial_id,
        )


def _details(ids: Sequence[int], with_epochs: Sequence[int]) -> Any:
    """Rows of five tables in one: which, whose, a whole number, a name, a number, a text."""
    nothing = (cast(null(), Integer), cast(null(), Text))
    number, name = nothing
    param, value, step, user, system = (table.c for table in (_params, _values, _steps, _ours, _theirs))

    def part(kind: int, table: Table, *columns: Any, of: Sequence[int] = ids) -> Any:
        return select(literal(kind, Integer), table.c.trial_id, *columns).where(table.c.trial_id.in_(of))

    real = cast(null(), param.param_value.type)
    return union_all(
        part(0, _params, param.param_id, param.param_name, param.param_value, param.distribution_json),
        part(1, _values, value.objective, name, value.value, cast(value.value_type, String)),
        part(
            2,
            _steps,
            step.step,
            name,
            step.intermediate_value,
            cast(step.intermediate_value_type, String),
            of=with_epochs,
        ),
        part(3, _ours, number, user.key, real, user.value_json),
        part(4, _theirs, number, system.key, real, system.value_json),
    )


def _attributes(details: Iterable[Sequence[Any]]) -> dict[str, Any]:
    found = {}
    for _, name, _, text in details:
        value = json.loads(text)
        found[_word(name)] = _word(value) if isinstance(value, str) else value
    return found


@lru_cache(maxsize=1000)
def _ranges(texts: tuple[tuple[str, str], ...]) -> dict[str, BaseDistribution]:
    """The ranges of a trial's parameters: one table for all trials that have the same."""
    return {_word(name): _range(text) for name, text in texts}


@lru_cache(maxsize=1000)
def _range(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def _word(text: str) -> str:
    return sys.intern(text) if len(text) < 40 else text


def _number(real: float | None, kind: str) -> float:
    return _SPECIAL[kind] if real is None else real


def _local(moment: datetime | None) -> datetime | None:
    """Optuna keeps UTC, and shows local time."""
    return None if moment is None else moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
