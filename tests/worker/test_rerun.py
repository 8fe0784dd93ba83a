"""Training a trial again, judged: what came back, what did not, and what differs. Nothing is trained here."""

import io
import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from hpo import curves
from hpo.child import ForkServer
from hpo.data import prepare as fill
from hpo.errors import UsageError
from hpo.evaluation.plan import given_trials, make_plan, refit_trials, sibling
from hpo.prepare import prepare
from hpo.rerun import train_again
from hpo.settings import Times
from hpo.space import Params
from hpo.store import Claims, Given, Store, give
from hpo.trial import Cause, Result
from hpo.verdict import Rerun, Spread, judge, table
from tests.cli.run import TINY
from tests.data.files import write_pair
from tests.study.files import REMOVE, changed, write
from tests.support import claimed, open_store

LOGS = [[{"loss": 1.0 / n, "val_loss": 2.0 / n} for n in (1, 2, 3)]]  # what a fake child reports
DONE = Result(cause=Cause.COMPLETED, value=0.5, weights_sha256="a" * 64, curve_sha256="b" * 64, epochs=3)


class Bench:
    """A study on files of its own, with trials that ended as the test says."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, duplicates: str = "reseed") -> None:
        self.folder, self.patch = folder, patch
        write_pair(folder / "files")
        own = {"data/source": "ucr", "data/path": "files/Tiny", "data/name": REMOVE, "budget/trials": 9}
        own |= {"search/duplicates": duplicates}
        path = write(folder, changed(TINY, own))
        found = prepare(path, folder / "cache")
        fill(found.data, found.split, folder / "cache")
        self.record = found.record
        self.store: Store = open_store(folder)
        self.store.create(found.definition, spaces=found.spaces, data=found.record, versions={})
        self.claims = Claims(self.store, "tiny", "a", Times())

    def ended(self, result: Result) -> int:
        """A trial that ended so."""
        claim = claimed(self.claims)
        self.claims.finish(claim, result)
        return claim.number

    def evaluated(self, part: str, trials: Iterable[tuple[Given, Params]], values: Sequence[float]) -> None:
        """Trials beside the study that ended with these scores."""
        record = self.store.study("tiny")
        give(self.store, sibling(record, part), trials, spaces=record.spaces, data=self.record, versions={})
        claims = Claims(self.store, f"tiny/{part}", "a", Times())
        for value in values:
            claims.finish(claimed(claims), DONE.model_copy(update={"value": value}))

    def rerun(self, number: int, name: str = "tiny", **plan: object) -> Rerun:
        """Trains it again by a child that does what the plan says."""
        self.patch.setenv("FAKE", json.dumps(plan))
        server = ForkServer((sys.executable, "-m", "tests.fake_server"), log=self.folder / "server.log")
        folder = self.folder / "files of the training"
        try:
            return train_again(self.store, name, number, cache=self.folder / "cache", folder=folder, server=server)
        finally:
            server.close()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An empty study."""
    return Bench(tmp_path, monkeypatch)


def shown(found: Rerun) -> str:
    """What a person reads."""
    said = io.StringIO()
    Console(file=said, width=200).print(table(found))
    return said.getvalue()


@pytest.mark.parametrize("cause", [Cause.PRUNED, Cause.TIMED_OUT])
def test_a_trial_that_was_cut_short_is_trained_as_far(bench: Bench, cause: Cause) -> None:
    """It ends after the epoch at which it was ended, however long it would go on, and its curve is compared."""
    number = bench.ended(Result(cause=cause, epochs=3, curve_sha256=curves.curve_sha256(LOGS)))
    found = bench.rerun(number, epochs=10_000, pause=0)
    assert (found.verdict, found.now.epochs) == ("exact", 3)
    assert "to the last bit" in shown(found)


def test_a_trial_that_was_cut_between_two_folds(bench: Bench) -> None:
    """Whether the next fold had been opened when it was ended is chance, and makes no difference."""
    number = bench.ended(Result(cause=Cause.PRUNED, epochs=3, curve_sha256=curves.curve_sha256([*LOGS, []])))
    assert bench.rerun(number, epochs=3, pause=0.2).verdict == "exact"


def test_another_curve_did_not_come_back(bench: Bench) -> None:
    """One bit of one epoch is enough."""
    logs = [[*LOGS[0][:2], {**LOGS[0][2], "loss": math.nextafter(LOGS[0][2]["loss"], 1)}]]
    number = bench.ended(Result(cause=Cause.PRUNED, epochs=3, curve_sha256=curves.curve_sha256(logs)))
    found = bench.rerun(number, epochs=5)
    assert (found.verdict, found.came_back) == ("different", False)
    assert "it did not come back" in shown(found)


def test_a_bug_comes_back_as_the_same_bug(bench: Bench) -> None:
    """A trial that raised is trained to the same exception; another one is another end."""
    number = bench.ended(Result(cause=Cause.BUG, detail="Traceback ...\nRuntimeError: planted bug\n"))
    assert bench.rerun(number, bug=[number]).verdict == "exact"
    number = bench.ended(Result(cause=Cause.BUG, detail="Traceback ...\nRuntimeError: another one\n"))
    found = bench.rerun(number, bug=[number])
    assert found.verdict == "different"
    assert bench.rerun(number).now.cause is Cause.COMPLETED


def test_a_changed_byte_names_the_data(bench: Bench) -> None:
    """The file's place and both hashes; the training still has the arrays of the record."""
    number = bench.ended(DONE)
    assert bench.rerun(number).differences == ()
    file = bench.folder / "files" / "Tiny_TRAIN.txt"
    text = file.read_text()
    digit = text.rindex(".") + 1
    file.write_text(text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :])
    found = bench.rerun(number)
    (difference,) = found.differences
    assert difference.what == f"data {bench.folder / 'files' / 'Tiny'}"
    assert difference.then == bench.record.sha256 != difference.now
    assert len(difference.now or "") == 64
    assert "the data's files changed since" in shown(found)
    assert difference.now is not None
    assert f"SHA-256 {difference.now[:12]}" in shown(found)
    assert bench.store.study("tiny").data == bench.record

    file.unlink()
    found = bench.rerun(number)
    assert found.differences == ()
    assert "could not be compared" in found.notes[0]
    assert "only Tiny_TEST.txt of the pair is there" in found.notes[0]


def test_versions_are_compared(bench: Bench) -> None:
    """Whatever was recorded otherwise is named, and what was not recorded as well."""
    versions = {"keras": "3.0", "numpy": "1.0"}
    found = bench.rerun(
        bench.ended(DONE.model_copy(update={"versions": versions})), versions={"numpy": "1.0", "hpo": "9"}
    )
    assert [(d.what, d.then, d.now) for d in found.differences] == [("keras", "3.0", None), ("hpo", None, "9")]


def test_other_seeds_are_the_yardstick(bench: Bench) -> None:
    """A score that is off is judged by the trials of the same setting, here three of the same default."""
    study = bench.store.optuna_study(bench.store.study("tiny"))
    for value in (0.90, 0.80, 0.85):
        bench.ended(DONE.model_copy(update={"value": value}))
        study.enqueue_trial(bench.store.trial("tiny", 0).params)
    bench.ended(Result(cause=Cause.DIVERGED))  # the same setting, but without a score
    bench.ended(DONE)  # another setting
    found = bench.rerun(1)
    assert found.spread is not None
    assert found.spread.seeds == 3
    assert (found.spread.mean, found.spread.std) == pytest.approx((0.85, 0.05))
    assert found.now.value is not None  # 1 - learning rate, which is 0.001
    assert found.verdict == "different"
    assert "the score is 0.199 off; 3 seeds of this configuration have a standard deviation of 0.05" in shown(found)


def test_refits_are_compared_with_refits(bench: Bench) -> None:
    """Theirs are scores of data that they were trained on: no yardstick for validation scores, nor those for them."""
    bench.ended(DONE.model_copy(update={"value": 0.79}))
    plan = make_plan(bench.store.study("tiny"), bench.store.trials("tiny"), top=1, seeds=3)
    bench.evaluated("evaluate", given_trials(plan), [0.80, 0.81, 0.80])
    (winner,) = plan.configurations
    bench.evaluated("refit", refit_trials(plan, winner, (0.1, 0.1)), [0.995, 0.996, 0.997])
    bench.evaluated("refit", refit_trials(plan, winner, (0.2,)), [0.5, 0.6, 0.7])
    found = bench.rerun(0, "tiny/refit")
    assert found.spread is not None
    assert found.spread.seeds == 3
    assert found.spread.mean == pytest.approx(0.996)
    assert found.verdict == "different"  # the child scored 0.999, and 0.995 +- 0.002 is what the others did
    for number, name in ((0, "tiny"), (1, "tiny/evaluate")):
        spread = bench.rerun(number, name).spread
        assert spread is not None
        assert spread.seeds == 4
        assert spread.mean == pytest.approx(0.80)


def test_a_trial_that_was_never_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was answered from the record of another has no training of its own: the other one is trained again."""
    bench = Bench(tmp_path, monkeypatch, duplicates="skip")
    number = bench.ended(DONE)
    study = bench.store.optuna_study(bench.store.study("tiny"))
    study.enqueue_trial(bench.store.trial("tiny", number).params)
    claimed(bench.claims)
    assert bench.store.trial("tiny", 1).same_as == number
    found = bench.rerun(1)
    assert (found.trial, found.then) == (number, bench.store.trial("tiny", number).outcome)
    assert found.notes == ("trial 1 was answered from the record of trial 0, which was trained again",)


@pytest.mark.parametrize(
    ("then", "now", "spread", "verdict"),
    [
        ({}, {}, None, "exact"),
        ({}, {"curve_sha256": "c" * 64}, None, "equal score"),
        ({}, {"weights_sha256": "c" * 64}, None, "equal score"),
        ({}, {"weights_sha256": "c" * 64, "value": 0.51}, None, "different"),
        ({}, {"weights_sha256": "c" * 64, "value": 0.509}, 0.005, "within the spread"),
        ({}, {"weights_sha256": "c" * 64, "value": 0.511}, 0.005, "different"),
        ({}, {"cause": Cause.DIVERGED, "value": None}, 0.5, "different"),
        ({"cause": Cause.TOO_LARGE, "value": None}, {"cause": Cause.TOO_LARGE, "value": None}, None, "exact"),
        ({"cause": Cause.PRUNED}, {"cause": Cause.PRUNED, "weights_sha256": None}, None, "exact"),
    ],
)
def test_judgement(then: dict[str, object], now: dict[str, object], spread: float | None, verdict: str) -> None:
    """Bits first, then the score, then the score against twice the standard deviation over seeds."""
    yardstick = None if spread is None else Spread(seeds=5, mean=0.5, std=spread)
    assert judge(DONE.model_copy(update=then), DONE.model_copy(update=now), yardstick) == verdict


def test_what_left_nothing_is_refused(bench: Bench) -> None:
    """A trial that has not ended, or was ended before its first epoch, has nothing to compare with."""
    number = bench.ended(Result(cause=Cause.STALLED, detail="nothing was heard"))
    with pytest.raises(UsageError, match=f"trial {number} of study 'tiny' ended as 'stalled' before its first epoch"):
        bench.rerun(number)
    claim = claimed(bench.claims)
    with pytest.raises(UsageError, match=r"has not ended yet \(it is running\)"):
        bench.rerun(claim.number)
