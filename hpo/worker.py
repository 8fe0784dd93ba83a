"""One node's supervisor: its slots train, one thread renews the leases of all, the main thread hears signals.

Nothing here imports TensorFlow, and no child hears of the database.
"""

import contextlib
import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hpo import data
from hpo.artifacts import Artifacts
from hpo.carrier import Carrier
from hpo.cgroup import OomKills
from hpo.child import ForkServer
from hpo.errors import HpoError, StorageError, StudyFailedError
from hpo.notify import Herald
from hpo.settings import Times
from hpo.signals import heard_by
from hpo.slot import Slot, Wishes
from hpo.specify import specify
from hpo.spool import Spool
from hpo.store import Claim, Claims, Over, Store, is_outage, passes
from hpo.trial import Interruption, TrialSpec
from hpo.vitals import Vitals

if TYPE_CHECKING:
    from hpo.monitor import Monitor

log = logging.getLogger(__name__)

OK, DRAINED, INTERRUPTED = 0, 75, 130
LOOK_SECONDS = 0.1  # between two looks of the main thread at signals and slots


class Supervisor:
    """Works on one study until its budget has ended, or until told to leave.

    Args:
        store: the study's database.
        name: of the study.
        devices: one for each slot: the value of CUDA_VISIBLE_DEVICES for its trials, None to leave it as it is.
        artifacts: the store of the trials' files.
        cache: folder of the arrays, and of files on their way to the store.
        times: see `Times`; tests pass shorter ones.
        server: starts children; tests pass one that trains nothing.
        metrics_port: for `hpo.monitor`, 0 for any that is free; None for no monitor.

    Raises:
        DataError: this machine does not have the study's arrays.
        StorageError: the cache cannot be written.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        devices: Sequence[str | None],
        artifacts: Artifacts,
        cache: Path,
        times: Times | None = None,
        server: ForkServer | None = None,
        metrics_port: int | None = None,
    ) -> None:
        self._store = store
        self._times = times or Times()
        self._wishes = Wishes()
        self._devices = tuple(devices)
        # host names have up to 64 characters, as the whole id may have
        self.worker = f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._vitals = Vitals(self._times.renew)
        self._metrics_port = metrics_port
        self._claims = Claims(store, name, self.worker, self._times, give_up=self._wishes.abort, vitals=self._vitals)
        record = self._claims.record
        self._parts = data.parts(record.data.split_sha256, cache.resolve(), artifacts)
        try:
            spool = Spool(cache, record.name, record.created_at, artifacts.address)
        except OSError as error:
            raise StorageError(
                f"cannot write the cache at {cache}: {error.strerror}; name another with --cache"
            ) from error
        self._server = server or ForkServer(log=spool.path / "forkserver.log")
        self._carrier = Carrier(artifacts, spool, self._claims.look, self._is_sure, self._times.carry)
        kills = OomKills()
        self._slots = [
            Slot(
                self._claims,
                self._server,
                self._specify,
                self._carrier,
                self._times,
                self._wishes,
                kills,
                device=device,
                devices=devices,
            )
            for device in devices
        ]
        self._herald = Herald(store, name, self._times)
        self._heard: deque[int] = deque()
        self._signal: int | None = None
        self._grace_ends: float | None = None
        self._left = threading.Event()

    def run(self) -> int:
        """Works until there is nothing left to claim and all of its trials have ended.

        Returns:
            0 when the study ended or was asked to stop; 75 after SIGTERM or SIGHUP and 130 after Ctrl-C with work left.

        Raises:
            StudyFailedError: too many trials failed in a row.
            StorageError: the database could not be used for too long.
            UsageError: the port for the monitor is taken.
        """
        monitor = self._monitor()
        signals = contextlib.ExitStack()
        slots = [threading.Thread(target=slot.run, name=f"slot-{i}", daemon=True) for i, slot in enumerate(self._slots)]
        renewal = threading.Thread(target=self._renew_until_left, name="renewal", daemon=True)
        try:
            self._claims.roster.join(
                host=socket.gethostname(),
                pid=os.getpid(),
                slots=len(slots),
                lease=self._times.lease,
                devices=[device or None for device in self._devices],
            )
            # Before the first claim a signal may end all this at once, from here on it is only noted: a handler that
            # did more could stop the very thread that it interrupts.
            signals.enter_context(heard_by(lambda number, _: self._heard.append(number)))
            for thread in (*slots, renewal):
                thread.start()
            self._herald.start()
            self._carrier.start()
            while any(thread.is_alive() for thread in slots):
                self._vitals.turned()
                self._carrier.turn()
                self._hear()
                time.sleep(LOOK_SECONDS)
            self._carrier.close(self._has_no_more_time, told=self._signal is not None)
            self._leave()
            if self._wishes.error is None:
                self._herald.close(self._has_no_more_time, hurried=self._signal is not None)
        finally:
            self._wishes.abort.set()
            self._left.set()
            self._herald.stop()
            self._server.close()
            signals.close()
            if renewal.is_alive():
                renewal.join()
            if monitor is not None:
                monitor.close()
        return self._exit_code()

    def _leave(self) -> None:
        """Marks the worker as gone, unless the database is away: its last renewal says the same a little later."""
        self._left.set()
        self._wishes.abort.set()  # nothing runs any more, so nothing is waited for but briefly
        if not is_outage(self._wishes.error):
            try:
                self._claims.roster.leave()
            except StorageError as error:
                log.warning("%s; leaving all the same", error)

    def _monitor(self) -> "Monitor | None":
        if self._metrics_port is None:
            return None
        from hpo.monitor import Monitor, Numbers  # most workers have none

        record = self._claims.record
        numbers = Numbers(
            self._vitals,
            study=record.name,
            worker=self.worker,
            metric=record.definition.train.metric,
            devices=self._devices,
            running=lambda: sum(slot.running is not None for slot in self._slots),
        )
        return Monitor(self._metrics_port, self._vitals, numbers)

    def _has_no_more_time(self) -> bool:
        """Asked again and again while nothing but the last words is left."""
        self._vitals.turned()
        return bool(self._heard)

    def _hear(self) -> None:
        """Acts on the signals that came since the last look."""
        while self._heard:
            signum = self._heard.popleft()
            first = self._signal is None
            self._signal = self._signal or signum
            self._wishes.drain.set()
            busy = sum(slot.running is not None for slot in self._slots)
            if signum == signal.SIGINT and not first:
                self._wishes.interruption = Interruption.CANCELLED
                self._wishes.abort.set()
            elif signum == signal.SIGINT:
                log.warning(
                    "finishing %d running trials; press Ctrl-C again to give them back now "
                    "(they go on from their last epoch at the next launch)",
                    busy,
                )
            elif self._grace_ends is None:
                name = signal.Signals(signum).name
                log.warning("%s: %d running trials have %.0f s to finish", name, busy, self._times.grace)
                self._grace_ends = time.monotonic() + self._times.grace
        if self._grace_ends is not None and time.monotonic() >= self._grace_ends:
            self._wishes.interruption = self._wishes.interruption or Interruption.PREEMPTED
            self._wishes.abort.set()

    def _renew_until_left(self) -> None:
        """Renews all leases again and again. A thread of its own: a database that is away must hold up no signal."""
        try:
            while not self._left.is_set():
                self._left.wait(self._renew())
        except HpoError as error:
            if not self._left.is_set():
                self._wishes.fail(error)
        except Exception as error:
            log.exception("the supervisor has a bug")
            self._wishes.fail(HpoError(f"the supervisor has a bug: {error!r}"))

    def _renew(self) -> float:
        """Renews all leases once; returns the seconds until the next time: the time budget's end is asked for."""
        held = [running for slot in self._slots if (running := slot.running) is not None]
        orders = self._claims.renew([running.claim for running in held])
        for running in held:
            if running.claim.key in orders.lost:
                self._carrier.lose(running.claim)
                # one that has its result may be finishing, and no longer leased for a good reason: `finish` finds out
                running.unleased, running.lost = True, running.lost or running.result is None
        self._vitals.renewed()  # not before: what is carried depends on it
        if orders.stop and not self._wishes.drain.is_set():
            log.info("asked to stop: finishing %d running trials", len(held))
            self._wishes.over = Over(reason="stop")
            self._wishes.drain.set()
        left = orders.seconds_left
        if left is None:
            return self._times.renew
        for running in held:
            running.budget_ended = left == 0
        return min(self._times.renew, max(self._times.idle, left))

    def _exit_code(self) -> int:
        wishes, record = self._wishes, self._claims.record
        if self._signal is not None and passes(wishes.error):
            log.warning("%s; leaving all the same: its trials go on elsewhere after their leases", wishes.error)
            return INTERRUPTED if self._signal == signal.SIGINT else DRAINED
        if wishes.error is not None:
            raise wishes.error
        if wishes.over is not None and wishes.over.reason == "failed":
            limit = record.definition.budget.max_consecutive_failures
            raise StudyFailedError(
                f"study {record.name!r}: {limit} trials in a row failed; the last one said:\n{wishes.over.detail}"
            )
        if wishes.over is not None or self._ended():
            return OK
        return INTERRUPTED if self._signal == signal.SIGINT else DRAINED

    def _ended(self) -> bool:
        try:
            return self._store.look(self._claims.record.name)[0].state == "ended"
        except StorageError:
            return False

    def _is_sure(self) -> bool:
        """Whether nobody can have taken a trial over: its lease was renewed lately."""
        return self._vitals.renewed_ago < self._times.lease

    def _specify(self, claim: Claim, folder: Path) -> TrialSpec:
        return specify(self._claims.record, claim, self._parts, folder)
