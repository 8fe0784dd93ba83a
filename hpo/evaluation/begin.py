"""What an evaluation is to do: begin anew, go on with one that was killed, or show one that has ended."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo import data
from hpo.errors import UsageError
from hpo.evaluation import plan as planning
from hpo.store import Evaluation, Evaluations, Plan, Store, StudyRecord, openings, refuse_second
from hpo.study_file import EVALUATE


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


NO_TEST_PART, NOT_ASKED = "the data set has no test part", "not asked for"


@dataclass(frozen=True)
class Due:
    """What there is to do.

    Attributes:
        plan: what to train.
        evaluation: the one that has this plan; None where a new one is due.
        shown: its report, which says all that was asked, so that nothing is left to do but to show it; else None.
        spent: the test part was opened for it, but it was ended before its report. That look counts, so it is finished
            before anything else is begun.
    """

    plan: Plan
    evaluation: Evaluation | None
    shown: dict[str, Any] | None = None
    spent: bool = False


def plan(store: Store, name: str, asked: Asked, cache: Path) -> dict[str, Any]:
    """What `hpo evaluate` would train, JSON-ready; nothing is changed.

    Args:
        store: the database. name: of the study.
        asked: what a person wants to know.
        cache: the data cache's root, absolute.

    Returns: among others `ended`: there is nothing left to train, and its report would be shown.

    Raises:
        HpoError: what the evaluation would be refused for: there is no such study, nothing to evaluate, no data here,
            or the test part was opened before.
    """
    record = store.study(name)
    todo = due(store, record, asked)
    found, ended = todo.plan, todo.shown is not None
    tested = not ended and part_to_open(store, record, todo, asked, cache) is not None and (asked.test or todo.spent)
    sibling = planning.sibling_name(name, EVALUATE)
    trained = planning.by_key(store.trials(sibling)) if sibling in store.names() else {}
    searched = {trial.number: trial.outcome for trial in store.trials(name)}
    each = [searched.get(-1 if c.trial is None else c.trial) for c in found.configurations]
    seconds = [outcome.seconds.get("total", 0.0) for outcome in each if outcome and not ended]
    keys = [given.key for given, _ in planning.given_trials(found)]
    return {
        "study": name,
        "asked": {"top": asked.top, "seeds": asked.seeds},
        "ended": ended,
        "configurations": [
            {"trial": c.trial, "search_value": c.value, "searched": dict(c.params)} for c in found.configurations
        ],
        "trainings": len(keys),
        "done": sum(ended or (key in trained and trained[key].cause is not None) for key in keys),
        "refits": len(found.seeds) if tested else 0,
        # the refits take as long as the trainings of one configuration
        "seconds": (sum(seconds) + (max(seconds, default=0.0) if tested else 0.0)) * len(found.seeds),
    }


def part_to_open(store: Store, record: StudyRecord, todo: Due, asked: Asked, cache: Path) -> str | None:
    """SHA-256 of the test part, after a look whether it may be opened; None where the data set has none.

    Raises:
        UsageError: it was opened before, for something else.
        DataError: this machine does not have the study's arrays.
    """
    names = test_names(record, cache)
    if asked.test and not asked.again:
        purpose = "" if todo.evaluation is None else Evaluations(store, record).purpose(todo.evaluation)
        refuse_second(openings(store, *names), purpose)
    return names[0] if names else None


def test_names(record: StudyRecord, cache: Path) -> tuple[str, ...]:
    """SHA-256 of the study's test part, then what an older hpo knew it by; none where the data have no test part.

    Raises:
        DataError: this machine does not have the study's arrays.
    """
    names = [named(record.data.sha256, cache) for named in (data.sha256_of_test, data.former_sha256_of_test)]
    return tuple(name for name in names if name is not None)


def due(store: Store, record: StudyRecord, asked: Asked) -> Due:
    """What an evaluation of a study has to do, by what earlier ones did with the same numbers of top and seeds.

    The first of these that there is:

    1. One of what is best in the search now, whose report says all that was asked: it is shown. With `asked.again` test
       scores are not all.
    2. One whose look at the test part was not finished, whatever the search has found since.
    3. One that has begun and has no report: it keeps its plan, whatever the search has found since.
    4. One that ranked what is best in the search now: the test part is opened for its winner. A ranking from before the
       search found something better is left alone: the one look would go to a winner of yesterday.

    Raises:
        UsageError: the study is itself part of an evaluation, or no trial completed.
    """
    if record.definition.sibling:
        parent = record.definition.parent
        raise UsageError(
            f"study {record.name!r} is part of an evaluation; `hpo evaluate {parent}` evaluates {parent!r}"
        )
    best = planning.make_plan(record, store.trials(record.name), top=asked.top, seeds=asked.seeds)
    evaluations = Evaluations(store, record)
    earlier = [e for e in evaluations.all() if (e.plan.top, len(e.plan.seeds)) == (asked.top, asked.seeds)]
    spent = [e for e in earlier if not e.tested and evaluations.opened(e)]
    reported = [e for e in earlier if e.report is not None and _keys(e.plan) == _keys(best) and e not in spent]
    for evaluation in reported:
        if _says_all(evaluation, asked):
            return Due(evaluation.plan, evaluation, shown=evaluation.report)
    begun = [e for e in earlier if e.report is None]
    ranked = [e for e in reported if not e.tested]
    first = next(iter((*spent, *begun, *ranked)), None)
    return Due(best, None) if first is None else Due(first.plan, first, spent=first in spent)


def _keys(plan: Plan) -> set[str]:
    return {configuration.key for configuration in plan.configurations}


def _says_all(evaluation: Evaluation, asked: Asked) -> bool:
    """Whether a report says what was asked; one that ranks only, and one that looked before, may not."""
    if not asked.test or (evaluation.report or {}).get("why_no_test") == NO_TEST_PART:
        return True
    return evaluation.tested and not asked.again
