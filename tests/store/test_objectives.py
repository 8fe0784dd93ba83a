"""Studies with several metrics: what Optuna is told, what a look at them shows, and that they always go on."""

import math
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.search import ending
from hpo.store import Claims, Over, Store, TrialRecord, pareto
from hpo.trial import Cause, Epoch, Result
from tests.store.conftest import LEASE, Clock, Worker, frozen
from tests.support import claimed, create, definition, open_store

METRICS = ("accuracy", "parameters")


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    """One kind of database is enough here."""
    return open_store(tmp_path, clock)


TRAIN = {"metric": list(METRICS)}


def done(accuracy: float, parameters: int) -> Result:
    """How a trial ends that has a score."""
    return Result(
        cause=Cause.COMPLETED, value=accuracy, metrics={"accuracy": accuracy, "loss": 1.0}, parameters=parameters
    )


def work(claims: Claims, *results: Result) -> None:
    """Claims a trial for each of the results."""
    for result in results:
        assert claims.finish(claimed(claims), result)


def test_optuna_gets_every_value_and_direction(store: Store, worker: Worker) -> None:
    """The study has a direction for each metric, and each trial a value for each of them."""
    create(store, definition(train=TRAIN))
    work(worker("a"), done(0.8, 100), done(0.9, 300))
    study = optuna.load_study(study_name="s", storage=store.rdb)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.values for trial in study.trials] == [[0.8, 100.0], [0.9, 300.0]]


def test_the_front_is_optunas(store: Store, worker: Worker) -> None:
    """`hpo status` lists every trial that no other beats, the best by the first metric first; Optuna has the same."""
    create(store, definition(train=TRAIN, budget={"trials": 9}))
    work(
        worker("a"),
        *[done(a, p) for a, p in ((0.8, 100), (0.9, 300), (0.7, 200), (0.9, 400), (0.8, 100), (0.5, 50))],
        Result(cause=Cause.TOO_LARGE, parameters=1),
    )
    status = store.status("s")
    study = optuna.load_study(study_name="s", storage=store.rdb)
    assert [best.trial for best in status.front] == [1, 0, 4, 5]
    assert sorted(best.trial for best in status.front) == sorted(t.number for t in study.best_trials)
    assert status.best == status.front[0]
    plain = status.model_dump(mode="json")
    assert [best["values"] for best in plain["best"]] == [
        {"accuracy": 0.9, "parameters": 300.0}, {"accuracy": 0.8, "parameters": 100.0},
        {"accuracy": 0.8, "parameters": 100.0}, {"accuracy": 0.5, "parameters": 50.0},
    ]  # fmt: skip
    assert "front" not in plain


def test_with_one_metric_best_is_one(store: Store, worker: Worker) -> None:
    """For machines `best` is an object then, and null before a trial completed; with several metrics it is a list."""
    create(store, definition())
    assert store.status("s").model_dump(mode="json")["best"] is None
    work(worker("a"), done(0.8, 100))
    assert store.status("s").model_dump(mode="json")["best"]["values"] == {"accuracy": 0.8}


def test_before_any_trial_the_front_is_empty(store: Store) -> None:
    """A list, as for every study with several metrics."""
    create(store, definition(train=TRAIN))
    assert store.status("s").model_dump(mode="json")["best"] == []


def test_epochs_are_progress_and_nothing_else(store: Store, worker: Worker, clock: Clock) -> None:
    """Optuna takes no reports with several metrics: none are made, no trial is pruned, and the last epoch is seen."""
    create(store, definition(train=TRAIN))
    a = worker("a")
    claim = claimed(a)
    for step in range(3):
        epoch = Epoch(fold=0, epoch=step, step=step, value=0.1 * step, seconds=0.1, logs={})
        assert a.report(claim, epoch) is False
    assert (store.trial("s", 0).last_step, store.trial("s", 0).last_value) == (2, 0.2)
    assert frozen(store)[0].intermediate_values == {}
    clock.now += LEASE + 1
    assert claimed(worker("b")).attempt == 2


def test_every_other_end_teaches_and_leaves_nothing_open(store: Store, worker: Worker) -> None:
    """Infeasible trials violate a constraint; budget, bug and a metric that is no number end like any; TPE goes on."""
    causes = [Cause.DIVERGED, Cause.TOO_LARGE, Cause.BUDGET, Cause.BUG, Cause.OUT_OF_MEMORY]
    create(store, definition(train=TRAIN, budget={"trials": 30}, search={"sampler": "tpe"}))
    a = worker("a")
    unknown = done(0.5, 5).model_copy(update={"parameters": None})
    work(a, *[Result(cause=cause) for cause in causes], unknown)
    states = [trial.state.name for trial in frozen(store)]
    assert states == ["PRUNED", "PRUNED", "PRUNED", "FAIL", "PRUNED", "PRUNED"]
    assert [bool(trial.constraints) for trial in frozen(store)] == [True, True, False, False, True, False]
    for number in range(25):
        work(a, done(number / 30, 1000 - number) if number % 3 else Result(cause=Cause.TIMED_OUT))
    assert a.claim() == Over(reason="trials")
    study = optuna.load_study(study_name="s", storage=store.rdb)
    assert sorted(t.number for t in study.best_trials) == sorted(best.trial for best in store.status("s").front)


def test_a_value_that_is_no_number_is_never_told() -> None:
    """Optuna would refuse it, and the trial would stay open."""
    bad = done(0.5, 5).model_copy(update={"metrics": {"auroc": math.nan}})
    for metric in ("auroc", "loss"):
        assert ending(bad, ["accuracy", metric]) == (optuna.trial.TrialState.PRUNED, None)
    assert ending(bad, ["accuracy", "parameters"]) == (optuna.trial.TrialState.COMPLETE, [0.5, 5.0])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_fronts_agree_with_optuna_whatever_the_values(points: list[tuple[int, int, int]]) -> None:
    """Three metrics, with ties and with equal trials."""
    metrics = ["accuracy", "parameters", "loss"]
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
    trials = []
    for number, values in enumerate(points):
        study.add_trial(optuna.create_trial(values=[float(v) for v in values]))
        trials.append(TrialRecord(number=number, state="complete", value=values[0], values=values, params={}))
    assert sorted(t.number for t in pareto(trials, metrics)) == sorted(t.number for t in study.best_trials)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_stored_pruner_is_not_asked(store: Store, worker: Worker, pruner: str) -> None:
    """Whatever a definition says, reports of a study with several metrics never reach Optuna."""
    create(store, definition(train=TRAIN, search={"pruner": pruner}))
    a = worker("a")
    epoch = Epoch(fold=0, epoch=9, step=9, value=0.1, seconds=0.1, logs={})
    assert a.report(claimed(a), epoch) is False
