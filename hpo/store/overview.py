"""A study as one looks at it: its trials, its workers, its state."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import optuna
from sqlalchemy import or_, select

from hpo import samplers, search
from hpo.store import priors, tables
from hpo.store.database import Database
from hpo.store.records import Best, Given, Status, StudyRecord, TrialRecord, Use, WorkerRecord
from hpo.trial import Cause, Result

_KEPT = (
    "seed",
    "attempt",
    "losses",
    "preempted",
    "cancelled",
    "worker",
    "artifacts",
    "leased_at",
    "finished_at",
    "same_as",
)
GIVEN = "given"  # the user attribute of a trial that holds its `Given`
MOST_LISTED = 500  # trials that are asked for by number; more of them are read with all others
End = tuple[float, int, str]  # of a trial: finished_at, number, cause
FAILURES = (Cause.BUG, Cause.POISON)
PROGRESS = "progress"  # of a trial whose epochs Optuna does not hear of: the last one's step and value


def trials(store: Database, record: StudyRecord) -> list[TrialRecord]:
    """All trials of a study by number. Who asks again gets those that have ended from memory."""
    ended = store.ended.setdefault((record.study_id, record.created_at), {})
    now, ours = rows(store, record, ended)
    found = []
    for frozen in store.optuna_study(record).get_trials(deepcopy=False):
        trial = ended.get(frozen.number) or trial_record(frozen, ours.get(frozen.number), now)
        if frozen.state.is_finished() and trial.cause is not None:
            ended[frozen.number] = trial
        found.append(trial)
    return found


def rows(store: Database, record: StudyRecord, known: Collection[int]) -> tuple[float, dict[int, dict[str, Any]]]:
    """The moment, and our rows of a study's trials by number, where one can without those of the `known`."""
    columns = tables.trials.c
    top = max(known, default=-1)
    between = [number for number in range(top) if number not in known]
    query = select(tables.trials).where(columns.study_id == record.study_id)
    if len(between) <= MOST_LISTED:
        query = query.where(or_(columns.number > top, columns.number.in_(between)))
    with store.rdb.engine.begin() as connection:
        now = store.now(connection)
        return now, {row["number"]: dict(row) for row in connection.execute(query).mappings()}


def workers(store: Database, record: StudyRecord) -> list[WorkerRecord]:
    """All workers that ever joined a study, oldest first."""
    with store.rdb.engine.begin() as connection:
        now = store.now(connection)
        rows = connection.execute(
            select(tables.workers)
            .where(tables.workers.c.study_id == record.study_id)
            .order_by(tables.workers.c.started_at)
        ).mappings()
        return [
            WorkerRecord(
                **{k: row[k] for k in WorkerRecord.model_fields if k not in ("alive", "devices")},
                devices=tuple(row["devices"] or ()),
                alive=row["left_at"] is None and now - row["seen_at"] <= row["lease"],
            )
            for row in rows
        ]


def status(
    store: Database,
    record: StudyRecord,
    trials: list[TrialRecord],
    whole: Callable[[int], TrialRecord] | None = None,
) -> Status:
    """The study at this moment.

    Args:
        store: the database.
        record: the study.
        trials: all of its, as `trials` just returned them.
        whole: gives the trial of a number with its parameters, where `trials` lack them; None where they do not.
    """
    budget, train = record.definition.budget, record.definition.train
    team = workers(store, record)
    with store.rdb.engine.begin() as connection:
        now = store.now(connection)
        clock = (
            connection.execute(select(tables.studies).where(tables.studies.c.study_id == record.study_id))
            .mappings()
            .one()
        )
    counts = Counter(trial.state for trial in trials)
    ended = counts["complete"] + counts["pruned"]
    uses = {
        "trials": Use(used=ended, limit=budget.trials),
        "hours": Use(used=clock["worked_seconds"] / 3600, limit=budget.hours),
        "gpu_hours": Use(used=clock["slot_seconds"] / 3600, limit=budget.gpu_hours),
    }
    several = len(train.metrics) > 1
    winners = pareto(trials, train.metrics)[: None if several else 1]  # by one metric all equals would be there
    front = [_best(whole(trial.number) if whole else trial, train.metrics) for trial in winners]
    causes = [(t.finished_at or 0.0, t.number, t.cause.value) for t in trials if t.cause and t.same_as is None]
    failed = consecutive_failures(causes, clock["failures_since"])
    broken = {"lost": "losses", "preempted": "preempted", "cancelled": "cancelled"}
    counted = {name: sum(getattr(trial, column) for trial in trials) for name, column in broken.items()}
    interrupted = {name: n for name, n in counted.items() if n}
    outcomes = [trial.outcome for trial in trials if trial.outcome is not None]
    fit = sum(outcome.seconds.get("fit", 0.0) for outcome in outcomes)
    total = sum(outcome.seconds.get("total", 0.0) for outcome in outcomes)
    alive = any(worker.alive for worker in team)
    ending = next((name for name, use in uses.items() if use.limit is not None and use.used >= use.limit), "")
    if not ending and _exhausted(record, trials):
        ending = "space exhausted"
    if ending:
        state = "ended" if not counts["running"] or not alive else "running"
    elif len(failed) >= budget.max_consecutive_failures:
        state = "failed"
    elif alive:
        state = "stopping" if record.stop_requested else "running"
    elif record.stop_requested:
        state = "stopped"
    else:
        state = "interrupted" if team or any(trial.attempt for trial in trials) else "waiting"
    return Status(
        study=record.name,
        at=now,
        state=state,
        metric=train.metric,
        counts={key: counts[key] for key in ("complete", "pruned", "fail", "running", "waiting")},
        budget=uses,
        metrics=train.metrics,
        best=front[0] if front else None,
        front=tuple(front) if several else (),
        failures=dict(
            Counter(t.cause.value for t in trials if t.cause and t.cause not in (Cause.COMPLETED, Cause.PRUNED))
        ),
        interrupted=interrupted,
        workers=tuple(team),
        seconds={"training": fit, "overhead": total - fit},
        running=tuple(trial for trial in trials if trial.live),
        max_steps=train.max_epochs * record.folds,
        ending=ending if state == "ended" else "",
        repeated=sum(trial.same_as is not None and trial.cause is not None for trial in trials),
        prior=priors.sources(store, record),
        last_failure=_detail(trials[failed[0]]) if failed else "",
    )


def _exhausted(record: StudyRecord, trials: list[TrialRecord]) -> bool:
    """Whether every setting of a finite space was tried to its end."""
    if any(trial.state in ("running", "waiting") for trial in trials):
        return False
    size = samplers.size(record.definition, record.spaces)
    return samplers.exhausted(size, [trial.params for trial in trials])


def pareto(trials: Sequence[TrialRecord], metrics: Sequence[str]) -> list[TrialRecord]:
    """The completed trials that no other beats: none is at least as good in all metrics and better in one.

    The best by the first metric comes first, and of equals the earliest. Trials that are equal in all metrics do not
    beat each other; so with one metric these are the best trials.
    """
    worth = _worth(metrics)
    found: list[TrialRecord] = []
    best: list[tuple[float, ...]] = []
    for trial in sorted(_completed(trials), key=worth):
        # whatever beats it stands before it in this order
        own = worth(trial)[0]
        if not any(other != own and all(a <= b for a, b in zip(other, own, strict=True)) for other in best):
            found.append(trial)
            if not best or best[-1] != own:  # equals stand beside each other, and one of them judges for all
                best.append(own)
    return found


def ranked(trials: Sequence[TrialRecord], metrics: Sequence[str]) -> list[TrialRecord]:
    """The completed trials, best first, the earlier of equals first; each setting once, by its best trial.

    Two trials have the same setting if all hyperparameters that count are equal.
    """
    found: dict[str, TrialRecord] = {}
    for trial in sorted(_completed(trials), key=_worth(metrics)):
        found.setdefault(json.dumps(trial.params, sort_keys=True), trial)
    return list(found.values())


def _completed(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    return [trial for trial in trials if trial.state == "complete" and trial.value is not None]


def _worth(metrics: Sequence[str]) -> Callable[[TrialRecord], tuple[tuple[float, ...], int]]:
    """A key that sorts completed trials, the best one first: a loss for each metric, and the number."""
    signs = [-1.0 if direction == "maximize" else 1.0 for direction in search.directions(metrics)]
    return lambda trial: (tuple(s * v for s, v in zip(signs, _values(trial), strict=True)), trial.number)


def _values(trial: TrialRecord) -> tuple[float, ...]:
    return trial.values or (trial.value or 0.0,)


def _best(trial: TrialRecord, metrics: Sequence[str]) -> Best:
    worth = dict(zip(metrics, _values(trial), strict=True))
    return Best(trial=trial.number, value=worth[metrics[0]], params=trial.params, values=worth)


def since_success(ends: Iterable[End]) -> list[End]:
    """The last end that was no failure, and all after it, newest first."""
    found = []
    for end in sorted(ends, reverse=True):
        found.append(end)
        if end[2] not in FAILURES:
            break
    return found


def consecutive_failures(ends: Iterable[End], since: float) -> list[int]:
    """Numbers of the trials that failed since the last one that did not, newest first.

    Args:
        ends: of all trials.
        since: those that ended before do not count.
    """
    return [number for at, number, cause in since_success(ends) if at >= since and cause in FAILURES]


def _detail(trial: TrialRecord) -> str:
    return "" if trial.outcome is None else trial.outcome.detail


def given(attributes: Mapping[str, Any]) -> Given | None:
    """What stands in a trial's user attributes; None for a trial of a search."""
    return Given.model_validate(attributes[GIVEN]) if GIVEN in attributes else None


def kept(row: Mapping[str, Any], now: float) -> dict[str, Any]:
    """What our row says of a trial, as fields of a `TrialRecord`."""
    return {
        **{name: row[name] for name in _KEPT},
        "cause": Cause(row["cause"]) if row["cause"] else None,
        "outcome": Result.model_validate(row["outcome"]) if row["outcome"] else None,
        "live": row["outcome"] is None and row["expires_at"] is not None and row["expires_at"] > now,
    }


def trial_record(frozen: optuna.trial.FrozenTrial, row: Mapping[str, Any] | None, now: float) -> TrialRecord:
    """What Optuna and our row, if there is one, say of a trial."""
    steps = frozen.intermediate_values
    last = max(steps.items(), default=(None, None))
    if PROGRESS in frozen.user_attrs:
        last = tuple(frozen.user_attrs[PROGRESS])
    return TrialRecord(
        number=frozen.number,
        state=frozen.state.name.lower(),
        # a pruned trial of a search by one metric has the last value that it reported
        value=frozen.values[0] if frozen.values else None,
        values=tuple(frozen.values) if frozen.state is optuna.trial.TrialState.COMPLETE else None,
        params=frozen.params,
        given=given(frozen.user_attrs),
        last_step=last[0],
        last_value=last[1],
        curve=tuple(sorted(steps.items())) if frozen.state is optuna.trial.TrialState.RUNNING else (),
        **({} if row is None else kept(row, now)),
    )
