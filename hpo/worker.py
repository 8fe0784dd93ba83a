"""One node's supervisor: claims trials, has each trained in a process of its own, records how it ended.

A thread per slot attends to one child at a time; the main thread renews the leases of all of them and hears signals.
Nothing here imports TensorFlow, and no child hears of the database.
"""

import logging
import os
import signal
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from hpo import data
from hpo.child import Child, ChildStartError, Closed, ForkServer
from hpo.errors import HpoError, StorageError, StudyFailedError
from hpo.settings import Times
from hpo.store import Claim, Claims, Idle, Over, Store
from hpo.trial import Cause, Epoch, Result, Started, TrainSettings, TrialSpec

log = logging.getLogger(__name__)

OK, DRAINED, INTERRUPTED = 0, 75, 130
PAUSE = 5.0  # seconds between two looks at a child that say that this process itself stood still
START_TRIES = 3  # to get a process for a trial, before the worker gives up


@dataclass
class _Running:
    """A claim whose child is attended to by a slot's thread."""

    claim: Claim
    began: float
    heard: float
    started: bool = False
    lost: bool = False
    told: Cause | None = None
    told_at: float = 0.0
    result: Result | None = None


@dataclass
class _Flags:
    """What the main thread tells the slots. Set once, never cleared."""

    drain: threading.Event = field(default_factory=threading.Event)  # claim no more
    abort: threading.Event = field(default_factory=threading.Event)  # give back what runs
    budget_ends: float | None = None  # by the monotonic clock
    over: Over | None = None
    error: HpoError | None = None
    signal: int | None = None


class Supervisor:
    """Works on one study until its budget has ended, or until told to leave.

    Args:
        store: the study's database.
        name: of the study.
        slots: trials at a time.
        artifacts, cache: folders for the trials' files and the arrays.
        times: see `Times`; tests pass shorter ones.
        server: starts children; tests pass one that trains nothing.

    Raises:
        DataError: this machine does not have the study's arrays.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        slots: int,
        artifacts: Path,
        cache: Path,
        times: Times | None = None,
        server: ForkServer | None = None,
    ) -> None:
        self._store = store
        self._times = times or Times()
        self._slots = slots
        self._artifacts = artifacts.resolve()
        self._server = server or ForkServer(log=self._artifacts / name / "forkserver.log")
        self.worker = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._claims = Claims(store, name, self.worker, self._times)
        self._parts = data.parts(self._claims.record.data.split_sha256, cache.resolve())
        self._running: dict[int, _Running] = {}
        self._flags = _Flags()
        self._wake = threading.Event()
        self._grace_ends: float | None = None
        self._failed_starts = 0

    # --- the main thread ---------------------------------------------------------------------------------------

    def run(self) -> int:
        """Works until there is nothing left to claim and all of its trials have ended.

        Returns:
            0 when the study ended or was asked to stop; 75 after SIGTERM and 130 after Ctrl-C with work left.

        Raises:
            StudyFailedError: too many trials failed in a row.
            StorageError: the database could not be used for too long.
        """
        before = {sig: signal.signal(sig, self._hear) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._claims.roster.join(host=socket.gethostname(), pid=os.getpid(), slots=self._slots)
            threads = [threading.Thread(target=self._slot, name=f"slot-{i}", daemon=True) for i in range(self._slots)]
            for thread in threads:
                thread.start()
            self._attend_leases(threads)
            self._claims.roster.leave()
        finally:
            self._flags.abort.set()
            self._server.close()
            for sig, handler in before.items():
                signal.signal(sig, handler)
        return self._exit_code()

    def _attend_leases(self, threads: list[threading.Thread]) -> None:
        renew_at = 0.0
        while any(thread.is_alive() for thread in threads):
            now = time.monotonic()
            if now >= renew_at:
                renew_at = now + self._times.renew
                try:
                    self._renew()
                except StorageError as error:
                    self._fail(error)
            if self._grace_ends is not None and now >= self._grace_ends:
                self._flags.abort.set()
            self._wake.wait(0.2)
            self._wake.clear()

    def _renew(self) -> None:
        orders = self._claims.renew([r.claim for r in list(self._running.values())])
        for number in orders.lost:
            running = self._running.get(number)
            # one that has its result is finishing, and no longer leased for a good reason
            if running is not None and running.result is None:
                running.lost = True
        if orders.stop and not self._flags.drain.is_set():
            log.info("asked to stop: finishing %d running trials", len(self._running))
            self._flags.over = Over(reason="stop")
            self._flags.drain.set()
        if orders.seconds_left is not None:
            self._flags.budget_ends = time.monotonic() + orders.seconds_left

    def _hear(self, signum: int, _frame: FrameType | None) -> None:
        first = self._flags.signal is None
        self._flags.signal = signum
        self._flags.drain.set()
        if signum == signal.SIGINT and not first:
            self._flags.abort.set()
        elif signum == signal.SIGINT:
            log.warning(
                "finishing %d running trials; press Ctrl-C again to give them back now (they start again at the "
                "next launch)",
                len(self._running),
            )
        else:
            log.warning("SIGTERM: %d running trials have %.0f s to finish", len(self._running), self._times.grace)
            self._grace_ends = time.monotonic() + self._times.grace
        self._wake.set()

    def _fail(self, error: HpoError) -> None:
        if self._flags.error is None:
            self._flags.error = error
        self._flags.drain.set()
        self._flags.abort.set()

    def _exit_code(self) -> int:
        if self._flags.error is not None:
            raise self._flags.error
        over = self._flags.over
        if over is not None and over.reason == "failed":
            limit = self._claims.record.definition.budget.max_consecutive_failures
            raise StudyFailedError(
                f"study {self._claims.record.name!r}: {limit} trials in a row failed; the last one said:\n{over.detail}"
            )
        if over is not None or self._store.status(self._claims.record.name).state == "ended":
            return OK
        return INTERRUPTED if self._flags.signal == signal.SIGINT else DRAINED

    # --- a slot's thread ---------------------------------------------------------------------------------------

    def _slot(self) -> None:
        try:
            while not self._flags.drain.is_set():
                claim = self._claims.claim()
                if isinstance(claim, Over):
                    self._flags.over = claim
                    return
                if isinstance(claim, Idle):
                    self._flags.drain.wait(self._times.idle)
                    continue
                self._train(claim)
        except HpoError as error:
            self._fail(error)
        except Exception as error:
            log.exception("the supervisor has a bug")
            self._fail(HpoError(f"the supervisor has a bug: {error!r}"))

    def _train(self, claim: Claim) -> None:
        now = time.monotonic()
        running = self._running[claim.number] = _Running(claim=claim, began=now, heard=now)
        try:
            child = self._start(claim)
            if child is None:
                return
            self._attend(running, child)
            child.kill()  # a child that sent its result and does not end
            child.wait()
            self._end(running)
        finally:
            del self._running[claim.number]

    def _start(self, claim: Claim) -> Child | None:
        """A process for the trial; None when there was none this time, and the trial was given back."""
        try:
            child = self._server.start(self._spec(claim), self._artifacts / claim.artifacts / "log.txt")
        except ChildStartError as error:
            self._claims.release(claim, lost=False)  # the machine's fault, not the trial's
            self._failed_starts += 1
            if self._failed_starts >= START_TRIES:
                raise
            log.warning("%s; trying again", error)
            return None
        except OSError as error:
            self._claims.release(claim, lost=False)
            folder = self._artifacts / claim.artifacts
            raise StorageError(
                f"cannot write {folder}: {error.strerror}; free space, or name another folder with --artifacts"
            ) from error
        self._failed_starts = 0
        return child

    def _spec(self, claim: Claim) -> TrialSpec:
        record = self._claims.record
        train = record.definition.train
        return TrialSpec(
            study=record.name,
            number=claim.number,
            attempt=claim.attempt,
            seed=claim.seed,
            family=claim.family,
            model=claim.model,
            training=claim.training,
            settings=TrainSettings(
                metric=train.metric,
                max_epochs=train.max_epochs,
                patience=train.patience,
                optimizer=train.optimizer,
                scaling=train.scaling,
                threads=train.threads,
                max_parameters=record.definition.model.max_parameters,
            ),
            folds=self._parts,
            classes=record.data.classes,
            artifacts=str(self._artifacts / claim.artifacts),
        )

    def _attend(self, running: _Running, child: Child) -> None:
        """Passes the child's reports on and stops it when there is a reason to, until it closes its line."""
        looked = time.monotonic()
        while True:
            try:
                message = child.receive(timeout=0.2)
            except Closed:
                return
            now = time.monotonic()
            if now - looked > PAUSE:
                # this process stood still (it was stopped, or the database was away): the child gets its time again
                running.heard = running.told_at = now
            looked = now
            if message is not None:
                running.heard = now
                self._take(running, child, message)
            if running.result is not None and child.wait(5.0):
                return
            if self._hopeless(running):
                child.kill()
                return
            if running.told is None and (cause := self._reason_to_stop(running)) is not None:
                self._tell(running, child, cause)

    def _take(self, running: _Running, child: Child, message: Epoch | Started | Result) -> None:
        """One message of the child's."""
        match message:
            case Started():
                running.started = True
            case Result():
                running.result = message
            case Epoch() if running.told is None and not running.lost:
                if self._claims.report(running.claim, message):
                    self._tell(running, child, Cause.PRUNED)

    def _tell(self, running: _Running, child: Child, cause: Cause) -> None:
        running.told, running.told_at = cause, time.monotonic()
        child.stop(cause)

    def _reason_to_stop(self, running: _Running) -> Cause | None:
        now = time.monotonic()
        minutes = self._claims.record.definition.budget.trial_minutes
        if self._flags.budget_ends is not None and now >= self._flags.budget_ends:
            return Cause.BUDGET
        if minutes is not None and now - running.began >= minutes * 60:
            return Cause.TIMED_OUT
        return None

    def _hopeless(self, running: _Running) -> bool:
        """Whether the child is to be killed: its trial is no longer ours, or it does not obey, or says nothing."""
        now = time.monotonic()
        stall = self._claims.record.definition.train.stall_minutes * 60
        if running.result is not None:
            return False
        if running.lost or self._flags.abort.is_set():
            return True
        if running.told is not None and now - running.told_at > self._times.obey:
            running.result = Result(cause=running.told, detail="it did not end when told to, and was killed")
            return True
        if not running.started and now - running.began > self._times.start:
            return True
        if running.started and now - running.heard > stall:
            running.result = Result(cause=Cause.STALLED, detail=f"nothing was heard of it for {stall:.0f} s")
            return True
        return False

    def _end(self, running: _Running) -> None:
        claim = running.claim
        if running.result is not None:
            if not self._claims.finish(claim, running.result):
                log.warning("trial %d was taken over by another worker; its result here is dropped", claim.number)
        elif running.lost:
            self._claims.forget(claim)
            log.warning("trial %d was taken over by another worker", claim.number)
        elif self._flags.abort.is_set():
            self._claims.release(claim, lost=False)
        else:
            log.warning("the process of trial %d died; it will be trained again", claim.number)
            self._claims.release(claim, lost=True)
