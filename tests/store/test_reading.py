"""Reading trials: what Optuna's own reading finds, with work that does not grow with the study."""

import math
import uuid

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial
from sqlalchemy import event

from hpo.settings import Times
from hpo.store import Claims, reading
from hpo.trial import Epoch
from tests.postgres import Server
from tests.support import claimed, completed, create, definition, open_store, work_off

pytestmark = pytest.mark.usefixtures("quiet")

RANGES = {
    "x": FloatDistribution(1e-4, 1.0, log=True),
    "units": IntDistribution(8, 64, step=8),
    "cell": CategoricalDistribution(("lstm", "gru", None, True, 1.5)),
}


def varied(storage: RDBStorage) -> optuna.Study:
    """A study with trials in every state, and with every kind of value that a column may hold."""
    study = optuna.create_study(storage=storage, study_name="v", directions=["maximize"])
    other = optuna.create_study(storage=storage, study_name="other")
    for number in range(12):
        other.add_trial(create_trial(value=1.0))  # so that ids and numbers differ
        trial = study.ask(RANGES if number else {})
        trial.set_user_attr("text", "a" * 50)
        trial.set_user_attr("table", {"deep": [1, None, "two"]})
        for step, value in enumerate((0.25, math.inf, -math.inf, math.nan)[: number % 5]):
            trial.report(value, 10 * step)
        match number % 4:
            case 0:
                study.tell(trial, math.inf if number == 4 else 0.1 * number)
            case 1:
                trial.set_constraint("infeasible", 1.0)
                study.tell(trial, state=TrialState.PRUNED)
            case 2:
                study.tell(trial, state=TrialState.FAIL)
    study.enqueue_trial({"x": 0.5}, user_attrs={"origin": "somebody"})
    return study


def told(trials: list[optuna.trial.FrozenTrial], *, ours: bool) -> list[str]:
    """All that can be known of trials, in a form in which NaN equals itself, less what is left out on purpose."""
    found = []
    for trial in trials:
        facts = dict(vars(trial))
        if trial.state.is_finished():
            kept = {k: v for k, v in trial.system_attrs.items() if ours or not k.startswith(reading.OF_RUNNING)}
            facts["_system_attrs"] = kept
        # attributes stand in no order; parameters do
        found.append(repr({k: sorted(v.items()) if k.endswith("attrs") else v for k, v in sorted(facts.items())}))
    return found


@pytest.mark.parametrize("at_once", [1, 5, 1000])
def test_as_optuna_reads(address: str, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every field of every trial, in every state, is what Optuna reads; TPE's notes on ended trials are left out."""
    monkeypatch.setattr(reading, "AT_ONCE", at_once)
    store = open_store(address)
    study = varied(store.rdb)
    own = RDBStorage._get_trials
    everything = own(store.rdb, study._study_id, None, set(), -1)
    assert told(store.rdb.get_all_trials(study._study_id), ours=True) == told(everything, ours=False)
    ids = [trial._trial_id for trial in everything]
    for states, some, after in ((None, {ids[2], ids[9]}, ids[6]), ((TrialState.PRUNED,), set[int](), -1)):
        expected = told(own(store.rdb, study._study_id, states, some, after), ours=False)
        assert told(store.rdb._get_trials(study._study_id, states, some, after), ours=True) == expected
    with pytest.raises(KeyError):
        store.rdb.get_all_trials(99)


def test_trials_share_what_they_have_in_common(address: str) -> None:
    """Ended trials of the same ranges have one table of them; one that runs has its own, which may grow."""
    store = open_store(address)
    trials = store.rdb.get_all_trials(varied(store.rdb)._study_id, deepcopy=False)
    assert trials[4].distributions is trials[5].distributions
    assert trials[3].distributions is not trials[7].distributions


def test_what_is_seen(address: str) -> None:
    """A look finds what others did since the last one; what has ended stands behind what had ended before."""
    store = open_store(address)
    create(store, definition(budget={"trials": 9}))
    study_id = store.study("s").study_id
    assert store.storage.see(study_id).of(TrialState.WAITING) == [0]  # the published default
    theirs = Claims(open_store(address), "s", "other", Times())
    first, second = claimed(theirs), claimed(theirs)
    before = store.storage.see(study_id)
    assert (before.of(TrialState.RUNNING), list(before.finished)) == ([0, 1], [])
    theirs.finish(second, completed())
    theirs.finish(first, completed())
    third = claimed(theirs)
    after = store.storage.see(study_id)
    assert sorted(trial.number for trial in after.finished) == [0, 1]
    assert (after.of(TrialState.RUNNING), len(after.trials), after.failed) == ([third.number], 3, 0)
    theirs.finish(third, completed())
    assert [trial.number for trial in store.storage.see(study_id).finished][2:] == [2]


def test_a_claim_takes_as_many_rows_on_a_long_study_as_on_a_short_one(postgres: Server) -> None:
    """Statements and rows of a claim, of a report and of its end do not grow with the trials that have ended, nor with
    the epochs of those that run.
    """
    address = postgres.database(f"t{uuid.uuid4().hex}")
    store, others = open_store(address), open_store(address)
    create(store, definition(budget={"trials": 1000}))
    rows = [0, 0]

    @event.listens_for(store.rdb.engine, "after_cursor_execute")
    def _count(connection: object, cursor: object, *_: object) -> None:
        rows[0] += 1
        rows[1] += max(0, getattr(cursor, "rowcount", 0))

    claims, theirs = Claims(store, "s", "a", Times()), Claims(others, "s", "b", Times())
    running = claimed(theirs)
    found = []
    for turn in range(2):
        work_off(claims, most=20)
        for step in range(30 * turn):
            theirs.report(running, Epoch(fold=0, epoch=step, step=step, value=0.5, seconds=0.1, logs={}))
        before = tuple(rows)
        claim = claimed(claims)
        claims.report(claim, Epoch(fold=0, epoch=0, step=0, value=0.5, seconds=0.1, logs={}))
        claims.finish(claim, completed())
        found.append((rows[0] - before[0], rows[1] - before[1]))
    assert found[0] == found[1]


def test_a_look_at_what_has_ended_reads_nothing_of_what_runs(postgres: Server) -> None:
    """Most pruners compare with ended trials only. A look at those finds all of them, in whatever order they began and
    ended, and takes as many rows with many trials that run as with few; a look at everything misses nothing afterwards.
    """
    address = postgres.database(f"t{uuid.uuid4().hex}")
    store, others = open_store(address), open_store(address)
    create(others, definition(budget={"trials": 1000}))
    study_id = store.study("s").study_id
    theirs = Claims(others, "s", "others", Times())
    complete = (TrialState.COMPLETE,)
    rows = [0]

    @event.listens_for(store.rdb.engine, "after_cursor_execute")
    def _count(connection: object, cursor: object, *_: object) -> None:
        rows[0] += max(0, getattr(cursor, "rowcount", 0))

    def ended() -> tuple[list[int], int]:
        before = rows[0]
        found = store.storage.get_all_trials(study_id, deepcopy=False, states=complete)
        return [trial.number for trial in found], rows[0] - before

    first, second, third = (claimed(theirs) for _ in range(3))
    assert ended() == ([], 0)  # of a study that was never looked at
    theirs.finish(second, completed())
    assert ended()[0] == [1]
    store.storage.see(study_id)
    few = ended()
    running = [claimed(theirs) for _ in range(20)]
    for claim in running:
        for step in range(5):
            theirs.report(claim, Epoch(fold=0, epoch=step, step=step, value=0.5, seconds=0.1, logs={}))
    assert ended() == few == ([1], 0)
    theirs.finish(running[-1], completed())
    theirs.finish(first, completed())
    assert ended()[0] == [0, 1, running[-1].number]
    seen = store.storage.see(study_id)
    assert [trial.number for trial in seen.trials] == list(range(23))
    assert sorted(trial.number for trial in seen.finished) == [0, 1, running[-1].number]
    assert seen.of(TrialState.RUNNING) == [third.number, *(claim.number for claim in running[:-1])]
