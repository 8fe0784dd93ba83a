"""What a pruner hears of a trial, and what it says to it."""

import pytest

from hpo.store import Store
from hpo.trial import Cause, Epoch, Result
from tests.store.conftest import LEASE, Clock, Worker, frozen
from tests.support import claimed, completed, create, definition


def _epoch(step: int, value: float) -> Epoch:
    return Epoch(fold=0, epoch=step, step=step, value=value, seconds=0.1, logs={})


def test_reports_reach_the_pruner_once_per_step(store: Store, worker: Worker, clock: Clock) -> None:
    """Epochs are recorded by step; an attempt that repeats steps does not report them again."""
    create(store, definition())
    a, b = worker("a"), worker("b")
    claim = claimed(a)
    for step in range(3):
        assert a.report(claim, _epoch(step, 0.1 * step)) is False
    clock.now += LEASE + 1
    again = claimed(b)
    for step in range(4):
        b.report(again, _epoch(step, 0.7))
    assert frozen(store)[0].intermediate_values == pytest.approx({0: 0.0, 1: 0.1, 2: 0.2, 3: 0.7})


def test_the_median_pruner_ends_a_hopeless_trial(store: Store, worker: Worker) -> None:
    """A pruner's verdict comes back with the report."""
    create(store, definition(budget={"trials": 9}, search={"pruner": {"name": "median", "min_epochs": 1}}))
    a = worker("a")
    for _ in range(5):
        good = claimed(a)
        assert not any(a.report(good, _epoch(step, 0.9)) for step in range(4))
        a.finish(good, completed(0.9))
    bad = claimed(a)
    assert any(a.report(bad, _epoch(step, 0.1)) for step in range(4))
    a.finish(bad, Result(cause=Cause.PRUNED))
    assert (store.trial("s", 5).state, store.trial("s", 5).value) == ("pruned", 0.1)


def test_the_wilcoxon_pruner_hears_of_folds(store: Store, worker: Worker, clock: Clock) -> None:
    """Each finished fold is reported once, by whichever attempt; the epochs are seen as progress all the same."""
    search, split = {"pruner": "wilcoxon"}, {"by": "stratified", "folds": 5}
    create(store, definition(budget={"trials": 9}, search=search, split=split))
    a, b = worker("a"), worker("b")

    def scores(worse: float) -> tuple[float, ...]:
        return tuple(0.9 - fold / 100 - worse * (1 + fold / 10) for fold in range(5))

    def epoch(fold: int, worse: float) -> Epoch:
        done = scores(worse)[:fold]
        return Epoch(fold=fold, epoch=3, step=60 * fold + 3, value=0.5, seconds=0.1, logs={}, fold_values=done)

    good = claimed(a)
    assert not any(a.report(good, epoch(fold, 0.0)) for fold in range(3))
    clock.now += LEASE + 1
    good = claimed(b)
    assert not any(b.report(good, epoch(fold, 0.0)) for fold in range(5))
    assert (store.trial("s", 0).last_step, store.trial("s", 0).last_value) == (243, 0.5)
    b.finish(good, completed(0.88).model_copy(update={"fold_values": scores(0.0)}))
    assert frozen(store)[0].intermediate_values == pytest.approx(dict(enumerate(scores(0.0))))
    bad = claimed(a)
    assert [a.report(bad, epoch(fold, 0.05)) for fold in range(5)] == [False] * 4 + [True]
