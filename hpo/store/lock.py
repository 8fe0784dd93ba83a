"""One lock per study, held while a trial is claimed or finished: an flock beside the SQLite file.

The kernel frees it when its holder dies, however it dies. A holder that stands still (a stopped process) keeps it;
waiters then report it by pid.
"""

import contextlib
import fcntl
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hpo.errors import StorageError

log = logging.getLogger(__name__)

REPORT_SECONDS = 30.0
FOR_SECONDS = 600.0
LEAVING_SECONDS = 5.0  # that a worker which leaves goes on trying


class LockLostError(StorageError):
    """The lock's file was removed or replaced while it was held, so that others may hold its successor."""


class LockHeldError(StorageError):
    """Somebody else has held the lock for as long as one waits for it."""


class Patience:
    """How long somebody waits for a lock: from its making on, and a few seconds more once told to leave.

    Args:
        seconds: that it lasts.
        give_up: once seen set, LEAVING_SECONDS are left of it at most; None: nobody tells.
        clock: monotonic seconds.
    """

    def __init__(
        self, seconds: float, give_up: threading.Event | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._give_up = give_up
        self._clock = clock
        self._began = clock()
        self._ends = self._began + seconds
        self._leaving = False

    @property
    def waited(self) -> float:
        """Seconds since its making."""
        return self._clock() - self._began

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        if not self._leaving and self._give_up is not None and self._give_up.is_set():
            self._leaving = True
            self._ends = min(self._ends, self._clock() + LEAVING_SECONDS)
        return self._clock() > self._ends


class StudyLock:
    """The lock of one study.

    Args:
        path: the lock's file; made when missing.
        guard: called once the lock is held; raises if what it protects is no longer there. None checks nothing.
        for_seconds: how long to wait for it before giving up.
    """

    def __init__(
        self, path: Path, *, guard: Callable[[], None] | None = None, for_seconds: float = FOR_SECONDS
    ) -> None:
        self._path = path
        self._guard = guard
        self._for_seconds = for_seconds

    @contextlib.contextmanager
    def hold(self, give_up: threading.Event | None = None) -> Iterator[Callable[[], None]]:
        """Waits for the lock and holds it; yields a function that raises if it was lost meanwhile.

        Raises:
            LockHeldError: it could not be had in time; the message names the holder.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fd = self._acquire(give_up)
        try:
            with contextlib.suppress(OSError):  # a full disk: the pid is a courtesy
                os.ftruncate(fd, 0)
                os.pwrite(fd, str(os.getpid()).encode(), 0)
            if self._guard is not None:
                self._guard()
            yield lambda: self._check(fd)
        finally:
            os.close(fd)  # frees the flock

    def remove(self) -> None:
        """Removes the lock's file; who holds it finds it lost, who waits makes a new one."""
        self._path.unlink(missing_ok=True)

    def _acquire(self, give_up: threading.Event | None) -> int:
        patience = Patience(self._for_seconds, give_up)
        reported = False
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._check(fd)  # it may have been removed between open and flock
                return fd
            except BlockingIOError:
                holder = os.pread(fd, 32, 0).decode(errors="replace") or "unknown"
                os.close(fd)
            except LockLostError:
                os.close(fd)
                continue
            waited = patience.waited
            if patience.over:
                raise LockHeldError(
                    f"process {holder} has held the study's lock {self._path} for over {waited:.0f} s; "
                    "continue it (kill -CONT) or end it"
                )
            if waited > REPORT_SECONDS and not reported:
                reported = True
                log.warning("process %s has held the study's lock for %.0f s: is it stopped?", holder, waited)
            time.sleep(random.uniform(0.005, 0.05))

    def _check(self, fd: int) -> None:
        try:
            there = self._path.stat()
        except FileNotFoundError as error:
            raise LockLostError(f"the study's lock {self._path} was removed while it was held") from error
        ours = os.fstat(fd)
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            raise LockLostError(f"the study's lock {self._path} was replaced while it was held")
