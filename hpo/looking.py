"""Looks at a study again and again: how it stands, and what changed. Knows neither terminals nor files.

A look costs the same however long the study is. A database that is away is said so, and looked at again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hpo.errors import StorageError, reason
from hpo.evaluated import evaluated
from hpo.render import ended_line, places, state
from hpo.store import OUTAGE, Status, Store, TrialRecord, is_outage, pareto


@dataclass(frozen=True)
class Look:
    """What a look at a study found.

    Attributes:
        status: of the study; running trials have the curves that were seen until now.
        news: a line for each thing that changed since the look before.
        away: why the database could not be looked at this time, so that the rest is old; empty if it could.
        evaluation: see `hpo.evaluated`; None where there is none, or nobody asked.
    """

    status: Status
    news: tuple[str, ...] = ()
    away: str = ""
    evaluation: Mapping[str, Any] | None = None


class Eyes:
    """Looks at one study, and knows what it saw before: who comes later is told only what happens from then on.

    Args:
        store: the database.
        name: of the study.
        evaluation: look at that too.
    """

    def __init__(self, store: Store, name: str, *, evaluation: bool = False) -> None:
        self._store = store
        self._name = name
        self._evaluation = evaluation
        self._metrics = store.study(name).definition.train.metrics
        self._curves: dict[tuple[int, int], dict[int, float]] = {}
        status, trials = store.look(name)
        self._ended = {trial.number for trial in trials if _has_ended(trial)}
        self._workers = _lives(status)
        self._state = state(status)
        self.last = Look(self._with_curves(status), evaluation=self._evaluated())

    def look(self) -> Look:
        """Looks once. While the database is away, the last look with the reason.

        Raises:
            HpoError: there is nothing to look at any more.
        """
        try:
            self.last = self._look()
        except (StorageError, *OUTAGE) as error:
            if isinstance(error, StorageError) and not is_outage(error):
                raise
            self.last = replace(self.last, news=(), away=reason(error.__cause__ or error))
        return self.last

    def _look(self) -> Look:
        status, trials = self._store.look(self._name)
        ended = [self._news_of(trial, trials) for trial in self._fresh(trials)]
        self._ended |= {trial.number for trial in trials if _has_ended(trial)}
        workers = _lives(status)
        said = [word for worker, word in workers.items() if self._workers.get(worker, "") != word]
        self._workers = workers
        now = state(status)
        if now != self._state:
            said.append(f"study {self._name}: {now}")
        self._state = now
        return Look(self._with_curves(status), (*ended, *said), evaluation=self._evaluated())

    def _evaluated(self) -> Mapping[str, Any] | None:
        return evaluated(self._store, self._store.study(self._name)) if self._evaluation else None

    def _fresh(self, trials: list[TrialRecord]) -> list[TrialRecord]:
        found = [trial for trial in trials if _has_ended(trial) and trial.number not in self._ended]
        return sorted(found, key=lambda trial: trial.finished_at or 0.0)

    def _news_of(self, trial: TrialRecord, trials: list[TrialRecord]) -> str:
        several = len(self._metrics) > 1
        best = {found.number for found in pareto(trials, self._metrics)[: None if several else 1]}
        return ended_line(self._store.ended_trial(self._name, trial.number), trial.number in best)

    def _with_curves(self, status: Status) -> Status:
        """Where a study's pruner hears of no epochs, the curve is what was seen from look to look."""
        curves = {}
        running = []
        for trial in status.running:
            key = (trial.number, trial.attempt)
            curve = curves[key] = {**self._curves.get(key, {}), **dict(trial.curve)}
            if trial.last_step is not None and trial.last_value is not None:
                curve[trial.last_step] = trial.last_value
            running.append(trial.model_copy(update={"curve": tuple(sorted(curve.items()))}))
        self._curves = curves
        return status.model_copy(update={"running": tuple(running)})


def _has_ended(trial: TrialRecord) -> bool:
    return trial.cause is not None and trial.state != "running"


def _lives(status: Status) -> dict[str, str]:
    """What there is to say of each worker: it came, it left, it is silent."""
    found = {}
    for worker in status.workers:
        who = f"worker {worker.host}, pid {worker.pid}"
        if worker.alive:
            found[worker.worker] = f"{who}: at work, {places(worker)}"
        else:
            found[worker.worker] = f"{who}: {'silent' if worker.left_at is None else 'left'}"
    return found
