"""What an evaluation is to do: begin anew, go on with one that was killed, or show one that has ended."""

from dataclasses import dataclass
from typing import Any

from hpo.errors import UsageError
from hpo.evaluation import plan as planning
from hpo.store import Evaluation, Evaluations, Plan, Store, StudyRecord


@dataclass(frozen=True)
class Asked:
    """What a person wants to know.

    Attributes:
        top: configurations to compare. seeds: fresh ones for each.
        test: open the test part for the winner.
        again: open it even if it was opened before.
    """

    top: int
    seeds: int
    test: bool = True
    again: bool = False


def ended(evaluation: Evaluation, asked: Asked) -> bool:
    """Whether nothing of what was asked is left to do."""
    report = evaluation.report
    return report is not None and (
        not asked.test or report["test"] is not None or report["why_no_test"] == NO_TEST_PART
    )


NO_TEST_PART, NOT_ASKED = "the data set has no test part", "not asked for"


def plan(store: Store, name: str, asked: Asked) -> dict[str, Any]:
    """What `hpo evaluate` would train, JSON-ready; nothing is changed.

    Raises:
        UsageError: there is no such study, or nothing to evaluate.
    """
    record = store.study(name)
    found, _ = wanted_plan(store, record, asked)
    sibling = planning.sibling_name(name, planning.EVALUATE)
    trained = planning.by_key(store.trials(sibling)) if sibling in store.names() else {}
    searched = {trial.number: trial.outcome for trial in store.trials(name)}
    each = [searched.get(-1 if c.trial is None else c.trial) for c in found.configurations]
    seconds = [outcome.seconds.get("total", 0.0) for outcome in each if outcome]
    keys = [given.key for given, _ in planning.given_trials(found)]
    return {
        "study": name,
        "asked": {"top": asked.top, "seeds": asked.seeds},
        "configurations": [
            {"trial": c.trial, "search_value": c.value, "searched": dict(c.params)} for c in found.configurations
        ],
        "trainings": len(keys),
        "done": sum(key in trained and trained[key].cause is not None for key in keys),
        "refits": len(found.seeds) if asked.test else 0,
        # the refits take as long as the trainings of one configuration
        "seconds": (sum(seconds) + (max(seconds, default=0.0) if asked.test else 0.0)) * len(found.seeds),
    }


def wanted_plan(store: Store, record: StudyRecord, asked: Asked) -> tuple[Plan, Evaluation | None]:
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
    earlier = [
        e for e in Evaluations(store, record).all() if (e.plan.top, len(e.plan.seeds)) == (asked.top, asked.seeds)
    ]
    for evaluation in earlier:
        if not ended(evaluation, asked):
            return evaluation.plan, evaluation
    best = planning.make_plan(record, store.trials(record.name), top=asked.top, seeds=asked.seeds)
    for evaluation in earlier:
        if not asked.again and _keys(evaluation.plan) == _keys(best):
            return evaluation.plan, evaluation
    return best, None


def _keys(plan: Plan) -> list[str]:
    return [configuration.key for configuration in plan.configurations]
