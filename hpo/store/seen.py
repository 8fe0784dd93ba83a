"""The trials of a study as a process has seen them. What has ended is kept, and nothing else is read again.

Optuna sorts, filters and counts all trials whenever somebody asks for some. Here a look takes as long as there are
trials that run or wait, and trials that ended since the last look.
"""

import contextlib
import copy
import json
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._cached_storage import _CachedStorage, _StudyInfo
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import insert

from hpo.store.reading import ENDS, EPOCHS_OF_RUNNING, Reading

_PARAMS, _ATTRIBUTES = models.TrialParamModel.__table__, models.TrialSystemAttributeModel.__table__


@dataclass
class Seen:
    """The trials of one study at one moment. Not to be changed.

    Attributes:
        trials: all, by number.
        unfinished: those that run or wait, by number; their epochs may be missing.
        finished: the others, in the order in which this process came to know that they have ended: a later look finds
            the same ones, and more behind them.
        failed: how many of those are of no use: their state is FAIL.
    """

    trials: Sequence[FrozenTrial] = ()
    unfinished: Sequence[FrozenTrial] = ()
    finished: Sequence[FrozenTrial] = ()
    failed: int = 0

    def of(self, state: TrialState) -> list[int]:
        """Numbers of the unfinished trials in this state."""
        return [trial.number for trial in self.unfinished if trial.state is state]


@dataclass
class _Study:
    trials: list[FrozenTrial | None] = field(default_factory=list)
    known: int = 0  # of the trials; fewer than there are places while others' new ones were not read yet
    unfinished: dict[int, FrozenTrial] = field(default_factory=dict)
    finished: list[FrozenTrial] = field(default_factory=list)
    failed: int = 0


class _Gathered(NamedTuple):
    """Rows to be written."""

    params: list[dict[str, Any]]
    attributes: dict[str, dict[str, Any]]  # by name: a sampler may write one again


class Cache(_CachedStorage):
    """Optuna's cache of trials that have ended, with `see`. Thread-safe."""

    _backend: Reading

    def __init__(self, backend: Reading) -> None:
        super().__init__(backend)
        self._seen: dict[int, _Study] = {}
        self._created: dict[int, float] = {}
        self._asking = threading.local()

    def __getstate__(self) -> dict[Any, Any]:
        """As Optuna's: what belongs to the threads of one process stays there."""
        state = super().__getstate__()
        del state["_asking"]
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """As Optuna's."""
        super().__setstate__(state)
        self._asking = threading.local()

    @contextlib.contextmanager
    def asking(self, still_held: Callable[[], None]) -> Iterator[None]:
        """While this thread has a trial proposed: nothing is read again, and what is proposed is written at the end.

        To be entered under the study's lock, which keeps others from adding to its trials, after a look at them.
        Optuna would read them up to four times more, and write each parameter by itself.

        Args:
            still_held: raises if the lock was lost: another one has then proposed parameters of the same trial.
        """
        gathered = self._asking.gathered = _Gathered([], {})
        try:
            yield
            del self._asking.gathered
            if gathered.params or gathered.attributes:
                still_held()
                with self._backend.engine.begin() as connection:
                    for table, rows in ((_PARAMS, gathered.params), (_ATTRIBUTES, list(gathered.attributes.values()))):
                        if rows:
                            connection.execute(insert(table), rows)
        finally:
            vars(self._asking).pop("gathered", None)

    def _gathered(self) -> _Gathered | None:
        return getattr(self._asking, "gathered", None)

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """At once, or with all others of a new trial."""
        gathered = self._gathered()
        if gathered is None:
            super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
        else:
            gathered.params.append(
                {
                    "trial_id": trial_id,
                    "param_name": param_name,
                    "param_value": param_value_internal,
                    "distribution_json": distribution_to_json(distribution),
                }
            )

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """At once, or with all others of a new trial."""
        gathered = self._gathered()
        if gathered is None:
            super().set_trial_system_attr(trial_id, key, value)
        else:
            gathered.attributes[key] = {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}

    def see(self, study_id: int) -> Seen:
        """The trials as they are now, those that run without their epochs.

        Args:
            study_id: of the study.
        """
        before = EPOCHS_OF_RUNNING.set(False)
        try:
            self._read_everything(study_id)
        finally:
            EPOCHS_OF_RUNNING.reset(before)
        return self._known(study_id)

    def one(self, study_id: int, number: int) -> FrozenTrial:
        """One trial as it is now."""
        return self.get_trial(self.get_trial_id_from_study_id_trial_number(study_id, number))

    def _read_everything(self, study_id: int) -> None:
        if self._gathered() is None:
            self._read_trials_from_remote_storage(study_id)

    def _known(self, study_id: int) -> Seen:
        with self._lock:
            study = self._seen.get(study_id) or _Study()
            complete = study.known == len(study.trials)
            return Seen(
                # a copy of the list alone: looking at each of thousands would take longer than all the rest
                trials=cast(list[FrozenTrial], study.trials[:] if complete else list(filter(None, study.trials))),
                unfinished=[study.unfinished[number] for number in sorted(study.unfinished)],
                finished=study.finished[:],
                failed=study.failed,
            )

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials by number.

        Args:
            study_id: of the study.
            deepcopy: so that they may be changed.
            states: only these; None for all.
        """
        if states is None or any(state in states for state in TrialState if state not in ENDS):
            self._read_everything(study_id)
        else:
            self._read_ended(study_id)
        seen = self._known(study_id)
        of = seen.unfinished if states is not None and not any(end in states for end in ENDS) else seen.trials
        found = [trial for trial in of if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def _read_ended(self, study_id: int) -> None:
        """Reads the trials that have ended since, and nothing of those that run.

        Most pruners compare a trial with ended ones, at every epoch of all trials of a fleet. Those that run, with all
        of their epochs, would be nearly all that is read.
        """
        if self._gathered() is not None:
            return
        with self._lock:
            study = self._studies.get(study_id)
            known, top = (study.unfinished_trial_ids, study.last_finished_trial_id) if study else (set[int](), -1)
            ended = self._backend.ended(study_id, known, top)
            # what is open or above `top` stays so for the next look at everything: only that one may move them
            new = {each for each in ended if self._get_cached_trial(each) is None}
            if new:
                trials = self._backend._get_trials(study_id, ENDS, new, max(new))
                self._studies.setdefault(study_id, _StudyInfo())
                self._add_trials_to_cache(study_id, trials)

    def delete_study(self, study_id: int) -> None:
        """Forgets it too: SQLite gives its number to the next one."""
        with self._lock:
            self._forget(study_id)
        super().delete_study(study_id)

    def only(self, study_id: int, created_at: float) -> None:
        """Forgets what it knows of an earlier study of this number, which another process has deleted.

        Args:
            study_id: of the study.
            created_at: when it was created.
        """
        with self._lock:
            if self._created.setdefault(study_id, created_at) != created_at:
                self._forget(study_id)
                self._created[study_id] = created_at

    def _forget(self, study_id: int) -> None:
        """Ours, and what Optuna's cache would forget of a study that it deletes itself."""
        self._seen.pop(study_id, None)
        self._studies.pop(study_id, None)
        of_study = [key for key in self._study_id_and_number_to_trial_id if key[0] == study_id]
        for key in of_study:
            self._trial_id_to_study_id_and_number.pop(self._study_id_and_number_to_trial_id.pop(key), None)

    def _add_trials_to_cache(self, study_id: int, trials: list[FrozenTrial]) -> None:
        """Called by Optuna's cache, under its lock, with what it has read or made."""
        super()._add_trials_to_cache(study_id, trials)
        study = self._seen.setdefault(study_id, _Study())
        for trial in trials:
            number = trial.number
            # one that was just made may have a number beyond those that others made meanwhile
            study.trials += [None] * (number + 1 - len(study.trials))
            before = study.trials[number]
            study.known += before is None
            study.trials[number] = trial
            if not trial.state.is_finished():
                study.unfinished[number] = trial
            elif before is None or not before.state.is_finished():
                study.unfinished.pop(number, None)
                study.finished.append(trial)
                study.failed += trial.state is TrialState.FAIL
