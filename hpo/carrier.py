"""Carries trials' files from the spool of this node to the artifact store, and back where a trial goes on here.

A thread of its own does so. Whatever the store does (refuse, fill up, hang), trials begin, go on and end meanwhile.
"""

import contextlib
import logging
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hpo import checkpoints
from hpo.artifacts import Artifacts, StoreAway
from hpo.errors import HpoError, StorageError
from hpo.spool import Held, Key, Spool, files
from hpo.store import Claim, TrialRecord

log = logging.getLogger(__name__)

LOG = "log.txt"
LONGEST_PAUSE = 60.0  # seconds between two tries while the store does not answer
HANG = 30.0  # seconds after which one call to the store counts as no answer
FETCH = 120.0  # seconds that a trial waits for the files of its attempt before, which was made elsewhere
SETTLE = 3.0  # seconds that a trial's last files may take before it is given back
PATIENCE = 30.0  # seconds that a worker which has nothing else to do waits for one file to be taken
LOOK_AGAIN = 30.0  # seconds between two looks at what workers that died have left here


class Carrier:
    """For one worker.

    Args:
        artifacts: the store.
        spool: of the worker's study.
        look: reads a trial of the study. Fails with an `HpoError` when the database is away.
        sure: whether the worker's trials are still its own, as far as it can know: one that stood still, and may have
            lost them, must not write over its successor's files.
        pause: seconds between two looks at what has changed.
    """

    def __init__(
        self,
        artifacts: Artifacts,
        spool: Spool,
        look: Callable[[int], TrialRecord],
        sure: Callable[[], bool],
        pause: float,
    ) -> None:
        self._artifacts = artifacts
        self._spool = spool
        self._look = look
        self._sure = sure
        self._pause = pause
        self._lock = threading.Lock()  # guards the three below
        self._running: dict[Key, tuple[Held, str]] = {}  # with its folder in the store
        self._ended: dict[Key, tuple[Held, str]] = {}
        self._lost: dict[Key, Held] = {}
        self._carried: dict[str, tuple[int, int]] = {}  # name in the store -> size and time of what was carried
        self._wake = threading.Event()
        self._turn = threading.Condition()
        self._begun = self._done = 0  # passes
        self._leaving = threading.Event()
        self._busy_since: float | None = None
        self._tries = 0  # without success, in a row
        self._said = False
        self._next_look = self._moved = 0.0
        self._thread = threading.Thread(target=self._run, name="carrier", daemon=True)

    # --- what slots call ---------------------------------------------------------------------------------------

    def begin(self, claim: Claim, give_up: Callable[[], bool]) -> Path:
        """The folder that a trial writes into, with what it goes on from.

        Args:
            claim: the trial.
            give_up: whether not to wait for the store any more.

        Raises:
            OSError: the spool cannot be written.
        """
        key = Key(*claim.key)
        with self._lock:
            if key in self._running:
                return self._running[key][0].path
        held = self._spool.make(key, lambda folder: self._fill(folder, claim, give_up))
        with self._lock:
            self._running[key] = (held, claim.artifacts)
        return held.path

    def changed(self) -> None:
        """There is something new that should not wait."""
        self._wake.set()

    def settle(self, seconds: float = SETTLE) -> None:
        """Waits until everything has been carried, unless the store does not answer."""
        with self._turn:
            begun = self._begun
            self._wake.set()
            self._turn.wait_for(lambda: self._done > begun or self._tries > 0, seconds)

    def end(self, claim: Claim) -> None:
        """The trial was recorded: all of its files are to be carried, and its checkpoints are nobody's."""
        with self._lock:
            found = self._running.pop(Key(*claim.key), None)
            if found is not None:
                self._ended[Key(*claim.key)] = found
        self._wake.set()

    def leave(self, claim: Claim) -> None:
        """The trial was given back: its files stay for whoever goes on with it here."""
        with self._lock:
            found = self._running.pop(Key(*claim.key), None)
        if found is not None:
            self._spool.let_go(found[0])
            self._next_look = 0.0
            self._wake.set()

    def lose(self, claim: Claim) -> None:
        """The trial is another worker's: nothing of it is carried any more, though its process may still write."""
        with self._lock:
            found = self._running.pop(Key(*claim.key), None)
            if found is not None:
                self._lost[Key(*claim.key)] = found[0]

    def drop(self, claim: Claim) -> None:
        """The trial is another worker's, and its process here is gone: the files are of no use."""
        self.lose(claim)
        with self._lock:
            held = self._lost.pop(Key(*claim.key), None)
        if held is not None:
            self._spool.discard(held)

    # --- what the supervisor calls -----------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to carry."""
        self._thread.start()

    def turn(self) -> None:
        """Called again and again: says so if the store hangs."""
        since = self._busy_since
        if since is not None and time.monotonic() - since > HANG:
            self._tell(f"the artifact store {self._artifacts.address} has not answered for {HANG:.0f} s")

    def close(self, hurry: Callable[[], bool]) -> None:
        """Carries what is left, if the store answers, and says what stays.

        Args:
            hurry: whether there is no time for that.
        """
        self._leaving.set()
        self._next_look = 0.0
        self._wake.set()
        self._moved = time.monotonic()
        while self._thread.is_alive() and time.monotonic() - self._moved < PATIENCE and not hurry():
            self._thread.join(0.05)
        with self._lock:
            left = len(self._running) + len(self._ended)
        if self._tries or self._thread.is_alive():
            log.warning(
                "files of trials stay in %s (%d ended ones): the artifact store %s did not take them. "
                "The next worker of this study on this machine carries them over",
                self._spool.path, left, self._artifacts.address,
            )  # fmt: skip

    # --- the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        last = False
        while not last:
            pause = self._pause if not self._tries else min(LONGEST_PAUSE, self._pause * 2**self._tries)
            if self._tries:  # what changes meanwhile is no reason to try earlier
                self._leaving.wait(pause * random.uniform(0.5, 1.0))
            else:
                self._wake.wait(pause)
            last = self._leaving.is_set()
            self._wake.clear()
            with self._turn:
                self._begun += 1
            try:
                self._pass()
            except HpoError as error:
                self._tries += 1
                self._tell(str(error))
            except Exception:
                log.exception("the carrier of trials' files has a bug")
                self._tries += 1
            else:
                if self._said:
                    log.info("the artifact store %s answers again; all files are there", self._artifacts.address)
                self._tries, self._said = 0, False
            self._busy_since = None
            with self._turn:
                self._done = self._begun
                self._turn.notify_all()
        with self._lock:  # what could not be carried is the next worker's
            left = [held for held, _ in (*self._running.values(), *self._ended.values())]
        for held in left:
            self._spool.let_go(held)

    def _tell(self, reason: str) -> None:
        if not self._said:
            self._said = True
            log.warning(
                "%s. No trial waits for that: files stay in %s and are carried over when the store takes them",
                reason, self._spool.path,
            )  # fmt: skip

    def _pass(self) -> None:
        """Carries everything that can be carried now.

        Raises:
            StorageError: something could not be.
        """
        with self._lock:
            ended, running = list(self._ended.values()), list(self._running.values())
        refused: StorageError | None = None
        work = [lambda held=held, name=name: self._carry_ended(held, name) for held, name in ended]
        work += [lambda held=held, name=name: self._carry_running(held, name) for held, name in running]
        for each in (*work, self._look_after):
            try:
                each()
            except StoreAway:
                raise
            except StorageError as error:  # of this trial; others may fare better
                refused = refused or error
        if refused is not None:
            raise refused

    def _carry_running(self, held: Held, name: str) -> None:
        """What a successor elsewhere needs."""
        checkpoint = checkpoints.newest(held.path)
        if checkpoint is not None and self._put(checkpoint, f"{name}/{checkpoint.name}"):
            before = [
                other
                for other in self._carried
                if other.startswith(f"{name}/") and checkpoints.is_one(other.removeprefix(f"{name}/"))
            ]
            before.remove(f"{name}/{checkpoint.name}")
            self._remove(before)
        self._put(held.path / LOG, f"{name}/{LOG}")

    def _carry_ended(self, held: Held, name: str) -> None:
        """All of it but the checkpoints, which go. Then the folder goes too."""
        for path in files(held.path):
            if not checkpoints.is_one(path.name):
                self._put(path, f"{name}/{path.name}", certain=True)
        self._busy_since = time.monotonic()
        there = [entry.name for entry in self._artifacts.entries(name)]
        self._remove([other for other in there if checkpoints.is_one(other.removeprefix(f"{name}/"))])
        with self._lock:
            self._ended.pop(held.key, None)
        for other in [other for other in self._carried if other.startswith(f"{name}/")]:
            del self._carried[other]
        self._spool.discard(held)

    def _look_after(self) -> None:
        """Sees to the folders of attempts that nobody holds: their workers died, or gave them back."""
        if time.monotonic() < self._next_look:
            return
        self._spool.tidy()
        found = self._spool.found()
        for key in found:
            held = self._spool.take(key)
            if held is None:
                continue
            try:
                self._see_to(held, followed=any(key.number == n and key.attempt < a for n, a in found))
            finally:
                self._spool.let_go(held)
        self._next_look = time.monotonic() + LOOK_AGAIN

    def _see_to(self, held: Held, *, followed: bool) -> None:
        """Carries what counts of an abandoned folder, and removes it once nobody can need it here.

        Args:
            held: the folder. followed: there is one of a later attempt, which has taken from it what it needs.
        """
        try:
            trial = self._look(held.key.number)
        except KeyError:
            self._spool.discard(held)
            return
        except HpoError:  # the database is away; the slots say so
            return
        current = trial.attempt == held.key.attempt and trial.artifacts is not None
        if trial.cause is not None and current:
            self._carry_ended(held, str(trial.artifacts))
        elif trial.cause is not None or followed:
            self._spool.discard(held)
        elif current:
            self._carry_running(held, str(trial.artifacts))

    def _put(self, path: Path, name: str, *, certain: bool = False) -> bool:
        """Carries a file, unless it was carried as it is. False where it is gone, or may not be ours any more."""
        try:
            about = path.stat()
            mark = (about.st_size, about.st_mtime_ns)
            if self._carried.get(name) == mark:
                return True
            if not certain and not self._sure():
                return False
            self._busy_since = time.monotonic()
            self._artifacts.put(path, name)
        except FileNotFoundError:  # the training has removed it meanwhile
            return False
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
        finally:
            self._busy_since = None
        self._carried[name] = mark
        self._moved = time.monotonic()
        return True

    def _remove(self, names: list[str]) -> None:
        self._busy_since = time.monotonic()
        self._artifacts.remove(names)
        self._busy_since = None
        for name in names:
            self._carried.pop(name, None)

    # --- what a trial goes on from -----------------------------------------------------------------------------

    def _fill(self, folder: Path, claim: Claim, give_up: Callable[[], bool]) -> None:
        """Puts the files of earlier attempts into a new folder."""
        if claim.attempt == 1:
            return
        here = [key for key in self._spool.found() if key.number == claim.number and key.attempt < claim.attempt]
        if here:
            _copy(self._spool.folder(here[-1]), folder)
        if not here or here[-1].attempt < claim.attempt - 1:  # the last one was elsewhere
            self._fetch(folder, claim, give_up)

    def _fetch(self, folder: Path, claim: Claim, give_up: Callable[[], bool]) -> None:
        """Copies them from the store. A thread of its own asks it, because it may hang."""
        beside = Path(tempfile.mkdtemp(prefix=".fetched-", dir=self._spool.path))
        answered, failed = threading.Event(), []

        def fetch() -> None:
            try:
                for entry in self._artifacts.entries(claim.artifacts):
                    name = entry.name.removeprefix(f"{claim.artifacts}/")
                    if name == LOG or (checkpoints.is_one(name) and not name.startswith(".")):
                        self._artifacts.get(entry.name, beside / name)
            except (HpoError, OSError) as error:
                failed.append(str(error))
            answered.set()

        threading.Thread(target=fetch, name="fetch", daemon=True).start()
        until = time.monotonic() + FETCH
        while not answered.wait(0.05) and time.monotonic() < until and not give_up():
            pass
        if answered.is_set() and not failed:
            _copy(beside, folder)
        else:
            why = failed[0] if failed else f"no answer of {self._artifacts.address} within {FETCH:.0f} s"
            log.warning("trial %d may begin anew, because its files cannot be had: %s", claim.number, why)
        shutil.rmtree(beside, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """Copies what a successor goes on from; what vanishes meanwhile is of an attempt that still runs somewhere."""
    for path in files(source):
        if path.name == LOG or checkpoints.is_one(path.name):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(path, target / path.name)
