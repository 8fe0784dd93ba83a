"""Carries trials' files from the spool of this node to the artifact store, and back where a trial goes on here.

A thread of its own does so. Whatever the store does (refuse, fill up, hang), trials begin, go on and end meanwhile.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hpo.artifacts import Artifacts, StoreAway
from hpo.errors import HpoError, StorageError
from hpo.spool import Held, Key, Spool
from hpo.store import Claim, TrialRecord
from hpo.takeover import fill
from hpo.transport import Transport

log = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0  # seconds between two tries while the store does not answer
HANG = 30.0  # seconds after which one call to the store counts as no answer
SETTLE = 3.0  # seconds that a trial's last files may take before it is given back
PATIENCE = 30.0  # seconds that a worker which has nothing else to do waits for one file to be taken
SHORT_PATIENCE = 5.0  # the same of one that was told to leave
LOOK_AGAIN = 30.0  # seconds between two looks at what workers that died have left here
LAST_TRIES = 5  # before a worker leaves files behind that the store refuses to take
LAST_PAUSE = 1.0  # seconds between them


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
        self._transport = Transport(artifacts)
        self._spool = spool
        self._look = look
        self._sure = sure
        self._pause = pause
        self._lock = threading.Lock()  # guards the three below
        self._running: dict[Key, tuple[Held, str]] = {}  # with its folder in the store
        self._ended: dict[Key, tuple[Held, str]] = {}
        self._lost: dict[Key, Held] = {}
        self._wake = threading.Event()
        self._turn = threading.Condition()
        self._begun = self._done = 0  # passes
        self._leaving = threading.Event()
        self._tries = 0  # without success, in a row
        self._said = False
        self._next_look = 0.0
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
        held = self._spool.make(key, lambda folder: fill(folder, claim, self._spool, self._artifacts, give_up))
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
        held = self._pop(claim)
        if held is not None:
            with self._lock:
                self._ended[held.key] = (held, claim.artifacts)
        self._wake.set()

    def leave(self, claim: Claim) -> None:
        """The trial was given back: its files stay for whoever goes on with it here."""
        held = self._pop(claim)
        if held is not None:
            self._spool.let_go(held)
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
        held = self._pop(claim)
        if held is not None:
            self._spool.discard(held)

    def _pop(self, claim: Claim) -> Held | None:
        """The trial's folder. A renewal that crossed the trial's end on its way may have called it lost."""
        key = Key(*claim.key)
        with self._lock:
            running, lost = self._running.pop(key, None), self._lost.pop(key, None)
        return lost if running is None else running[0]

    # --- what the supervisor calls -----------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to carry."""
        self._thread.start()

    def turn(self) -> None:
        """Called again and again: says so if the store hangs."""
        since = self._transport.asked
        if since is not None and time.monotonic() - since > HANG:
            self._tell(f"the artifact store {self._artifacts.address} has not answered for {HANG:.0f} s")

    def close(self, hurry: Callable[[], bool], *, told: bool = False) -> None:
        """Carries what is left, if the store answers, and says what stays.

        Args:
            hurry: whether there is no time for that.
            told: the worker was told to leave.
        """
        patience = SHORT_PATIENCE if told else PATIENCE
        self._leaving.set()
        self._next_look = 0.0
        self._wake.set()
        self._transport.moved = time.monotonic()
        while self._thread.is_alive() and time.monotonic() - self._transport.moved < patience and not hurry():
            self._thread.join(0.05)
        left = len(self._spool.found())
        if self._tries or self._thread.is_alive():
            log.warning(
                "files of trials stay in %s (%d folders): the artifact store %s did not take them. "
                "The next worker of this study on this machine carries them over",
                self._spool.path, left, self._artifacts.address,
            )  # fmt: skip

    # --- the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        last = LAST_TRIES
        while last:
            self._rest()
            self._wake.clear()  # first: what is set from here on is seen by the next turn
            if self._leaving.is_set():
                last -= 1
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
                if self._leaving.is_set() and last < LAST_TRIES:
                    last = 0
            self._transport.asked = None
            with self._turn:
                self._done = self._begun
                self._turn.notify_all()
        with self._lock:  # what could not be carried is the next worker's
            left = [held for held, _ in (*self._running.values(), *self._ended.values())]
        for held in left:
            self._spool.let_go(held)

    def _rest(self) -> None:
        """Waits until there is something to do, or, after a failure, until it is worth another try."""
        if not self._tries:
            self._wake.wait(self._pause)
        elif self._leaving.is_set():
            time.sleep(min(self._pause, LAST_PAUSE))
        else:  # what changes meanwhile is no reason to try earlier
            pause = min(LONGEST_PAUSE, self._pause * 2 ** min(self._tries, 10))
            self._leaving.wait(pause * random.uniform(0.5, 1.0))

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
        self._transport.unended(held, name, lambda: self._sure() and held.key in self._running)

    def _carry_ended(self, held: Held, name: str) -> None:
        """All of it; then the folder goes."""
        self._transport.ended(held, name)
        with self._lock:
            self._ended.pop(held.key, None)
        self._spool.discard(held)

    def _look_after(self) -> None:
        """Sees to the folders of attempts that nobody holds: their workers died, or gave them back."""
        if time.monotonic() < self._next_look:
            return
        self._spool.tidy()
        found = self._spool.found()
        latest = dict(found)  # sorted: of each trial the last attempt
        refused: StorageError | None = None
        for key in found:
            held = self._spool.take(key)
            if held is None:
                continue
            try:
                self._see_to(held, followed=key.attempt < latest[key.number])
            except StoreAway:
                raise
            except StorageError as error:  # of this folder; others may fare better
                refused = refused or error
            finally:
                self._spool.let_go(held)
        self._next_look = time.monotonic() + LOOK_AGAIN
        if refused is not None:
            raise refused

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
            self._transport.unended(held, str(trial.artifacts))
