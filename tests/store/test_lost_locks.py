"""A worker that stands still under PostgreSQL's lock loses it, and then finds that others did its work."""

import uuid
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from sqlalchemy import event, text

from hpo import search
from hpo.settings import Times
from hpo.store import Claim, Claims, Store, tables
from hpo.store.endings import Endings
from hpo.trial import Cause
from tests.postgres import Server
from tests.support import claimed, completed, create, definition, open_store


def _two(postgres: Server, clock: Callable[[], float] | None = None) -> tuple[Store, Store]:
    """A database, opened twice."""
    address = postgres.database(f"t{uuid.uuid4().hex}")
    return open_store(address, clock), open_store(address, clock)


def _end_the_session(store: Store) -> None:
    """As the server does to a holder of the lock that has stood still for too long."""
    with store.rdb.engine.begin() as connection:
        connection.execute(
            text(
                "select pg_terminate_backend(pid) from pg_locks join pg_database on pg_database.oid = database "
                "where locktype = 'advisory' and granted and datname = current_database()"
            )
        )


@pytest.mark.parametrize("moment", ["asks", "writes"])
def test_a_claim_whose_lock_was_lost(postgres: Server, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Its trial has no row and no parameters yet, so another one takes it: the claim goes on with the next trial."""
    store, other = _two(postgres)
    create(store, definition())
    a, b = Claims(store, "s", "a", Times()), Claims(other, "s", "b", Times())
    a.finish(claimed(a), completed())  # the published default, which has its parameters from the beginning
    suggest, taken = search.suggest, list[Claim]()

    def lose() -> None:
        monkeypatch.setattr(search, "suggest", suggest)
        _end_the_session(other)
        taken.append(claimed(b))

    def ask(*arguments: Any) -> search.Suggestion:
        lose()
        return suggest(*arguments)

    def write(*arguments: Any) -> None:
        if arguments[2].startswith("INSERT INTO trial_params") and not taken:
            lose()

    if moment == "asks":
        monkeypatch.setattr(search, "suggest", ask)
    else:
        event.listen(store.rdb.engine, "before_cursor_execute", write)
    mine, (theirs,) = claimed(a), taken
    assert (theirs.number, theirs.attempt, mine.number, mine.attempt) == (1, 1, 2, 1)
    assert a.finish(mine, completed())
    assert b.finish(theirs, completed())
    learned = [trial.params["learning_rate"] for trial in store.trials("s")[1:]]
    assert learned == [theirs.training["learning_rate"], mine.training["learning_rate"]]


def test_a_finish_whose_lock_was_lost(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one tells Optuna what was recorded: the worker finds its trial ended as it wanted, and goes on."""
    store, other = _two(postgres)
    create(store, definition())
    a, b = Claims(store, "s", "a", Times()), Claims(other, "s", "b", Times())
    claim, mark = claimed(a), search.mark

    def lose(trial: optuna.Trial, *, infeasible: bool) -> None:
        monkeypatch.setattr(search, "mark", mark)
        _end_the_session(other)
        claimed(b)
        mark(trial, infeasible=infeasible)

    monkeypatch.setattr(search, "mark", lose)
    assert a.finish(claim, completed(0.25))
    ended = store.trial("s", claim.number)
    assert (ended.state, ended.value, ended.cause) == ("complete", 0.25, Cause.COMPLETED)


def test_a_lost_lock_ends_nobodys_trial(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lost the lock before it ends a lost trial finds that another one has taken it over, and leaves it."""
    moment = [4_000_000_000.0]
    store, other = _two(postgres, lambda: moment[0])
    create(store, definition(budget={"trials": 5, "retries": 0}))
    a, b = Claims(store, "s", "a", Times()), Claims(other, "s", "b", Times())
    dead = claimed(Claims(store, "s", "c", Times()))
    moment[0] += Times().lease + 1
    poison = Endings.end_lost

    def late(*arguments: Any) -> None:
        monkeypatch.setattr(Endings, "end_lost", poison)
        _end_the_session(other)
        with other.rdb.engine.begin() as connection:  # as if it had more patience with the trial
            connection.execute(tables.trials.update().values(losses=-1))
        assert claimed(b).key == (dead.number, 2)
        poison(*arguments)

    monkeypatch.setattr(Endings, "end_lost", late)
    assert claimed(a).number == dead.number + 1
    assert (store.trial("s", dead.number).worker, store.trial("s", dead.number).cause) == ("b", None)
