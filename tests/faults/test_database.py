"""A database that has no room: no connection is left, or no byte of its disk."""

import contextlib
import os
import time
import uuid
from pathlib import Path

import psycopg
import pytest

from hpo.store import Store
from tests.conftest import Disks, Require
from tests.faults.check import look
from tests.faults.conftest import Begin
from tests.faults.fleet import Fleet, keep
from tests.postgres import Server, binaries

TRIALS, LEASE = 8, 3.0
EARLY = 80  # of the hundred connections that there are
PAST_THE_LEASE = LEASE + 1.0
# sessions of workers: this test's own bear its pid
THROW_OUT = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where application_name like 'hpo %%' and application_name not like '%% ' || %s"
)


class Crowd:
    """Others who take every connection that the server has."""

    def __init__(self, address: str) -> None:
        self._address = address
        # most of them come before the workers: only the last ones take any place
        self._inside = [psycopg.connect(address, autocommit=True) for _ in range(EARLY)]

    def push(self) -> int:
        """Throws the workers out, takes their places, and says how many of them are still in."""
        while True:
            try:
                self._inside.append(psycopg.connect(self._address, autocommit=True))
            except psycopg.OperationalError as error:
                if "too many clients" not in str(error):
                    raise
                break
        out = self._inside[0].execute(THROW_OUT, [os.getpid()])
        return len(out.fetchall())

    def leave(self) -> None:
        """All of them."""
        for connection in self._inside:
            connection.close()


def _refused(fleet: Fleet) -> list[int]:
    """Which workers found no room."""
    return [worker.pid for worker in fleet.workers if "too many clients" in worker.log.read_text()]


def _past(fleet: Fleet, seconds: float) -> None:
    """Lets a fleet be for so long."""
    deadline = time.monotonic() + seconds
    keep(fleet, until=lambda: time.monotonic() > deadline)


@pytest.mark.timeout(200)
def test_others_take_every_connection(postgres: Server, begin: Begin, tmp_path: Path) -> None:
    """Workers are thrown out of a server whose `max_connections` others use up, and one joins meanwhile: all wait until
    there is room again, longer than a lease; nobody dies, nothing is lost.
    """
    address = postgres.database(f"t{uuid.uuid4().hex}")
    store = begin(address, TRIALS)
    crowd = Crowd(address)
    fleet = Fleet(address, postgres, tmp_path, 2, lease=LEASE)
    try:
        keep(fleet, until=lambda: len(fleet.holds()) == 2)
        with fleet.noting_outage():
            keep(fleet, until=lambda: crowd.push() == 0)
            fleet.join()
            _past(fleet, PAST_THE_LEASE)
            keep(fleet, until=lambda: len(_refused(fleet)) == 3)
            refused = _refused(fleet)
            crowd.leave()
        keep(fleet)
    finally:
        crowd.leave()
        fleet.close()
    assert len(refused) == 3
    _nothing_is_lost(store, fleet, tmp_path)


@pytest.mark.timeout(200)
def test_the_disk_of_the_database_is_full(require: Require, disks: Disks, begin: Begin, tmp_path: Path) -> None:
    """PostgreSQL panics for want of space, and cannot start again until somebody makes room, after more than a lease:
    no worker dies, nothing is lost.
    """
    programs = binaries()
    require(programs, "needs PostgreSQL (Debian: apt-get install postgresql)")
    disk = disks("80m")
    server = Server(programs or Path(), data=disk)
    try:
        address = server.database(f"t{uuid.uuid4().hex}")
        store = begin(address, TRIALS)
        fleet = Fleet(address, server, tmp_path, 2, lease=LEASE)
        try:
            keep(fleet, until=lambda: len(fleet.holds()) == 2)
            with fleet.noting_outage():
                _fill(disk)
                _write(address)
                _past(fleet, PAST_THE_LEASE)
                panicked = "PANIC:  could not write to file" in server.said
                refused = [worker for worker in fleet.workers if "cannot be used" in worker.log.read_text()]
                (disk / "ballast").unlink()
                while not _answers(address):  # it may give up a little later only
                    if not server.running:
                        server.start()
                    time.sleep(0.1)
            keep(fleet)
        finally:
            fleet.close()
        assert panicked, server.said
        assert len(refused) == 2
        _nothing_is_lost(store, fleet, tmp_path)
    finally:
        server.remove()


def _nothing_is_lost(store: Store, fleet: Fleet, folder: Path) -> None:
    found = look(fleet.address, TRIALS, folder / "diary", LEASE, fleet.outages)
    assert found.clean, found
    assert store.status("s").counts == {"complete": TRIALS, "pruned": 0, "fail": 0, "running": 0, "waiting": 0}
    assert fleet.deserted == []


def _answers(address: str) -> bool:
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(address):
        return True
    return False


def _fill(disk: Path) -> None:
    """Leaves no byte of a disk."""
    with (disk / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 12)):
            pass


def _write(address: str) -> None:
    """Has the server write to its log of changes, as others' work would, until it cannot."""
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(address, autocommit=True) as connection:
        while True:
            connection.execute("select pg_logical_emit_message(false, 'others', repeat('x', 100000))")
