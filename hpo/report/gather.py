"""Everything that a report says, read from the store: a study, its trials, its evaluation, files of the best trials.

Nothing is written. Names of users and machines stay behind unless they are asked for: a report is handed on.
"""

import math
import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import optuna

from hpo.artifacts.copies import Copies
from hpo.curves import CURVES, REPORT
from hpo.errors import StorageError
from hpo.evaluated import without_names
from hpo.evaluation.flow import with_openings
from hpo.formats import read_json
from hpo.redact import scrub
from hpo.scores import Direction
from hpo.search import directions, params_of
from hpo.space import Params
from hpo.store import Evaluations, Status, Store, StudyRecord, TrialRecord, overview, ranked
from hpo.trial import Cause

FEWEST = 10  # completed trials from which importances are told
MOST_CURVES = 5  # trials whose files are read
REPEATED = "repeated"


@dataclass(frozen=True)
class Tried:
    """One trial as figures and tables need it.

    Attributes:
        family: None before it has begun.
        searched: the hyperparameters that the sampler chose, without the family in front of their names.
        reports: step -> the score that was reported then, as far as the database heard of them; `hpo.pruners` says
            what a step is.
        worker: a name that says nothing of the machine, or its host and pid.
        began: seconds since 1970 when somebody first began it. heard: when its worker was last heard of. None where
            that is not known.
    """

    record: TrialRecord
    family: str | None
    searched: Params
    reports: dict[int, float]
    worker: str | None
    began: float | None
    heard: float | None

    @property
    def number(self) -> int:
        """Its number."""
        return self.record.number

    @property
    def cause(self) -> str:
        """How it ended in a word or two, or that it has not."""
        if self.record.same_as is not None and self.record.cause:
            return REPEATED
        return self.record.cause.value if self.record.cause else self.record.state

    @property
    def completed(self) -> bool:
        """Whether it has a score that ranks it."""
        return self.record.state == "complete" and self.record.value is not None

    @property
    def value(self) -> float:
        """Its score, or the last one reported; NaN where there is none."""
        value = self.record.value if self.record.value is not None else self.record.last_value
        return math.nan if value is None else value

    @property
    def seconds(self) -> float:
        """It took; NaN where nobody knows, or another trial answered for it."""
        outcome = self.record.outcome
        return outcome.seconds.get("total", math.nan) if outcome and self.record.same_as is None else math.nan

    @property
    def detail(self) -> str:
        """What a failed one said last, on one line."""
        detail = self.record.outcome.detail.strip() if self.record.outcome else ""
        return scrub(detail.rpartition("\n")[2])


@dataclass(frozen=True)
class Files:
    """The files of one trial: epochs of each fold, and the report on its scores; None where it left none."""

    folds: list[list[dict[str, float | None]]] | None
    report: dict[str, Any] | None


@dataclass(frozen=True)
class Found:
    """What a report is made of.

    Attributes:
        trials: all of them by number. best: completed ones of different settings, the best first.
        evaluation: report of the last one that has ended, with all openings until now; None without one.
        going: an evaluation is under way.
        importances: hyperparameter -> share, the largest first; empty where there are too few completed trials.
        files: of the best trials by number, as far as they are on this machine.
        workers: how they are called here, the first one to join first.
        now: seconds since 1970 by the database's clock.
    """

    record: StudyRecord
    status: Status
    trials: list[Tried]
    best: list[Tried]
    evaluation: dict[str, Any] | None
    going: bool
    importances: dict[str, float]
    files: dict[int, Files]
    workers: tuple[str, ...]
    now: float

    @property
    def metric(self) -> str:
        """The first one."""
        return self.record.definition.train.metric

    @property
    def direction(self) -> Direction:
        """Whether more of the first metric is better."""
        return directions([self.metric])[0]

    @property
    def sign(self) -> float:
        """Of two trials that one is better whose value times it is larger."""
        return 1.0 if self.direction == "maximize" else -1.0

    @property
    def winner(self) -> Tried | None:
        """Of the evaluation, or before one the best trial; None before one completed."""
        number: int | None = self.evaluation["configurations"][0]["trial"] if self.evaluation else None
        if number is not None:
            return self.trials[number]
        return self.best[0] if self.best else None

    @property
    def ends(self) -> dict[str, list[Tried]]:
        """The trials that ended by their cause, completed and pruned ones first."""
        ended = [one for one in self.trials if one.record.cause is not None]
        order = [*(cause.value for cause in Cause), REPEATED]
        return {word: found for word in order if (found := [one for one in ended if one.cause == word])}

    @property
    def families(self) -> dict[str, list[Tried]]:
        """The trials that began by their family."""
        return {family: [one for one in self.trials if one.family == family] for family in self.record.spaces}


def gather(store: Store, name: str, copies: Copies, *, names: bool = False) -> Found:
    """Reads a study.

    Args:
        store: the database.
        name: of the study.
        copies: of the trials' files; those that are not there are left out.
        names: tell hosts and users.

    Raises:
        UsageError: there is no such study.
    """
    record = store.study(name)
    records = store.trials(name)
    status = overview.status(store, record, records)
    study = store.optuna_study(record)
    frozen = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    heard = {worker.worker: worker.seen_at for worker in status.workers}
    workers = {
        worker.worker: f"{worker.host}, pid {worker.pid}" if names else f"worker {number}"
        for number, worker in enumerate(status.workers, 1)
    }
    begun = _begun(records, frozen)
    trials = [
        Tried(
            record=one,
            **_settings(record, one),
            reports=dict(frozen[one.number].intermediate_values) if one.number in frozen else {},
            worker=workers.get(one.worker, "a worker that left") if one.worker else None,
            began=begun.get(one.number),
            heard=heard.get(one.worker or ""),
        )
        for one in records
    ]
    best = [trials[one.number] for one in ranked(records, record.definition.train.metrics)]
    evaluations = Evaluations(store, record)
    latest = evaluations.latest()
    evaluation = None if latest is None or latest.report is None else with_openings(store, latest.report)
    with store.rdb.engine.connect() as connection:
        now = store.now(connection)
    winner = [] if evaluation is None else [evaluation["configurations"][0]["trial"]]
    wanted = dict.fromkeys([*winner, *(one.number for one in best[:MOST_CURVES])])
    return Found(
        record=record,
        status=status,
        trials=trials,
        best=best,
        evaluation=evaluation if evaluation is None or names else without_names(evaluation),
        going=any(found.report is None for found in evaluations.all()),
        importances={} if record.definition.sibling else _importances(study, sum(one.completed for one in trials)),
        files={n: _files(copies.folder(records[n].artifacts, {CURVES, REPORT})) for n in wanted if n is not None},
        workers=tuple(workers.values()),
        now=now,
    )


class _Settings(TypedDict):
    family: str | None
    searched: Params


def _settings(record: StudyRecord, one: TrialRecord) -> _Settings:
    try:
        family: str | None = params_of(one.params, record.spaces).family
    except StorageError:  # it waits, or its parameters are not complete yet
        family = None
    searched = {name.removeprefix(f"{family}."): value for name, value in one.params.items() if name != "family"}
    return {"family": family, "searched": searched}


def _begun(records: Sequence[TrialRecord], frozen: Mapping[int, optuna.trial.FrozenTrial]) -> dict[int, float]:
    """When each trial was first begun.

    Our rows know the last attempt. Optuna notes when a trial began, by the clock and in the time zone of whoever asked
    for it; trials with one attempt, of which we know it too, tell how far that is off.
    """
    known = {one.number: one.leased_at for one in records if one.leased_at is not None}
    noted = {n: frozen[n].datetime_start for n in known if n in frozen}
    theirs = {n: began.timestamp() for n, began in noted.items() if began is not None}
    shifts = [known[one.number] - theirs[one.number] for one in records if one.attempt == 1 and one.number in theirs]
    shift = statistics.median(shifts) if shifts else 0.0
    again = [one.number for one in records if one.attempt > 1 and one.number in theirs]
    return known | {n: min(known[n], theirs[n] + shift) for n in again}


def _importances(study: optuna.Study, completed: int) -> dict[str, float]:
    """By PED-ANOVA: how much each hyperparameter decides whether a trial is among the best tenth."""
    if completed < FEWEST:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of families with few trials; the report says how many there are
        found = optuna.importance.get_param_importances(study)
    return {name: share for name, share in found.items() if math.isfinite(share) and share > 0}


def _files(folder: Path) -> Files:
    """What is there: a report says what is known."""
    curves, report = read_json(folder / CURVES), read_json(folder / REPORT)
    return Files(folds=None if curves is None else curves["folds"], report=report)
