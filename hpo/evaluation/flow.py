"""What `hpo evaluate` does, step by step. Every step is found done or half done when it is called again."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from hpo.errors import StudyFailedError, UsageError
from hpo.evaluation import plan as planning
from hpo.evaluation.ranking import Ranked, comparison, described, rank
from hpo.launch import Wish
from hpo.launching import attend
from hpo.space import Params
from hpo.store import DataRecord, Evaluation, Evaluations, Given, Plan, Store, StudyRecord, TrialRecord, give
from hpo.versions import installed
from hpo.worker import OK

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """What a person wants to know: the best `top` configurations over so many `seeds`."""

    top: int
    seeds: int


@dataclass(frozen=True)
class Here:
    """Where it is worked, and where that is shown; the wish's `study` is that of a sibling, whatever stands there."""

    wish: Wish
    console: Console


@dataclass(frozen=True)
class Outcome:
    """How far it came: the exit code, and the report once there is one."""

    code: int
    report: dict[str, Any] | None = None


def evaluate(store: Store, name: str, asked: Asked, here: Here) -> Outcome:
    """Evaluates a study, or goes on with it.

    Raises:
        UsageError: there is no such study, or nothing to evaluate.
        StudyFailedError: trainings ended with a bug.
    """
    record = store.study(name)
    evaluation = _begin(store, record, asked)
    if evaluation.report is not None:
        return Outcome(OK, evaluation.report)
    code, trials = _train(store, record, planning.EVALUATE, planning.given_trials(evaluation.plan), record.data, here)
    if trials is None:
        return Outcome(code)
    ranking = rank(evaluation.plan, trials, record.definition.train.metric)
    winner = ranking[0].configuration
    if not ranking[0].values:
        raise StudyFailedError(
            f"no training of the {len(ranking)} configurations of study {name!r} came to its end: "
            f"{', '.join(sorted({why for ranked in ranking for why in ranked.lacking}))}"
        )
    evaluations = Evaluations(store, record)
    evaluations.choose(evaluation.number, winner.key)
    report = _report(record, evaluation, ranking)
    evaluations.finish(evaluation.number, report)
    return Outcome(OK, report)


def plan(store: Store, name: str, asked: Asked) -> dict[str, Any]:
    """What `evaluate` would do, JSON-ready; nothing is changed.

    Raises:
        UsageError: there is no such study, or nothing to evaluate.
    """
    record = store.study(name)
    found, _ = _wanted(store, record, asked)
    sibling = planning.sibling_name(name, planning.EVALUATE)
    trained = planning.by_key(store.trials(sibling)) if sibling in store.names() else {}
    searched = {trial.number: trial.outcome for trial in store.trials(name)}
    each = [searched.get(-1 if c.trial is None else c.trial) for c in found.configurations]
    keys = [given.key for given, _ in planning.given_trials(found)]
    return {
        "study": name,
        "asked": {"top": asked.top, "seeds": asked.seeds},
        "configurations": [
            {"trial": c.trial, "search_value": c.value, "searched": dict(c.params)} for c in found.configurations
        ],
        "trainings": len(keys),
        "done": sum(key in trained and trained[key].cause is not None for key in keys),
        "seconds": sum(outcome.seconds.get("total", 0.0) for outcome in each if outcome) * len(found.seeds),
    }


def _begin(store: Store, record: StudyRecord, asked: Asked) -> Evaluation:
    """The evaluation to go on with, or a new one."""
    wanted, going = _wanted(store, record, asked)
    return going or Evaluations(store, record).begin(wanted)


def _wanted(store: Store, record: StudyRecord, asked: Asked) -> tuple[Plan, Evaluation | None]:
    """What to train, and the evaluation that has begun with it; None where a new one is due.

    One that has begun keeps its plan, even if the search has found something better meanwhile.

    Raises:
        UsageError: the study is itself part of an evaluation, or no trial completed.
    """
    if record.definition.sibling:
        parent = record.name.partition("/")[0]
        raise UsageError(
            f"study {record.name!r} is part of an evaluation; `hpo evaluate {parent}` evaluates {parent!r}"
        )
    latest = Evaluations(store, record).latest()
    same = latest is not None and (latest.plan.top, len(latest.plan.seeds)) == (asked.top, asked.seeds)
    if latest is not None and same and latest.report is None:
        return latest.plan, latest
    best = planning.make_plan(record, store.trials(record.name), top=asked.top, seeds=asked.seeds)
    if latest is not None and same and _keys(latest.plan) == _keys(best):
        return latest.plan, latest
    return best, None


def _keys(plan: Plan) -> list[str]:
    return [configuration.key for configuration in plan.configurations]


def _train(
    store: Store,
    record: StudyRecord,
    sibling: str,
    trials: Iterable[tuple[Given, Params]],
    data: DataRecord,
    here: Here,
) -> tuple[int, list[TrialRecord] | None]:
    """Has the fleet train these trials in a sibling. Returns the exit code, and all of its trials once they ended.

    Raises:
        StudyFailedError: trials ended with a bug.
    """
    wanted = list(trials)
    definition = planning.sibling(record, sibling)
    made = give(store, definition, wanted, spaces=record.spaces, data=data, versions=installed(record.spaces))
    name, keys, code = made.name, {given.key for given, _ in wanted}, OK
    if _open(store, name, keys):
        code = attend(store, replace(here.wish, study=name), here.console)
    ended = store.trials(name)
    failed = [t for t in planning.by_key(ended).values() if t.given and t.given.key in keys and t.state == "fail"]
    if failed:
        said = failed[-1].outcome.detail if failed[-1].outcome else ""
        raise StudyFailedError(
            f"study {name!r}: {len(failed)} trainings ended with a bug, the last one said:\n{said}\n"
            "the same command tries these again"
        )
    return code, None if _open(store, name, keys) else ended


def _open(store: Store, name: str, keys: set[tuple[str, int]]) -> bool:
    """Whether some of these trials have not ended."""
    found = planning.by_key(store.trials(name))
    return any(key not in found or found[key].state in ("waiting", "running") for key in keys)


def _report(record: StudyRecord, evaluation: Evaluation, ranking: list[Ranked]) -> dict[str, Any]:
    metric = record.definition.train.metric
    return {
        "study": record.name,
        "evaluation": evaluation.number,
        "metric": metric,
        "asked": {"top": evaluation.plan.top, "seeds": len(evaluation.plan.seeds)},
        "seeds": list(evaluation.plan.seeds),
        "configurations": [described(ranked, record.spaces) for ranked in ranking],
        "winner": ranking[0].configuration.key,
        "comparison": comparison(ranking, metric),
    }
