"""A study in a folder, and supervisors for it that train nothing."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from hpo.artifacts.address import open_artifacts
from hpo.child import ForkServer
from hpo.settings import Times
from hpo.spool import Key, Spool
from hpo.store import Claim, Claims, DataRecord, Orders, Status, Store
from hpo.worker import Supervisor
from tests.support import (
    FAST,
    TESTS,
    claimed,
    create,
    definition,
    fake_server,
    open_store,
)


class Bench:
    """A study in a folder, and supervisors for it in this process or in another."""

    def __init__(self, folder: Path, cache: Path, record: DataRecord, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.cache, self.record, self.patch = folder, cache, record, patch
        self.address = str(folder / "artifacts")  # of the artifact store
        self.store: Store = open_store(folder)
        self.diary = folder / "diary"
        patch.setenv("FAKE_DIARY", str(self.diary))

    def create(self, *, budget: dict[str, Any] | None = None, train: dict[str, Any] | None = None) -> None:
        """The study in the store."""
        create(self.store, definition(budget=budget, train=train or {}), self.record)

    def plan(self, **plan: object) -> None:
        """What the children of supervisors made after this do."""
        self.patch.setenv("FAKE", json.dumps(plan))

    def supervisor(
        self,
        *,
        slots: int = 1,
        devices: Sequence[str | None] = (),
        times: Times = FAST,
        server: ForkServer | None = None,
    ) -> Supervisor:
        """One in this process, with a slot for each of `devices`, or with `slots` slots."""
        return Supervisor(
            self.store,
            "s",
            devices=devices or [None] * slots,
            artifacts=open_artifacts(self.address),
            cache=self.cache,
            times=times,
            server=server or fake_server(),
        )

    def process(
        self,
        *,
        slots: int = 1,
        metrics_port: int | None = None,
        lease: float = FAST.lease,
        stderr: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """A supervisor in a process and a process group of its own.

        Args:
            slots, metrics_port: see `Supervisor`.
            lease: in seconds. A long one where nothing is to be taken over, however busy the machine is.
            stderr: as of `subprocess.Popen`.
        """
        code = (
            "import sys; from dataclasses import replace; from pathlib import Path; from tests.support import *\n"
            "from hpo.worker import Supervisor\n"
            "from hpo.artifacts.address import open_artifacts\n"
            "folder, cache = map(Path, sys.argv[1:3])\n"
            "sys.exit(Supervisor(open_store(folder), 's', devices=[None] * int(sys.argv[3]),\n"
            "    artifacts=open_artifacts(sys.argv[4]), cache=cache, server=fake_server(),\n"
            f"    times=replace(FAST, lease={lease}), metrics_port={metrics_port}).run())"
        )
        return subprocess.Popen(
            [sys.executable, "-c", code, str(self.folder), str(self.cache), str(slots), self.address],
            cwd=TESTS.parent,
            start_new_session=True,
            stderr=stderr,
        )

    def hearing(self) -> Callable[[], None]:
        """From here on, what takes trial 0 over for another worker, and waits until those of this process understood.

        That other worker's clock is an hour fast, so that it waits for no lease to end.
        """
        heard, renew = threading.Semaphore(0), Claims.renew

        def hear(claims: Claims, wanted: Iterable[Claim]) -> Orders:
            heard.release()
            return renew(claims, wanted)

        def take() -> None:
            other = open_store(self.folder, clock=lambda: time.time() + 3600)
            assert claimed(Claims(other, "s", "other", Times())).attempt == 2
            while heard.acquire(blocking=False):
                pass
            for _ in range(3):  # the third begins after the second was understood
                assert heard.acquire(timeout=60)

        self.patch.setattr(Claims, "renew", hear)
        return take

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """SIGSTOP, in a moment in which it holds no lock of the database: nobody else could write."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert process.poll() is None
            os.kill(process.pid, signal.SIGSTOP)
            while not _stands(process.pid):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            try:
                with closing(sqlite3.connect(self.folder / "hpo.db", timeout=1, isolation_level=None)) as database:
                    database.execute("BEGIN IMMEDIATE")
                    database.execute("ROLLBACK")
            except sqlite3.OperationalError:
                os.kill(process.pid, signal.SIGCONT)
                time.sleep(0.05)
            else:
                return
        raise TimeoutError("it holds the database")

    def spooled(self, number: int, attempt: int) -> Path:
        """The folder of an attempt on this node."""
        created_at, address = self.store.study("s").created_at, open_artifacts(self.address).address
        return Spool(self.cache, "s", created_at, address).folder(Key(number, attempt))

    def starts(self) -> list[tuple[int, int, int]]:
        """(number, attempt, pid) of every start of a child, in order."""
        if not self.diary.exists():
            return []
        lines = self.diary.read_text().splitlines()
        return [(int(n), int(a), int(p)) for n, a, p, *_ in (line.split() for line in lines)]

    def wait_for_start(self, number: int, attempt: int = 1) -> int:
        """Waits for a child and returns its pid."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for n, a, pid in self.starts():
                if (n, a) == (number, attempt):
                    return pid
            time.sleep(0.02)
        raise TimeoutError(f"trial {number} did not start: {self.starts()}")

    def status(self) -> Status:
        """The study now."""
        return self.store.status("s")


def _stands(pid: int) -> bool:
    """Whether all threads of a process have stopped."""
    states = []
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            states.append(thread.read_text().rpartition(")")[2].split()[0])
    return set(states) == {"T"}
