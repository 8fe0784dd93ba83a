"""Settings that come up again: trained once over all workers, answered from the record, never without an end."""

from collections import Counter
from pathlib import Path

import optuna
import pytest

from hpo.settings import Times
from hpo.space import Choice, Fixed, Space
from hpo.store import Claims, Idle, Over, Store
from hpo.trial import Cause, Epoch, Result
from tests.support import claimed, completed, definition, open_store, record, work_off


def space(*units: int) -> dict[str, Space]:
    """One family of which only the number of units is searched."""
    fixed = {"learning_rate": Fixed(default=1e-3), "batch_size": Fixed(default=16)}
    return {"lstm": {"units": Choice(values=units, default=units[0]), **fixed}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty database."""
    return open_store(tmp_path)


def created(store: Store, *units: int, duplicates: str = "skip", sampler: str = "random", **budget: float) -> Claims:
    """A study that searches these units, and a worker."""
    study = definition(
        budget=budget, search={"sampler": sampler, "pruner": "none", "duplicates": duplicates}, train={"max_epochs": 9}
    )
    store.create(study, spaces=space(*units), data=record(), versions={})
    return Claims(store, "s", "a", Times())


def test_a_setting_is_trained_once(address: str) -> None:
    """What comes up again ends at once as the first one ended, counts as a trial, and says whose record it is."""
    store = open_store(address)
    claims = created(store, 8, 16, trials=6)
    values = {}
    while not isinstance(claim := claims.claim(), Over):
        assert not isinstance(claim, Idle)
        values[claim.model["units"]] = claim.number / 10
        claims.finish(claim, completed(claim.number / 10))
    assert claim == Over(reason="trials")
    trials = store.trials("s")
    assert [trial.state for trial in trials] == ["complete"] * 6
    assert Counter(trial.same_as is None for trial in trials) == {True: 2, False: 4}
    for trial in trials:
        assert trial.value == values[trial.params["units"]]
        if trial.same_as is not None:
            assert trial.outcome is not None
            assert trial.outcome.detail == f"same parameters as trial {trial.same_as}"
            assert trial.outcome.seconds == {}
            assert (trial.artifacts, trial.seed) == (f"s/{trial.same_as}", trials[trial.same_as].seed)
            assert (trial.attempt, trial.worker, trial.live) == (0, None, False)
    status = store.status("s")
    assert (status.state, status.counts["complete"], status.counts["running"]) == ("ended", 6, 0)
    assert status.seconds["training"] == 2.0  # of the two that were trained


def test_a_seed_of_its_own_where_that_is_wanted(store: Store) -> None:
    """With "reseed" a setting that comes up again is trained again, with another seed."""
    claims = created(store, 8, duplicates="reseed", trials=3)
    assert work_off(claims) == [0, 1, 2]
    assert len({trial.seed for trial in store.trials("s")}) == 3


def test_what_still_runs_is_waited_for(address: str) -> None:
    """While the first one runs, repetitions of it are held back, whoever proposed them; then it answers all."""
    store = open_store(address)
    claims, other = created(store, 8, trials=3), Claims(store, "s", "b", Times())
    first = claimed(claims)
    assert [claims.claim(), other.claim()] == [Idle(), Idle()]
    assert [trial.state for trial in store.trials("s")] == ["running"] * 3
    assert claims.finish(first, completed(0.25))
    assert other.claim() == Over(reason="trials")
    assert [(trial.value, trial.same_as) for trial in store.trials("s")] == [(0.25, None), (0.25, 0), (0.25, 0)]


@pytest.mark.parametrize("cause", [Cause.BUG, Cause.BUDGET])
def test_what_came_to_no_result_answers_nothing(store: Store, cause: Cause) -> None:
    """A bug, or a budget that ended first, is no word on the parameters: a repetition is trained, and then answers."""
    claims = created(store, 8, trials=3)
    first = claimed(claims)
    assert claims.claim() == Idle()
    claims.finish(first, Result(cause=cause, detail="planted"))
    second = claimed(claims)
    assert (second.number, second.attempt, second.taken_over, second.artifacts) == (1, 1, False, "s/1")
    assert claims.claim() == Idle()
    claims.finish(second, completed(0.5))
    assert claims.claim() == Over(reason="trials")
    assert store.trials("s")[-1].same_as == 1


def test_a_lost_trial_is_taken_over_not_repeated(store: Store) -> None:
    """A repetition waits for a trial that was given back, too; that one goes on with its own attempt."""
    claims = created(store, 8, trials=2)
    first = claimed(claims)
    assert claims.claim() == Idle()
    claims.release(first, lost=True)
    again = claimed(claims)
    assert (again.number, again.attempt) == (0, 2)
    claims.finish(again, completed())
    assert claims.claim() == Over(reason="trials")
    assert [trial.same_as for trial in store.trials("s")] == [None, 0]


def test_what_cannot_be_trained_is_not_tried_again(store: Store) -> None:
    """An infeasible end is answered as one, for the sampler too, and does not count as another failure in a row."""
    claims = created(store, 8, trials=9, max_consecutive_failures=2)
    claims.finish(claimed(claims), Result(cause=Cause.POISON, detail="lost"))
    assert claims.claim() == Over(reason="trials")
    trials = store.trials("s")
    assert [trial.cause for trial in trials] == [Cause.POISON] * 9
    assert trials[-1].outcome is not None
    assert trials[-1].outcome.detail == "same parameters as trial 0\nlost"
    frozen = optuna.load_study(study_name="s", storage=store.rdb).trials
    assert all(max(trial.constraints.values()) > 0 for trial in frozen)


def test_what_was_pruned_is_pruned_again(store: Store) -> None:
    """With the same last value, which is what Optuna ranks it by."""
    claims = created(store, 8, trials=2)
    claim = claimed(claims)
    for epoch in range(3):
        claims.report(claim, Epoch(fold=0, epoch=epoch, step=epoch, value=0.1 * epoch, seconds=0.1, logs={}))
    claims.finish(claim, Result(cause=Cause.PRUNED, epochs=3))
    assert claims.claim() == Over(reason="trials")
    first, second = store.trials("s")
    assert (second.state, second.value, second.last_step) == ("pruned", first.value, 2)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_space_without_a_budget_of_trials_ends(store: Store, sampler: str) -> None:
    """Each setting of a finite space is trained once, few proposals are wasted, and then the study has ended."""
    claims = created(store, *range(1, 13), sampler=sampler, hours=1.0)
    trained = 0
    while not isinstance(claim := claims.claim(), Over):
        if not isinstance(claim, Idle):
            trained += 1
            claims.finish(claim, completed(1.0 - abs(claim.model["units"] - 6) / 10))  # type: ignore[operator]  # numbers
    assert (trained, claim.reason) == (12, "space")
    assert len(store.trials("s")) <= 4 * 12
    assert (store.status("s").state, store.status("s").ending) == ("ended", "space exhausted")


def test_many_repetitions_do_not_pile_up(store: Store) -> None:
    """With one setting that runs for long, a study without a number of trials holds back some, and then waits."""
    claims = created(store, 8, hours=1.0)
    claimed(claims)
    assert [claims.claim() for _ in range(5)] == [Idle()] * 5
    assert len(store.trials("s")) <= 12


def test_when_the_hours_end_what_waits_ends_too(tmp_path: Path) -> None:
    """Nothing stays RUNNING after a time budget."""
    moment = [4_000_000_000.0]
    store = open_store(tmp_path, lambda: moment[0])
    claims = created(store, 8, trials=2, hours=0.001)
    claimed(claims)
    assert claims.claim() == Idle()
    moment[0] += 3600
    assert Claims(store, "s", "b", Times()).claim() == Over(reason="hours")
    assert [trial.cause for trial in store.trials("s")] == [Cause.BUDGET] * 2


@pytest.mark.parametrize("where", ["hpo.store.endings.Endings.close", "hpo.store.duplicates.Duplicates.settle"])
def test_a_claim_that_dies_at_an_answer_is_completed(store: Store, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Before or after the row was written: the next claim gives the same answer, once."""
    claims = created(store, 8, trials=2)
    claims.finish(claimed(claims), completed(0.25))

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(where, die)
        with pytest.raises(SystemExit):
            claims.claim()
    assert [trial.state for trial in store.trials("s")] == ["complete", "running"]
    assert Claims(store, "s", "b", Times()).claim() == Over(reason="trials")
    assert [(trial.value, trial.same_as) for trial in store.trials("s")] == [(0.25, None), (0.25, 0)]
