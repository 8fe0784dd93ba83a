"""After an outage nobody takes a trial from a worker that still trains it: it could not renew its lease."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from hpo.settings import Times
from hpo.store import Claims, Idle, Over, Store
from hpo.store.outages import Outages
from hpo.trial import Cause
from tests.postgres import Server
from tests.store.conftest import LEASE, Clock
from tests.support import claimed, completed, create, definition, open_store

Outage = Callable[[float], None]


@pytest.fixture
def outage(store: Store, clock: Clock) -> Iterator[Outage]:
    """The next statement, whoever sends it, finds no database; it is back so many seconds later."""
    lengths: list[float] = []

    def away(*_: Any) -> None:
        if lengths:
            clock.now += lengths.pop()
            raise OperationalError("select", {}, Exception("the server is away"))

    event.listen(store.rdb.engine, "before_cursor_execute", away)
    yield lengths.append
    event.remove(store.rdb.engine, "before_cursor_execute", away)


def team(store: Store, clock: Clock, *names: str) -> list[Claims]:
    """Workers that go by the test's clock in all respects."""
    return [Claims(store, "s", name, Times(), clock=clock) for name in names]


def test_after_an_outage_a_worker_keeps_what_it_trains(store: Store, clock: Clock, outage: Outage) -> None:
    """However long the outage, and whoever comes back first: the trial stays its worker's, its result counts, and
    neither costs a loss.
    """
    create(store, definition(budget={"trials": 9, "retries": 0}))
    a, b = team(store, clock, "a", "b")
    training, done = claimed(a), claimed(a)
    outage(5 * LEASE)
    assert claimed(b).number == 2
    assert a.finish(done, completed(0.75))
    clock.now += LEASE - 1  # a pauses between its tries, or its calls hang
    assert claimed(b).number == 3
    assert a.renew([training]).lost == ()
    clock.now += 2
    assert claimed(b).number == 4
    assert a.finish(training, completed(0.5))
    assert [(t.cause, t.attempt, t.losses) for t in store.trials("s")[:2]] == [(Cause.COMPLETED, 1, 0)] * 2


def test_who_does_not_come_back_from_an_outage_is_taken_over(store: Store, clock: Clock, outage: Outage) -> None:
    """One lease after the outage a trial of a dead worker is taken over; what was given back is so at once."""
    create(store, definition(budget={"trials": 3}))
    a, b = team(store, clock, "a", "b")
    dead, left = claimed(a), claimed(a)
    a.release(left, lost=True)
    outage(2 * LEASE)
    assert (claimed(b).number, claimed(b).number) == (left.number, 2)
    assert b.claim() == Idle()
    clock.now += LEASE - 1
    assert b.claim() == Idle()
    clock.now += 1
    assert claimed(b).key == (dead.number, 2)


def test_who_met_no_outage_takes_over_at_once(store: Store, clock: Clock, outage: Outage) -> None:
    """A worker that starts after the outage, and one that only tripped: no lease can have run out by that."""
    create(store, definition())
    a, b = team(store, clock, "a", "b")
    dead = claimed(a)
    clock.now += LEASE + 1
    b.renew([])
    outage(LEASE / 4)
    assert claimed(b).key == (dead.number, 2)
    outage(5 * LEASE)
    b.renew([])
    assert claimed(*team(store, clock, "c")).key == (dead.number, 3)


def test_the_budget_of_time_ends_after_those_that_may_come_back(store: Store, clock: Clock, outage: Outage) -> None:
    """After an outage nobody leaves before it is known who comes back: what then is nobody's ends with the budget."""
    create(store, definition(budget={"hours": 0.01}))
    a, b = team(store, clock, "a", "b")
    claimed(a)
    outage(3600)
    assert b.claim() == Idle()
    clock.now += LEASE
    assert b.claim() == Over(reason="hours")
    assert store.trial("s", 0).cause is Cause.BUDGET


def test_a_worker_whose_first_contact_is_an_outage_has_met_it(store: Store, clock: Clock, outage: Outage) -> None:
    """It cannot know how long that was."""
    create(store, definition())
    dead = claimed(*team(store, clock, "a"))
    clock.now += 5 * LEASE
    outage(1.0)
    (b,) = team(store, clock, "b")
    assert claimed(b).number == 1
    clock.now += LEASE
    assert claimed(b).key == (dead.number, 2)
    patient = Outages(LEASE, met=True, clock=clock)  # so is one that waited for the database to open it
    patient.answered()
    assert patient.lately


def test_a_stopped_server_takes_no_trial_from_anybody(
    postgres: Server, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real outage, longer than the lease: of two workers the one that is back first takes nothing."""
    address = postgres.database(f"t{uuid.uuid4().hex}")
    create(open_store(address, clock), definition())
    (a,), (b,) = (team(open_store(address, clock), clock, name) for name in "ab")
    training, told = claimed(a), b._waited
    postgres.stop("fast")
    clock.now += 5 * LEASE

    def back(seconds: float) -> None:
        """The first try was in vain."""
        if not postgres.running:
            postgres.start()
        told(seconds)

    monkeypatch.setattr(b, "_waited", back)
    try:
        assert claimed(b).number == 1
    finally:
        if not postgres.running:
            postgres.start()
    assert a.renew([training]).lost == ()
    assert a.finish(training, completed())


def test_who_comes_after_an_outage_takes_no_trial_from_anybody(postgres: Server, clock: Clock) -> None:
    """A worker that is started when a real outage is over has met none, and finds only leases that ran out."""
    address = postgres.database(f"t{uuid.uuid4().hex}")
    create(open_store(address), definition())
    clock.now = time.time() - 5 * LEASE
    (a,) = team(open_store(address, clock), clock, "a")
    training, gone = claimed(a), claimed(a)
    postgres.stop("fast")
    postgres.start()
    clock.now = time.time()
    (b,) = team(open_store(address, clock), clock, "b")
    assert claimed(b).number == 2
    assert a.renew([training]).lost == ()
    clock.now += LEASE
    assert a.renew([training]).lost == ()
    assert claimed(b).key == (gone.number, 2)
