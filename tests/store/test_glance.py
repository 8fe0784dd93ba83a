"""Looks at a study: a short one says the same as a long one, and the second costs less than the first."""

import contextlib
from collections.abc import Iterator, Sized
from pathlib import Path

import optuna
import pytest
from sqlalchemy import event

from hpo.errors import UsageError
from hpo.settings import Times
from hpo.store import Claims, Status, Store, glance, overview
from hpo.trial import Cause, Epoch, Result
from tests.support import claimed, completed, create, definition, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A study with trials of every kind."""
    return filled(open_store(tmp_path))


def filled(store: Store) -> Store:
    """Trials that ended well and badly, run, were lost, wait; two of equal value."""
    create(store, definition(budget={"trials": 30}))
    claims = Claims(store, "s", "a", Times())
    claims.roster.join(host="h", pid=1, slots=1, lease=60.0)
    ends = [completed(0.5), completed(0.9), completed(0.9), completed(0.1)]
    ends += [Result(cause=cause, detail=f"it was {cause}") for cause in Cause if cause is not Cause.COMPLETED]
    for result in ends:
        claim = claimed(claims)
        claims.report(claim, Epoch(fold=0, epoch=0, step=0, value=0.2, seconds=0.1, logs={}))
        claims.finish(claim, result)
    running = claimed(claims)
    claims.report(running, Epoch(fold=0, epoch=0, step=0, value=0.3, seconds=0.1, logs={}))
    claims.release(claimed(claims), lost=True)
    store.optuna_study(store.study("s")).enqueue_trial({"learning_rate": 0.01})
    return store


@contextlib.contextmanager
def statements(store: Store) -> Iterator[list[int]]:
    """What is asked of the database meanwhile: for each statement, for how many values it asks (trials, mostly)."""
    asked: list[int] = []

    def note(_connection: object, _cursor: object, statement: str, values: Sized, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            asked.append(len(values or ()))

    event.listen(store.rdb.engine, "before_cursor_execute", note)
    yield asked
    event.remove(store.rdb.engine, "before_cursor_execute", note)


def same_moment(one: Status, other: Status) -> bool:
    """Whether two looks say the same of a study, but for the moment itself."""
    return one.model_copy(update={"at": other.at}) == other


def test_a_glance_says_what_a_look_says(address: str) -> None:
    """The status from our rows is the one that all of Optuna's trials give."""
    store = filled(open_store(address))
    record = store.study("s")
    seen = store.status("s")
    assert same_moment(seen, overview.status(store, record, overview.trials(store, record)))
    assert seen.best is not None
    assert (seen.best.trial, list(seen.best.params)) == (1, ["learning_rate"])
    assert (seen.counts["running"], seen.counts["waiting"], len(seen.running)) == (2, 1, 1)
    assert seen.running[0].last_value == 0.3


def test_a_glance_reads_no_more_of_a_longer_study(store: Store) -> None:
    """Neither the statements of a status nor the trials that they ask Optuna for grow with those that ended."""
    with statements(store) as before:
        store.status("s")
    claims = Claims(store, "s", "b", Times())
    for _ in range(8):
        claims.finish(claimed(claims), completed(0.2))
    with statements(store) as after:
        store.status("s")
    assert len(after) <= len(before) <= 40
    assert max(after) <= max(before) <= 20  # four trials, each asked for in five tables


def test_what_has_ended_is_read_once(store: Store) -> None:
    """Who looks again is told the same, and reads only what may have changed."""
    first = store.trials("s")
    with statements(store) as asked:
        again = store.trials("s")
    assert [t.model_dump() for t in again] == [t.model_dump() for t in first]
    ended = [t for t, u in zip(again, first, strict=True) if t is u]
    assert {t.number for t in ended} == {t.number for t in first if t.cause is not None}
    assert asked
    claims = Claims(store, "s", "b", Times())
    lost = claimed(claims)
    claims.finish(lost, completed(0.7))
    new = claimed(claims)
    third = store.trials("s")
    assert (third[lost.number].value, third[lost.number].state) == (0.7, "complete")
    assert third[new.number].live
    fresh = open_store(store.url)
    assert [t.model_dump() for t in fresh.trials("s")] == [t.model_dump() for t in third]


def test_one_trial_alone(store: Store) -> None:
    """`hpo show` reads one trial, and says what there is if there is no such."""
    trials = store.trials("s")
    for number in (0, 1, len(trials) - 1):
        assert store.trial("s", number) == trials[number]
    with pytest.raises(UsageError, match=f"study 's' has no trial 99; it has 0 to {len(trials) - 1}"):
        store.trial("s", 99)


def test_many_trials_that_somebody_else_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one would read one by one: all are read at once, and the status is right."""
    monkeypatch.setattr(glance, "MOST_SINGLE", 2)
    study = store.optuna_study(store.study("s"))
    study.add_trials([optuna.trial.create_trial(value=0.1 * n, params={}, distributions={}) for n in range(4)])
    assert store.status("s").counts["complete"] == 4 + 4


def test_a_trial_that_somebody_else_ended(store: Store) -> None:
    """Told by Optuna's own means, without a word to us: counted all the same."""
    study = store.optuna_study(store.study("s"))
    study.tell(study.ask(), 0.95)
    seen = store.status("s")
    assert seen.best is not None
    assert seen.best.value == 0.95
    record = store.study("s")
    assert same_moment(seen, overview.status(store, record, overview.trials(store, record)))
