"""What `hpo evaluate` does, step by step. Every step is found done or half done when it is called again.

The order is what makes the figure honest: the winner is chosen on validation and recorded, then refitted, and only then
the test part is opened, which is recorded before it happens.
"""

import os
import pwd
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from hpo import data
from hpo.artifacts.copies import Copies
from hpo.errors import StorageError, StudyFailedError
from hpo.evaluation import plan as planning
from hpo.evaluation import report as reporting
from hpo.evaluation.baselines import BASELINES
from hpo.evaluation.begin import NO_TEST_PART, NOT_ASKED, Asked, due, part_to_open, test_names
from hpo.evaluation.course import Course, median_course
from hpo.evaluation.look import Seen, look
from hpo.evaluation.opening import Request, Said
from hpo.evaluation.ranking import Ranked, comparison, described, rank
from hpo.evaluation.resample import DRAWS
from hpo.formats import finite
from hpo.launch import Wish
from hpo.launching import attend
from hpo.render import duration
from hpo.space import Params
from hpo.store import (
    DataRecord,
    Evaluation,
    Evaluations,
    Given,
    Opening,
    Plan,
    Store,
    StudyRecord,
    TrialRecord,
    give,
    open_once,
    openings,
    unite,
)
from hpo.study_file import EVALUATE, REFIT, SIBLINGS
from hpo.trial import MODEL
from hpo.versions import installed
from hpo.worker import DRAINED, OK

Report = dict[str, Any]


@dataclass(frozen=True)
class Here:
    """Where it is worked, and where that is shown; the wish's `study` is that of a sibling, whatever stands there."""

    wish: Wish
    console: Console

    @property
    def copies(self) -> Copies:
        """Of the trials' files."""
        return Copies(self.wish.artifacts, self.wish.cache)

    @property
    def cache(self) -> Path:
        """Root of the data cache, absolute."""
        return self.wish.cache.resolve()


class Unfinished(Exception):
    """Trainings are left, and the worker here has left them, with this exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def run(store: Store, name: str, asked: Asked, here: Here) -> tuple[int, Report | None]:
    """Evaluates a study, or goes on with it. Returns the exit code, and the report unless trainings are left.

    Raises:
        UsageError: there is no such study, nothing to evaluate, or the test part was opened before.
        StudyFailedError: trainings ended with a bug, or none came to its end.
        DataError: this machine does not have the study's arrays.
    """
    record = store.study(name)
    evaluations, todo = Evaluations(store, record), due(store, record, asked)
    if todo.shown is not None:
        return OK, with_openings(store, todo.shown)
    test_sha256 = part_to_open(store, record, todo, asked, here.cache)
    unite(store, *test_names(record, here.cache))
    if todo.spent and not asked.test:
        here.console.print("the test part was opened for this evaluation: that look is finished now", soft_wrap=True)
        asked = replace(asked, test=True)
    evaluation = todo.evaluation or evaluations.begin(todo.plan)
    try:
        report = _Work(store, record, evaluation, asked, here).report(test_sha256)
    except Unfinished as left:
        here.console.print("trainings are left; the same command goes on with them", soft_wrap=True)
        return left.code or DRAINED, None
    evaluations.finish(evaluation.number, report)
    return OK, with_openings(store, report)


def with_openings(store: Store, report: Report) -> Report:
    """The report with everybody who has opened its test part until now.

    They stand in its `test`; where it has none, in itself: the test part was opened for others, or after it.
    """
    sha256, test = report.get("test_sha256"), report["test"]
    if test is not None:
        return {**report, "test": {**test, "openings": _described(openings(store, test["sha256"]))}}
    return {**report, "openings": _described(openings(store, sha256))} if sha256 else report


def optimism(plan: Plan, winner: Ranked, units: int | None, test: Report, metric: str) -> Report:
    """As `hpo.evaluation.report.optimism`, and `promised`: the search's best value, whichever configuration has won.

    The winner's own value in the search would leave out the luck of the one that had looked better there.
    """
    promised, mean = plan.configurations[0].value, winner.score.mean or 0.0
    return {"promised": promised, **reporting.optimism(promised, mean, units, test, metric)}


@dataclass(frozen=True)
class _Work:
    """One evaluation at work."""

    store: Store
    record: StudyRecord
    evaluation: Evaluation
    asked: Asked
    here: Here

    def report(self, test_sha256: str | None) -> Report:
        """Does what is left to do. Returns what was found out.

        Args:
            test_sha256: of the test part; None where there is none.

        Raises:
            Unfinished: trainings are left.
        """
        plan, metric = self.evaluation.plan, self.record.definition.train.metric
        trials = self._train(EVALUATE, planning.given_trials(plan), self.record.data)
        ranking = rank(plan, trials, metric)
        winner = ranking[0]
        if not winner.values:
            raise StudyFailedError(
                f"no training of the {len(ranking)} configurations of study {self.record.name!r} came to its end: "
                f"{', '.join(sorted({why for ranked in ranking for why in ranked.lacking}))}"
            )
        Evaluations(self.store, self.record).choose(self.evaluation.number, winner.configuration.key)
        report = self._ranked(ranking)
        if test_sha256 is None or not self.asked.test:
            rows = reporting.per_seed(plan.seeds, winner.trials, {}, [])
            why = NO_TEST_PART if test_sha256 is None else NOT_ASKED
            report |= {"per_seed": rows, "test": None, "why_no_test": why, "test_sha256": test_sha256}
        else:
            report |= self._tested(winner, test_sha256)
        report |= {
            "seconds": self._seconds(),
            "data": self.record.data.model_dump(mode="json"),
            "versions": installed(self.record.spaces),
        }
        return dict(finite(report))

    def _ranked(self, ranking: Sequence[Ranked]) -> Report:
        metric = self.record.definition.train.metric
        return {
            "study": self.record.name,
            "evaluation": self.evaluation.number,
            "metric": metric,
            "asked": {"top": self.asked.top, "seeds": self.asked.seeds},
            "seeds": list(self.evaluation.plan.seeds),
            "configurations": [described(ranked, self.record.spaces) for ranked in ranking],
            "winner": ranking[0].configuration.key,
            "comparison": comparison(ranking, metric),
        }

    # --- training ----------------------------------------------------------------------------------------------

    def _train(self, sibling: str, trials: Iterable[tuple[Given, Params]], arrays: DataRecord) -> list[TrialRecord]:
        """Has the fleet train these trials in a sibling. Returns all of its trials once they ended.

        Raises:
            Unfinished: the worker here left before.
            StudyFailedError: trials ended with a bug.
        """
        wanted, here = list(trials), self.here
        made = give(
            self.store,
            planning.sibling(self.record, sibling),
            wanted,
            spaces=self.record.spaces,
            data=arrays,
            versions=installed(self.record.spaces),
        )
        name, keys, code = made.name, {given.key for given, _ in wanted}, OK
        if left := self._left(name, keys):
            here.console.print(f"study {name}: {left} of {len(keys)} trainings left", soft_wrap=True)
            code = attend(self.store, replace(here.wish, study=name), here.console)
        found = planning.by_key(self.store.trials(name))
        failed = [found[key] for key in keys if key in found and found[key].state == "fail"]
        if failed:
            said = failed[-1].outcome.detail if failed[-1].outcome else ""
            raise StudyFailedError(
                f"study {name!r}: {len(failed)} trainings ended with a bug, the last one said:\n{said}\n"
                "the same command tries these again"
            )
        if self._left(name, keys):
            raise Unfinished(code)
        return [found[key] for key in keys]

    def _left(self, name: str, keys: set[tuple[str, int]]) -> int:
        """How many of these trials have not ended."""
        found = planning.by_key(self.store.trials(name))
        return sum(key not in found or found[key].state in ("waiting", "running") for key in keys)

    def _refits(self, winner: Ranked) -> tuple[dict[int, TrialRecord], Course | None]:
        """The winner, refitted on everything outside of the test part: index of the seed -> completed trial.

        Raises:
            Unfinished: trainings are left.
        """
        split = self.record.definition.split
        done = [winner.trials[index] for index in winner.values]
        course = None
        if not split.stopping:
            course = median_course([trial for trial in done if trial is not None], self.here.copies)
        arrays = self.record.data.model_copy(
            update={"split_sha256": data.refit(self.record.data.split_sha256, self.here.cache)}
        )
        wanted = planning.refit_trials(self.evaluation.plan, winner.configuration, course.rates if course else None)
        trials = planning.by_key(self._train(REFIT, wanted, arrays))
        completed = {given.index: trials[given.key] for given, _ in wanted if trials[given.key].state == "complete"}
        if not completed:
            causes = sorted({trial.cause.value for trial in trials.values() if trial.cause})
            raise StudyFailedError(
                f"no refit of the winner of study {self.record.name!r} came to its end: {', '.join(causes)}"
            )
        return completed, course

    # --- the test part -----------------------------------------------------------------------------------------

    def _tested(self, winner: Ranked, test_sha256: str) -> Report:
        """Refits the winner and opens the test part for it."""
        metric = self.record.definition.train.metric
        refits, course = self._refits(winner)
        seen, opened = self._look(refits, test_sha256)
        self.here.console.print(f"drawing {DRAWS} times for the intervals ...", soft_wrap=True)
        found = reporting.tested(seen, metric, self.record.data.classes)
        found["test"] |= {"sha256": test_sha256, "openings": _described(opened)}
        return {
            **found,
            "per_seed": reporting.per_seed(self.evaluation.plan.seeds, winner.trials, refits, found["test"]["values"]),
            "refit": {
                "n": len(refits),
                "epochs": len(course.rates) if course else None,
                "as_trial": course.trial if course else None,
            },
            "optimism": optimism(
                self.evaluation.plan, winner, self._validated(seen.groups is not None), found["test"], metric
            ),
        }

    def _look(self, refits: Mapping[int, TrialRecord], test_sha256: str) -> tuple[Seen, list[Opening]]:
        """Records that the test part is opened, and opens it. What a killed look left is used.

        Raises:
            UsageError: it was opened before.
            StorageError: a model is not here.
        """
        name, here = self.record.name, self.here
        models = {}
        for index, refit in refits.items():
            file = here.copies.awaited(refit.artifacts, MODEL)
            if not file.exists():
                raise StorageError(
                    f"the model of trial {refit.number} of study {name}/refit is not at {file}; where the store was "
                    f"down, `hpo worker {name}/refit`, on the machine that trained it, carries it there"
                )
            weights = (refit.outcome.weights_sha256 or "") if refit.outcome else ""
            models[str(file)] = f"refit-{index}-{weights[:12]}.npy"
        purpose = Evaluations(self.store, self.record).purpose(self.evaluation)
        opened = open_once(self.store, test_sha256, study=name, purpose=purpose, who=_who(), again=self.asked.again)
        unite(self.store, *test_names(self.record, here.cache))  # for older reports
        here.console.print(
            f"opening the test part for {len(models)} models and {len(BASELINES)} baselines; "
            "MiniRocket and DTW are compiled once on a machine, which takes a minute",
            soft_wrap=True,
        )
        train, place = self.record.definition.train, f"{name}/{EVALUATE}/test-{purpose[:12]}"
        request = Request(
            data_sha256=self.record.data.sha256,
            cache=str(here.cache),
            folder=str(here.copies.root / place),
            models=models,
            baselines={baseline.name: f"baseline-{i}.npy" for i, baseline in enumerate(BASELINES)},
            classes=len(self.record.data.classes),
            scaling=train.scaling,
            threads=train.threads,
        )
        seen = look(request, self._say)
        try:
            here.copies.keep(place)
        except StorageError as error:  # the report will have all that counts
            here.console.print(f"what the models predicted stays at {request.folder}: {error}", soft_wrap=True)
        return seen, opened

    def _validated(self, grouped: bool) -> int | None:
        """How many groups, or windows, are in a validation part; None where groups are asked for and there are none."""
        folds = data.parts(self.record.data.split_sha256, self.here.cache)
        units = reporting.validated([data.open_part(fold.validation) for fold in folds], grouped)
        return units and min(units, self.record.data.n_train)  # repeated folds hold windows repeatedly

    def _say(self, said: Said) -> None:
        if said.name:
            how = f"left out: {said.left_out}" if said.left_out else f"done in {duration(said.seconds)}"
            self.here.console.print(f"test part: {said.name} {how}", soft_wrap=True)

    def _seconds(self) -> dict[str, float]:
        """Time with at least one training at work, of the search and of the two parts of the evaluation."""
        names = {
            "search": self.record.name,
            **{part: planning.sibling_name(self.record.name, part) for part in SIBLINGS},
        }
        there = self.store.names()
        return {
            part: self.store.status(name).budget["hours"].used * 3600 for part, name in names.items() if name in there
        }


def _who() -> str:
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container that has a number and no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _described(opened: Iterable[Opening]) -> list[Report]:
    return [
        {
            "study": opening.study,
            "who": opening.who,
            "at": datetime.fromtimestamp(opening.opened_at, UTC).isoformat(timespec="seconds"),
        }
        for opening in opened
    ]
