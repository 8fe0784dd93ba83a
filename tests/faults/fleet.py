"""Supervisors in processes of their own, restarted when they die, and every way of hurting them.

Children train nothing (tests/fake_server.py), but are real processes of a real fork server. What each fault was aimed
at stands in `Fleet.history`.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, text

from tests.faults.check import LEASE
from tests.postgres import Server
from tests.support import TESTS, alive, children, kill

AWAY_SECONDS = 10.0  # that a worker pauses at most between two tries to reach a database that was away
CODE = """
{before}
from pathlib import Path; from tests.support import *; from hpo.worker import Supervisor
def run():
    folder = Path({folder!r})
    times = Times(carry=0.2, lease={lease!r}, renew=0.5, idle=0.2, start=60.0, obey=2.0, grace=0.5)
    return Supervisor(Store.patiently({address!r}, 600), 's', devices=[None], artifacts=Folder(folder / 'artifacts'),
        cache=folder / 'cache', times=times, server={server}).run()
"""


@dataclass
class Worker:
    """One supervisor. `hurt` says that we killed it; it has to survive whatever happens to its children."""

    pid: int
    log: Path
    hurt: bool = False
    stopped_until: float | None = None


@dataclass
class Fleet:
    """So many supervisors of the study "s".

    Attributes:
        lease: in seconds.
        children: the fork server that each has, as Python.
        before: what they do before anything else, as Python.
        within: how a command begins that is to run where they do; empty for here.
        history: how often each fault was injected.
        outages: from when to when workers may leave a lease alone that ran out, by this machine's clock: the database
            was away, or came back less than a lease ago.
        stops: from when to when a worker stood still, perhaps with the lock in its hand.
        deserted: workers that ended with an error although nobody had touched them, with what they said.
    """

    address: str
    server: Server
    folder: Path
    size: int
    seed: int = 0
    lease: float = LEASE
    children: str = "fake_server()"
    before: str = ""
    within: tuple[str, ...] = ()
    outages: list[tuple[float, float]] = field(default_factory=list)
    stops: list[tuple[float, float]] = field(default_factory=list)
    history: Counter[str] = field(default_factory=Counter)
    deserted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._nursery = subprocess.Popen(
            [
                *(*self.within, sys.executable, "-m", "tests.faults.nursery"),
                CODE.format(
                    before=self.before,
                    address=self.address,
                    folder=str(self.folder),
                    lease=self.lease,
                    server=self.children,
                ),
            ],
            cwd=TESTS.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ended: dict[int, int] = {}
        self._started: list[int] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.workers: list[Worker] = []
        for _ in range(self.size):
            self.join()
        self._engine = create_engine(self.address.replace("postgresql://", "postgresql+psycopg://"), pool_pre_ping=True)

    def _listen(self) -> None:
        if self._nursery.stdout is None:
            return
        for line in self._nursery.stdout:
            what, pid, *status = line.split()
            if what == "started":
                self._started.append(int(pid))
            else:
                self._ended[int(pid)] = int(status[0])

    def join(self) -> Worker:
        """One more worker."""
        self.workers.append(self._start())
        return self.workers[-1]

    def _start(self) -> Worker:
        log = self.folder / f"worker-{time.monotonic_ns()}.log"
        before = len(self._started)
        if self._nursery.stdin is not None:
            self._nursery.stdin.write(f"{log}\n")
            self._nursery.stdin.flush()
        _wait(lambda: len(self._started) > before, 60)
        return Worker(self._started[before], log)

    def _code(self, worker: Worker) -> int | None:
        """Exit code of a supervisor; None while it runs."""
        return self._ended.get(worker.pid)

    def keep(self) -> bool:
        """Does what systemd would: starts dead workers again, lets stopped ones go on. False once all left in order."""
        for i, worker in enumerate(self.workers):
            if worker.stopped_until is not None and time.monotonic() >= worker.stopped_until:
                worker.stopped_until = None
                self._signal(worker, signal.SIGCONT)
            code = self._code(worker)
            if code is None or code == 0:
                continue
            if not worker.hurt:
                self.deserted.append(f"exit {code}: {worker.log.read_text()[-1000:]}")
            self._reap(worker)
            self.workers[i] = self._start()
        return any(self._code(worker) is None for worker in self.workers)

    def running(self) -> list[Worker]:
        """The supervisors that are neither dead nor stopped."""
        return [w for w in self.workers if self._code(w) is None and w.stopped_until is None]

    def said(self) -> str:
        """All that the supervisors that run now have said."""
        return "".join(worker.log.read_text() for worker in self.workers)

    def holds(self) -> list[int]:
        """Numbers of the trials that its supervisors have leased."""
        query = text("select number, worker from hpo_trials where worker is not null and outcome is null")
        mine = {str(worker.pid) for worker in self.running()}
        with self._engine.connect() as connection:
            return [number for number, worker in connection.execute(query) if worker.split("-")[-2] in mine]

    def _signal(self, worker: Worker, signum: int) -> None:
        for pid in (*children(worker.pid), worker.pid):
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                continue

    def kill_supervisor(self) -> None:
        """SIGKILL of a supervisor: its fork server and child have to go by themselves."""
        worker = self.random.choice(self.running())
        worker.hurt = True
        kill(worker.pid)
        self.history["supervisor killed"] += 1

    def kill_claiming(self) -> bool:
        """SIGKILL of a supervisor that holds the study's lock at this moment. False when none did within a second."""
        deadline = time.monotonic() + 1.0
        mine = {worker.pid: worker for worker in self.running()}
        query = text(
            "select application_name from pg_stat_activity join pg_locks using (pid) "
            "where locktype = 'advisory' and granted and datname = current_database()"
        )
        with self._engine.connect() as connection:
            while time.monotonic() < deadline:
                for (name,) in connection.execute(query):
                    pid = int(name.rpartition(" ")[2]) if name.rpartition(" ")[2].isdigit() else 0
                    if pid in mine:
                        mine[pid].hurt = True
                        kill(pid)
                        self.history["supervisor killed inside the claim window"] += 1
                        return True
        return False

    def kill_child(self) -> bool:
        """SIGKILL of a trial's process. False when none ran."""
        return self._kill_below("child killed", lambda pid: not children(pid))

    def kill_fork_server(self) -> bool:
        """SIGKILL of a fork server, with a child or without. False when none ran."""
        return self._kill_below("fork server killed", lambda pid: bool(children(pid)))

    def _kill_below(self, what: str, fits: Callable[[int], bool]) -> bool:
        found = [pid for w in self.running() for pid in children(w.pid) if fits(pid)]
        if not found:
            return False
        kill(self.random.choice(found))
        self.history[what] += 1
        return True

    def stop_past_the_lease(self) -> None:
        """SIGSTOP of a supervisor and all below it until others must have taken its trial over; then SIGCONT."""
        worker = self.random.choice(self.running())
        worker.stopped_until = time.monotonic() + self.lease + 2.0
        self._signal(worker, signal.SIGSTOP)
        self.stops.append((time.time(), time.time() + self.lease + 2.0))
        self.history["stopped past the lease"] += 1

    @contextlib.contextmanager
    def noting_outage(self) -> Iterator[None]:
        """The database is away meanwhile, and comes back at the end."""
        began = time.time()
        yield
        self.outages.append((began, time.time() + AWAY_SECONDS + self.lease))

    def outage(self, seconds: float, mode: str) -> None:
        """The database is away: "fast" in order, "immediate" by a crash."""
        with self.noting_outage():
            self.server.stop(mode)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                time.sleep(0.1)  # the outage itself
            self.server.start()
        self.history[f"database outage ({mode})"] += 1

    def close(self) -> None:
        """Ends all of it."""
        for worker in self.workers:
            self._signal(worker, signal.SIGCONT)
            self._reap(worker)
        self._engine.dispose()
        if self._nursery.stdin is not None:
            self._nursery.stdin.close()
        self._nursery.wait()
        self._listener.join()
        if self._nursery.stdout is not None:
            self._nursery.stdout.close()

    def _reap(self, worker: Worker) -> None:
        """Ends a supervisor, and waits for what it had started."""
        below = children(worker.pid)
        kill(worker.pid)
        _wait(lambda: worker.pid in self._ended and not any(map(alive, below)), 10)


def keep(*fleets: Fleet, until: Callable[[], bool] = lambda: False, seconds: float = 100.0) -> None:
    """Keeps fleets alive until something is so, or all workers have left in order.

    Raises:
        TimeoutError: that took too long.
    """
    deadline = time.monotonic() + seconds
    while sum(fleet.keep() for fleet in fleets) and not until():  # each is asked, and starts its dead
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited for {seconds:g} s; the workers said:\n{''.join(f.said() for f in fleets)}")
        time.sleep(0.05)


def _wait(ready: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited for {seconds:g} s")
        time.sleep(0.02)
