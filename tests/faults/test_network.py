"""A network that is cut: packets vanish, no connection is closed, and nobody is told."""

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Require
from tests.faults.check import look
from tests.faults.conftest import Begin
from tests.faults.fleet import Fleet, keep
from tests.faults.network import Link
from tests.postgres import Server, binaries
from tests.support import TESTS, open_store

# As `REACHABLE` of hpo/store/postgres.py, but in seconds that a test has time for.
SOON = "keepalives_idle=1&keepalives_interval=1&keepalives_count=1&tcp_user_timeout=2000&connect_timeout=2"
TRIALS, LEASE = 24, 3.0
HOLD = """
import sys; from tests.support import *
with open_store(sys.argv[1]).lock("s").hold():
    print("held", flush=True); sys.stdin.read()
"""


@dataclass
class Places:
    """A server here, and a place that reaches it by a cable."""

    link: Link
    server: Server

    def database(self) -> tuple[str, str]:
        """Address of an empty database from here, and from there."""
        here = self.server.database(f"t{uuid.uuid4().hex}")
        return here, here.replace("127.0.0.1", self.link.here) + f"?{SOON}"

    def sessions(self, address: str) -> int:
        """How many the server keeps for those at the other end of the cable."""
        with psycopg.connect(address) as connection:
            found = connection.execute(
                "select count(*) from pg_stat_activity where client_addr = %s", [self.link.there]
            )
            return int(found.fetchall()[0][0])


@pytest.fixture(scope="module")
def places(require: Require) -> Iterator[Places]:
    """Both, for all tests of this file."""
    programs = binaries()
    require(programs, "needs PostgreSQL (Debian: apt-get install postgresql)")
    require(shutil.which("ip"), "needs ip (Debian: apt-get install iproute2)")
    require(os.geteuid() == 0, "only root may lay a network", optional=True)
    try:
        link = Link()
    except PermissionError as error:
        require(None, str(error), optional=True)
        raise
    server = Server(programs or Path(), listen=link.here, trusts=link.network)
    yield Places(link, server)
    server.remove()
    link.remove()


@pytest.fixture
def link(places: Places) -> Iterator[Link]:
    """The cable, mended at the end."""
    yield places.link
    places.link.mend()


@pytest.mark.timeout(200)
def test_a_worker_that_is_cut_off(places: Places, link: Link, begin: Begin, tmp_path: Path) -> None:
    """Its trial is taken over; it notices by itself that nobody answers, and so does the server; once it is back it
    records nothing of what is no longer its own, and goes on working.
    """
    here, there = places.database()
    store = begin(here, TRIALS)
    near = Fleet(here, places.server, tmp_path, 1, lease=LEASE)
    far = Fleet(there, places.server, tmp_path, 1, lease=LEASE, within=link.within)
    try:
        held: set[int] = set()
        while not held:  # what it held in the moment of the cut, not a moment before
            link.mend()
            keep(near, far, until=lambda: bool(near.holds() and far.holds()))
            assert store.status("s").state != "ended"
            before = len(far.said())
            link.cut()
            pids = {str(worker.pid) for worker in far.workers}
            held = {t.number for t in store.trials("s") if t.worker and t.worker.split("-")[-2] in pids and not t.cause}
        began = time.monotonic()
        keep(near, far, until=lambda: "the database cannot be used" in far.said()[before:], seconds=30)
        noticed = time.monotonic() - began
        keep(near, far, until=lambda: not places.sessions(here), seconds=30)
        keep(near, far, until=lambda: held <= {trial.number for trial in store.trials("s") if trial.attempt > 1})
        link.mend()
        keep(near, far, until=lambda: "was taken over by another worker" in far.said())
        keep(near, far, until=lambda: bool(far.holds()))
        back = far.holds()
        keep(near, far)
    finally:
        near.close()
        far.close()
    found = look(here, TRIALS, tmp_path / "diary", LEASE)
    assert found.clean, found
    assert store.status("s").counts == {"complete": TRIALS, "pruned": 0, "fail": 0, "running": 0, "waiting": 0}
    assert back, "it never worked again"
    assert near.deserted == far.deserted == []
    assert held <= {each.number for each in found.takeovers}
    waited = max(each.waited() for each in found.takeovers)
    said = f"noticed after {noticed:.1f} s, taken over {waited:.1f} s after the last renewal"
    print(f"a cut network: lost 0, recorded twice 0 of {TRIALS} trials; {said}")  # noqa: T201 - for those who read the log


def test_a_lock_whose_holder_is_cut_off(places: Places, link: Link) -> None:
    """The server hears nothing of the holder, ends its session, and gives the lock to the next one."""
    here, there = places.database()
    store = open_store(here)
    holder = subprocess.Popen(
        [*link.within, sys.executable, "-c", HOLD, there],
        cwd=TESTS.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        link.cut()
        began = time.monotonic()
        with store.lock("s").hold():
            waited = time.monotonic() - began
    finally:
        holder.kill()
        holder.communicate()
    assert waited < 30  # two seconds, on a machine that has time; far from the two minutes of a session that idles
    print(f"a lock whose holder was cut off: free after {waited:.1f} s")  # noqa: T201 - for those who read the log
